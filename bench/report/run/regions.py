"""The region map as a figure, tables and sentences: where the baseline is better, and where none can tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.judgement.regions import Cell, Region
from bench.report.run.answer import compared_metrics
from bench.report.run.selection import arm_names, compared_conditions
from bench.report.table import NOT_AVAILABLE, Table
from bench.report.text import count, format_number, format_p_value, format_ratio, join_words
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.served import describe_subject

MOST_OPEN = 3
"""Tables that are not folded."""


class Panel(NamedTuple):
    """The part of a map that is of one candidate in one run."""

    title: str
    baseline: str
    conditions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    cells: Mapping[tuple[str, Metric], Cell]
    """By condition and metric; one that could not be had is not there."""


def tell_regions(run: Run) -> Mapping[str, Any] | None:
    """The run's map, where it has one."""
    panels = map_one(run)
    if not panels:
        return None
    return {
        "said": [*describe_subject(run.record.scenario, "Cells"), *describe_regions(panels)],
        "tables": tabulate_regions(panels),
        "words": explain_regions(run.record.scenario.baseline),
    }


def has_map(run: Run) -> bool:
    """Whether there are several conditions, and something that could be compared under them."""
    return len(compared_conditions(run)) > 1 and bool(run.cells)


def map_one(run: Run) -> list[Panel]:
    """The map of one run; empty where it has none."""
    return _find_panels(run, run.cells, prefix="") if has_map(run) else []


def map_several(runs: Sequence[Run], cells: Sequence[Cell]) -> list[Panel]:
    """The map of several runs, whose `cells` were corrected together; runs of one condition too."""
    names = [run.record.scenario.name for run in runs]
    return [
        panel
        for run, name in zip(runs, names, strict=True)
        for panel in _find_panels(
            run,
            [cell for cell in cells if cell.run == run.label],
            prefix=f"{name if names.count(name) == 1 else run.label}: ",
        )
        if panel.cells
    ]


def _find_panels(run: Run, cells: Sequence[Cell], prefix: str) -> list[Panel]:
    baseline = run.record.scenario.baseline
    return [
        Panel(
            title=f"{prefix}{baseline} against {name}",
            baseline=baseline,
            conditions=tuple(run.conditions[index].label for index in compared_conditions(run)),
            metrics=tuple(compared_metrics(run)),
            cells={(cell.condition, cell.metric): cell for cell in cells if cell.candidate == name},
        )
        for name in arm_names(run)
        if name != baseline
    ]


def tabulate_regions(panels: Sequence[Panel]) -> list[Table]:
    """A table a candidate: a row a condition, a column a metric."""
    return [
        Table(
            caption=panel.title,
            columns=("Condition", *(metric.label for metric in panel.metrics)),
            rows=tuple(
                (label, *(_say_in_table(panel.cells.get((label, metric))) for metric in panel.metrics))
                for label in panel.conditions
            ),
            folded=place >= MOST_OPEN,
        )
        for place, panel in enumerate(panels)
    ]


def _say_in_table(cell: Cell | None) -> str:
    """Word, ratio, and the corrected p-value of the test behind the word (of both, where neither told)."""
    if cell is None:
        return NOT_AVAILABLE
    if cell.ratio is None or cell.p_holm is None:
        return f"{cell.region}\n{'; '.join(cell.notes)}"
    differ, equal = format_p_value(cell.p_holm), format_p_value(cell.equivalence_p_holm)
    behind = {
        Region.EQUIVALENT: f"p of equivalence {equal}",
        Region.UNDECIDED: f"p {differ}, of equivalence {equal}",
    }.get(cell.region, f"p {differ}")
    said = [str(cell.region), format_ratio(cell.ratio, cell.ci95), behind]
    if cell.negligible:
        said.append("negligible: inside the margin")
    if cell.lost:
        said.append(f"by itself {cell.word}")
    return "\n".join(said)


def describe_regions(panels: Sequence[Panel]) -> list[str]:
    """How many cells bear which word, how large what is resolved is, and what the correction took."""
    return [_describe_panel(panel.title, list(panel.cells.values())) for panel in panels if panel.cells]


def _describe_panel(title: str, cells: list[Cell]) -> str:
    words = Counter(cell.region for cell in cells)
    said = join_words([f"{region} in {words[region]}" for region in Region if words[region]])
    lost = sum(cell.lost for cell in cells)
    taken = f"; {lost} said otherwise by {'itself' if lost == 1 else 'themselves'}" if lost else ""
    ratios = sorted(
        (cell.ratio, ", ".join(filter(None, (cell.metric.label, cell.condition))))
        for cell in cells
        if cell.ratio is not None and cell.region in (Region.BETTER, Region.WORSE)
    )
    ends = [f"{format_number(ratio)} ({where})" for ratio, where in ratios[:1] + ratios[1:][-1:]]
    told = f" Where it is told, the ratio runs from {' to '.join(ends)}." if len(ends) > 1 else ""
    return f"{count(len(cells), 'cell')} of {title}: {said}{taken}.{told}"


def explain_regions(baseline: str) -> list[tuple[str, str]]:
    """The words of the map."""
    return [
        (Region.BETTER, f"{baseline} is better, and Holm's correction over the whole map leaves it so"),
        (Region.WORSE, f"{baseline} is worse, likewise"),
        (
            Region.EQUIVALENT,
            "the ratio lies inside the margin; the two one-sided tests' p-value holds after the correction",
        ),
        (Region.UNDECIDED, "none of these, or one of them only for a cell that stands by itself"),
        (Region.INVALID, "its comparison is INVALID; the cell takes no part in the correction"),
    ]
