"""Lines over time as a table, a figure, CSV, and a page of their own."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.judgement.across_runs.history import Line, Turn
from bench.report.panels import make_key, make_panels, say_in_panel
from bench.report.svg import INK, STYLE, render_svg
from bench.report.symbols import PALETTE
from bench.report.table import Table
from bench.report.template import Illustration, fill
from bench.report.text import (
    ABSENT,
    count,
    format_p_value,
    format_ratio,
    format_time,
    name_condition,
)

COLUMNS = ("Comparison", "Metric", "Runs", "First, 95 %", "Latest, 95 %", "Change points")
POINT_COLUMNS = ("Run", "Began", "Ratio, 95 %", "Word")
FIELDS = (
    "scenario",
    "condition",
    "metric",
    "baseline",
    "candidate",
    "plan",
    "run",
    "started_at",
    "ratio",
    "ci95_low",
    "ci95_high",
    "difference",
    "unit",
    "baseline_value",
    "candidate_value",
    "word",
    "change_point",
)
MOST_PANELS = 12
MOST_DIFFERENCES = 6


def tabulate_lines(lines: Sequence[Line]) -> list[Table]:
    """A table a scenario, with a row a line."""
    return [
        Table(
            caption=scenario,
            columns=COLUMNS,
            rows=tuple(_row(line) for line in lines if line.scenario == scenario),
            prose=frozenset({"Comparison", "Change points"}),
        )
        for scenario in dict.fromkeys(line.scenario for line in lines)
    ]


def describe_turns(lines: Sequence[Line]) -> list[str]:
    """A sentence a change point: from what to what, since which run, and what differs around it."""
    return [_describe_turn(line, turn) for line in lines for turn in line.turns]


def write_csv(lines: Sequence[Line]) -> str:
    """A row a run and line, by `FIELDS`."""
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=FIELDS, lineterminator="\n")
    table.writeheader()
    for line in lines:
        about = line.model_dump(
            mode="json", include={"scenario", "condition", "metric", "baseline", "candidate"}
        )
        starts = {turn.run for turn in line.turns}
        for point in line.points:
            values = point.model_dump(mode="json")
            low, high = values.pop("ci95") or (None, None)
            table.writerow(
                {
                    **about,
                    **values,
                    "plan": "; ".join(map(str, line.plan)),
                    "unit": line.metric.unit,
                    "ci95_low": low,
                    "ci95_high": high,
                    "change_point": point.run in starts,
                }
            )
    return text.getvalue()


def render_page(lines: Sequence[Line]) -> str:
    """The whole history as one HTML document, figures inside it."""
    return fill(
        "history.html.j2",
        {
            "sections": [
                (
                    table,
                    _illustrate(table.caption, [line for line in lines if line.scenario == table.caption]),
                    [_tabulate_points(line) for line in lines if line.scenario == table.caption],
                )
                for table in tabulate_lines(lines)
            ],
            "turns": describe_turns(lines),
            "runs": count(len({point.run for line in lines for point in line.points}), "run"),
        },
    )


def draw_lines(lines: Sequence[Line]) -> Figure:
    """A panel a line: every run's ratio with its interval, the levels, and the change points between them."""
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(1, [1.5] * len(lines))
        for (axes,), line in zip(grid, lines, strict=True):
            axes.set_title(name_line(line), loc="left", fontsize=8, fontweight="bold")
            _draw_line(axes, line)
        handles = [
            make_key("o", "a run, 95 %", color=PALETTE[0]),
            make_key("", "level of the runs between change points", color=PALETTE[1], linestyle="-"),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        return figure


def name_line(line: Line) -> str:
    """`bridge against host (connections=1)`, and what the plan has otherwise than the first of that name."""
    named = name_condition(line.condition, f"{line.candidate} against {line.baseline}")
    return f"{named}; {'; '.join(map(str, line.plan))}" if line.plan else named


def _draw_line(axes: Axes, line: Line) -> None:
    usable = line.usable
    axes.set_ylabel("ratio")
    if not usable:
        say_in_panel(axes, "no run has a valid answer")
        return
    for place, point in enumerate(usable):
        if point.ci95 is not None:
            axes.vlines(place, *point.ci95, color=PALETTE[0], linewidth=1.5)
    ratios = [point.ratio or 1 for point in usable]
    axes.plot(range(len(usable)), ratios, "o", color=PALETTE[0], markersize=4)
    starts = [0, *_places(line), len(usable)]
    levels = [turn.before for turn in line.turns[:1]] + [turn.after for turn in line.turns]
    for (start, end), level in zip(pairwise(starts), levels, strict=False):
        axes.hlines(level, start - 0.5, end - 0.5, color=PALETTE[1], linewidth=1.5)
    for place in _places(line):
        axes.axvline(place - 0.5, color=INK, linewidth=0.8, linestyle="--")
    shown = range(0, len(usable), max(1, len(usable) // 5))
    axes.set_xticks(
        list(shown), [f"{datetime.fromisoformat(usable[p].started_at):%d %b %H:%M}" for p in shown]
    )
    axes.set_xlim(-0.7, len(usable) - 0.3)


def _places(line: Line) -> list[int]:
    order = [point.run for point in line.usable]
    return [order.index(turn.run) for turn in line.turns]


def _illustrate(scenario: str, lines: Sequence[Line]) -> list[Illustration]:
    figures = []
    for metric in dict.fromkeys(line.metric for line in lines):
        title = f"{scenario}: {metric.label} over time"
        shown = [line for line in lines if line.metric is metric]
        rest = len(shown) - MOST_PANELS
        caption = (
            "A mark is one run with its 95 % interval, in order of time (not to scale); a dashed line is a"
            " change point. Runs whose answer is INVALID are in the tables only."
            + (f" {count(rest, 'more line')} in the tables." if rest > 0 else "")
        )
        name = f"history-{scenario}-{metric}"
        svg = render_svg(draw_lines(shown[:MOST_PANELS]), f"figure-{name}", title, caption)
        figures.append(Illustration(name, title, caption, svg))
    return figures


def _row(line: Line) -> tuple[str, ...]:
    usable = line.usable
    ends = [format_ratio(point.ratio, point.ci95) for point in (usable[:1] + usable[-1:])] or [ABSENT] * 2
    invalid = len(line.points) - len(usable)
    return (
        name_line(line),
        line.metric.label,
        f"{len(usable)}" + (f" and {invalid} INVALID" if invalid else ""),
        *ends,
        _describe_change_points(line),
    )


def _describe_change_points(line: Line) -> str:
    if line.turns:
        return "; ".join(f"{turn.before:.3f} → {turn.after:.3f} since {turn.run}" for turn in line.turns)
    few = len(line.usable) < line.needed
    return f"too few runs to tell: {line.needed} are needed" if few else "none"


def _describe_turn(line: Line, turn: Turn) -> str:
    around = [str(item) for item in turn.differences]
    more = f"; and {len(around) - MOST_DIFFERENCES} more" if len(around) > MOST_DIFFERENCES else ""
    known = "; ".join(around[:MOST_DIFFERENCES]) + more if around else "nothing that was recorded"
    return (
        f"{line.scenario}, {line.metric.label} of {name_line(line)}:"
        f" from {turn.before:.3f} to {turn.after:.3f} since {turn.run} (p {format_p_value(turn.p_value)})."
        f" What differs from the run before: {known}."
    )


def _tabulate_points(line: Line) -> Table:
    return Table(
        caption=f"{line.metric.label}: {name_line(line)}",
        columns=POINT_COLUMNS,
        rows=tuple(
            (point.run, format_time(point.started_at), format_ratio(point.ratio, point.ci95), str(point.word))
            for point in line.points
        ),
        folded=True,
    )
