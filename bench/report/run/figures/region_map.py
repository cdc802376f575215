"""The region map: a cell a comparison."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.judgement.regions import Cell, Region
from bench.report.panels import make_panels
from bench.report.run.figures.drawing import Drawing, has_valid_slot, require_some
from bench.report.run.regions import Panel, map_one
from bench.report.svg import INK, STYLE
from bench.report.symbols import REGION_FILLS, SYMBOLS
from bench.report.table import NOT_AVAILABLE
from bench.report.text import format_ratio

MOST_LINES = 40
"""A figure of more lines is a table."""
LINE_IN = 0.5
SOLID, FAINT = 0.42, 0.16
"""Opacities that leave the text readable on a white and on a black page."""


def can_draw_regions(panels: Sequence[Panel]) -> bool:
    """Whether the map fits a figure."""
    return 0 < sum(len(panel.conditions) for panel in panels) <= MOST_LINES


def draw_regions(panels: Sequence[Panel]) -> Figure:
    """A panel a candidate: a line a condition, a column a metric."""
    require_some(panels, "comparison under several conditions")
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(1, [0.4 + LINE_IN * len(panel.conditions) for panel in panels])
        for panel, (axes,) in zip(panels, grid, strict=True):
            axes.set_title(panel.title, loc="left", fontweight="bold")
            for line, label in enumerate(panel.conditions):
                for column, metric in enumerate(panel.metrics):
                    _draw_cell(axes, column, line, panel.cells.get((label, metric)))
            axes.set_xlim(-0.5, len(panel.metrics) - 0.5)
            axes.set_ylim(len(panel.conditions) - 0.5, -0.5)
            axes.set_xticks(range(len(panel.metrics)), [metric.label for metric in panel.metrics])
            axes.set_yticks(
                range(len(panel.conditions)), [label.replace(", ", "\n") for label in panel.conditions]
            )
            axes.tick_params(length=0, labeltop=True, labelbottom=False)
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
        return figure


def _draw_cell(axes: Axes, column: int, line: int, cell: Cell | None) -> None:
    """Colour, frame, sign and word all say the same."""
    corner, size = (column - 0.48, line - 0.45), (0.96, 0.9)
    region = cell.region if cell else None
    fill = REGION_FILLS.get(region) if region else None
    if fill:
        opacity = FAINT if cell and cell.negligible else SOLID
        axes.add_patch(Rectangle(corner, *size, facecolor=fill, alpha=opacity, linewidth=0))
    frame = {Region.UNDECIDED: "--", Region.INVALID: ":", None: ":"}.get(region, "-")
    axes.add_patch(
        Rectangle(corner, *size, fill=False, edgecolor=fill or INK, linewidth=0.9, linestyle=frame)
    )
    # In points from the middle, so that lines of text keep their distance in a map of any height.
    for words, up, look in _say(cell):
        axes.annotate(
            words, (column, line), (0, up), textcoords="offset points", ha="center", va="center", **look
        )


def _say(cell: Cell | None) -> list[tuple[str, int, dict[str, Any]]]:
    """Lines of text, their heights in points, and their look."""
    word: dict[str, Any] = {"fontsize": 8, "fontweight": "bold"}
    small: dict[str, Any] = {"fontsize": 7}
    if cell is None:
        return [(NOT_AVAILABLE, 0, {"fontsize": 7, "fontstyle": "italic"})]
    said = f"{SYMBOLS[cell.region]} {cell.region}" + (", negligible" if cell.negligible else "")
    if cell.ratio is None:
        return [(said, 0, word)]
    numbers = format_ratio(cell.ratio, cell.ci95)
    if cell.lost:
        return [(said, 9, word), (numbers, 0, small), (f"by itself {cell.word}", -9, small)]
    return [(said, 5, word), (numbers, -5, small)]


def caption_regions(baseline: str) -> str:
    """What stands below the figure."""
    return (
        f"A cell's word holds beside all others of the map. Filled: ▲ {baseline} is better, ▼ it is worse,"
        " = the difference does not matter (faint: it is real, and too small); a dashed frame: not told; a"
        f" dotted one: no answer. Numbers are ratios with their 95 % intervals, above 1 where {baseline} is"
        " better."
    )


REGIONS = Drawing(
    name="regions",
    title="Region map",
    draw=lambda run: draw_regions(map_one(run)),
    caption=lambda run: caption_regions(run.record.scenario.baseline),
    is_there=lambda run: has_valid_slot(run) and can_draw_regions(map_one(run)),
)
