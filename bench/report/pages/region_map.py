"""The region map of several runs: a page of its own, and lines for a terminal."""

from collections.abc import Sequence

from bench.judgement.regions import Cell
from bench.report.run.figures.region_map import MOST_LINES, can_draw_regions, caption_regions, draw_regions
from bench.report.run.regions import (
    Panel,
    describe_regions,
    explain_regions,
    map_several,
    tabulate_regions,
)
from bench.report.svg import render_svg
from bench.report.table import Table
from bench.report.template import Illustration, fill
from bench.report.text import ABSENT, format_p_value, format_ratio
from bench.results.run import Run
from bench.scenario.served import describe_subject

TITLE = "Region map"
COLUMNS = ("Scenario", "Condition", "Comparison", "Metric", "Ratio, 95 %", "p by Holm", "Word", "By itself")


def render_page(runs: Sequence[Run], cells: Sequence[Cell], form: str, cautions: Sequence[str] = ()) -> str:
    """The map as one document, `cautions` first: `form` is html or md; Markdown has no figure."""
    panels = map_several(runs, cells)
    baselines = list(dict.fromkeys(panel.baseline for panel in panels))
    baseline = baselines[0] if len(baselines) == 1 else "the baseline"
    return fill(
        f"map.{form}.j2",
        {
            "baseline": baseline,
            "runs": [(run.label, run.record.scenario.question) for run in runs],
            "sentences": [*cautions, *describe(runs, cells)],
            "figures": _illustrate(panels, baseline) if form == "html" else [],
            "tables": tabulate_regions(panels),
            "cells": tabulate_cells(cells),
            "words": explain_regions(baseline),
            "most_lines": MOST_LINES,
        },
    )


def describe(runs: Sequence[Run], cells: Sequence[Cell]) -> list[str]:
    """Whose cells they are, where the service is a person's own; then a sentence a run and candidate."""
    return [*describe_subject(runs[0].record.scenario, "Cells"), *describe_regions(map_several(runs, cells))]


def tabulate_cells(cells: Sequence[Cell]) -> Table:
    """A row a cell: its ratio, the corrected p-value of a ratio of 1, and both of its words."""
    return Table(
        caption="All cells",
        columns=COLUMNS,
        rows=tuple(
            (
                cell.run.split()[0],
                cell.condition or ABSENT,
                f"{cell.baseline} against {cell.candidate}",
                cell.metric.label,
                format_ratio(cell.ratio, cell.ci95),
                ABSENT if cell.p_holm is None else format_p_value(cell.p_holm),
                str(cell.region) + (", negligible" if cell.negligible else ""),
                str(cell.word),
            )
            for cell in cells
        ),
        folded=True,
    )


def _illustrate(panels: Sequence[Panel], baseline: str) -> list[Illustration]:
    if not can_draw_regions(panels):
        return []
    caption = caption_regions(baseline)
    svg = render_svg(draw_regions(panels), "figure-map", TITLE, caption)
    return [Illustration("map", TITLE, caption, svg)]
