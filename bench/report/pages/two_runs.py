"""Two runs compared, as sentences, tables, a figure, and a page of their own."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.judgement.across_runs.two_runs import ONE_SESSION, RunChange, RunComparison
from bench.judgement.change import Changed, ChangeWord
from bench.report.panels import lay_lines, make_key, make_panels, say_in_panel
from bench.report.run.changes import name_subject
from bench.report.run.words import explain_change_words
from bench.report.svg import INK, STYLE, render_svg
from bench.report.symbols import PALETTE
from bench.report.table import Table
from bench.report.template import Illustration, fill
from bench.report.text import (
    ABSENT,
    count,
    format_change,
    format_interval,
    format_number,
    format_p_value,
    format_ratio,
    format_share,
    format_time,
    name_condition,
)

COLUMNS = (
    "What changed",
    "First run",
    "Second run",
    "Ratio of the two",
    "Change",
    "p (Holm)",
    "Margin",
    "Blocks",
    "Word",
    "Notes",
)
TITLES = {
    Changed.COST: "What a mode costs against {baseline}",
    Changed.ARM: "Each arm by itself",
}
EXPLAINED = {
    Changed.COST: (
        "A cost is a ratio of two arms within the same blocks: what slows or speeds the whole machine is"
        " in both, and cancels."
    ),
    Changed.ARM: (
        "An arm's own figure includes whatever the machine did otherwise on that day: drift from one run"
        " to the other is part of this change, and nothing here can tell it from one that was made."
    ),
}
FIGURE = "Costs in both runs"


def warn(found: RunComparison) -> list[str]:
    """What differs around the two runs and may be why a figure changed; then what else to bear in mind."""
    about = found.comparability
    return [
        *found.faults,
        *(f"The runs differ in {item}" for item in about.subjects),
        *(f"Not compared: {sentence}" for sentence in about.left_out),
        *([ONE_SESSION.capitalize()] if any(change.one_session for change in found.changes) else []),
    ]


def describe(found: RunComparison) -> list[str]:
    """A sentence a cost at the p50 (an arm, where there is no cost); then what all of them sum to."""
    costs = found.of_kind(Changed.COST) or found.of_kind(Changed.ARM)
    first = next((change.metric for change in costs), None)
    reasons = dict.fromkeys(
        note for change in costs if change.word is ChangeWord.INVALID for note in change.notes
    )
    told = [_describe_change(change) for change in costs if change.metric is first]
    counts = {word: sum(change.word is word for change in costs) for word in ChangeWord}
    said = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    why = f" INVALID because of this: {'; '.join(reasons)}." if reasons else ""
    return [*told, f"Of {count(len(costs), 'change')} in all: {said}.{why}"]


def tabulate(found: RunComparison, kind: Changed) -> list[Table]:
    """A table a metric, of costs or of arms by themselves."""
    changes = found.of_kind(kind)
    return [
        Table(
            caption=metric.label,
            columns=COLUMNS,
            rows=tuple(_row(change) for change in changes if change.metric is metric),
            prose=frozenset({"What changed", "Blocks", "Notes"}),
        )
        for metric in dict.fromkeys(change.metric for change in changes)
    ]


def summarise(found: RunComparison) -> list[Table]:
    """The same for a terminal: without the columns that a second look is for."""
    shown = ("What changed", "First run", "Second run", "Ratio of the two", "Word")
    places = [COLUMNS.index(name) for name in shown]
    return [
        Table(
            caption=f"{_title(found, kind)}: {table.caption}",
            columns=shown,
            rows=tuple(tuple(row[place] for place in places) for row in table.rows),
        )
        for kind in TITLES
        for table in tabulate(found, kind)
    ]


def render_page(found: RunComparison, form: str) -> str:
    """The whole report: `html` (one file, figure inside) or `md`."""
    return fill(
        f"run_changes.{form}.j2",
        {
            "found": found,
            "sentences": describe(found),
            "cautions": warn(found),
            "sections": [
                (_title(found, kind), EXPLAINED[kind], tables)
                for kind in TITLES
                if (tables := tabulate(found, kind))
            ],
            "figures": _illustrate(found) if form == "html" else [],
            "subjects": [(item.field, item.before, item.after) for item in found.comparability.subjects],
            "formalities": [
                (item.field, item.before, item.after) for item in found.comparability.formalities
            ],
            "words": [
                *explain_change_words(),
                (ChangeWord.INVALID, "one of the runs has no trustworthy answer: the notes say why"),
            ],
            "format_time": format_time,
        },
    )


def draw_costs(found: RunComparison) -> Figure:
    """The cost of every arm in both runs with its interval, a panel a metric."""
    costs = [change for change in found.of_kind(Changed.COST) if change.value is not None]
    names = list(dict.fromkeys(_name(change) for change in costs))
    metrics = list(dict.fromkeys(change.metric for change in costs))
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(max(len(metrics), 1), [0.5 + 0.5 * max(len(names), 1)])
        if not costs:
            say_in_panel(grid[0][0], "no cost is known in both runs")
            return figure
        for axes, metric in zip(grid[0], metrics, strict=True):
            _draw_metric(axes, [change for change in costs if change.metric is metric], names)
            axes.set_xlabel(f"{metric.label}: cost, a ratio")
        for axes in grid[0][1:]:
            axes.set_yticklabels([])
        handles = [
            make_key("o", f"first run, {found.before}", color=PALETTE[0]),
            make_key("s", f"second run, {found.after}", color=PALETTE[1]),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=1)
        return figure


def _draw_metric(axes: Axes, costs: Sequence[RunChange], names: Sequence[str]) -> None:
    for change in costs:
        line = names.index(_name(change))
        marks = (
            (change.reference_value, change.reference_ci95, -0.15, "o", PALETTE[0]),
            (change.value, change.value_ci95, 0.15, "s", PALETTE[1]),
        )
        for value, ci95, shift, marker, colour in marks:
            if value is not None and ci95 is not None:
                axes.hlines(line + shift, *ci95, color=colour, linewidth=2)
                fill = "none" if change.word is ChangeWord.INVALID else colour
                axes.plot([value], [line + shift], marker, color=colour, markerfacecolor=fill, markersize=5)
    axes.axvline(1, color=INK, linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    lay_lines(axes, len(names))


def _illustrate(found: RunComparison) -> list[Illustration]:
    caption = (
        f"A mark is the cost against {_baseline(found)} with its 95 % interval, circles in the first run and"
        " squares in the second; hollow where a change is INVALID. The tables judge whether two differ."
    )
    if not found.of_kind(Changed.COST):
        return []
    return [
        Illustration(
            "run-costs", FIGURE, caption, render_svg(draw_costs(found), "figure-run-costs", FIGURE, caption)
        )
    ]


def _row(change: RunChange) -> tuple[str, ...]:
    return (
        _name(change),
        _level(change, change.reference_value, change.reference_ci95),
        _level(change, change.value, change.value_ci95),
        format_ratio(change.ratio, change.ci95),
        format_change(change.difference, change.difference_ci95, change.unit),
        format_p_value(change.p_holm),
        format_share(change.margin),
        f"{change.reference_blocks} and {change.blocks}"
        + ("" if change.unit_of_replication == "block" else f", interval over {change.unit_of_replication}s"),
        str(change.word),
        "; ".join(note for note in change.notes if note != ONE_SESSION) or ABSENT,
    )


def _level(change: RunChange, value: float | None, ci95: tuple[float, float] | None) -> str:
    if change.kind is Changed.COST or value is None:
        return format_ratio(value, ci95)
    return f"{format_number(value)} {change.unit} {format_interval(ci95)}"


def _describe_change(change: RunChange) -> str:
    what = name_condition(change.condition, f"{name_subject(change)} at {change.metric.label}")
    size = (
        f"{_level(change, change.reference_value, change.reference_ci95)} →"
        f" {_level(change, change.value, change.value_ci95)}, a ratio of"
        f" {format_ratio(change.ratio, change.ci95)}"
    )
    match change.word:
        case ChangeWord.CHANGED if change.negligible:
            return f"{what} changed, by less than the margin of {format_share(change.margin)}: {size}."
        case ChangeWord.CHANGED:
            return f"{what} changed: {size}."
        case ChangeWord.NO_PRACTICAL_CHANGE:
            return f"{what} did not change in a way that matters: {size}."
        case ChangeWord.INCONCLUSIVE:
            return f"Whether {what} changed cannot be told: {size}."
        case ChangeWord.INVALID:
            return f"Nothing can be said of {what}: {'; '.join(change.notes)}."


def _name(change: RunChange) -> str:
    name = change.candidate
    labels = dict.fromkeys((change.reference_condition, change.condition))
    return name_condition(" → ".join(label for label in labels if label), name)


def _title(found: RunComparison, kind: Changed) -> str:
    return TITLES[kind].format(baseline=_baseline(found))


def _baseline(found: RunComparison) -> str:
    return found.comparability.arms[0]
