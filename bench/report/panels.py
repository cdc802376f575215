"""What all figures share: rows of panels, the look of an arm, and which slots are drawn."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.svg import INK

FEW_ARMS = 4
"""The key of more arms than these stands outside of the panels."""
WIDTH_IN = 7.2


def make_panels(
    columns: int, row_heights_in: Sequence[float], *, share_columns: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a row of `columns` panels for each of `row_heights_in`."""
    figure = Figure(figsize=(WIDTH_IN, sum(row_heights_in) + 0.35), layout="constrained")
    grid = figure.subplots(
        len(row_heights_in),
        columns,
        squeeze=False,
        sharex="col" if share_columns else False,
        gridspec_kw={"height_ratios": list(row_heights_in)},
    )
    return figure, [list(row) for row in grid]


def lay_lines(axes: Axes, lines: int) -> None:
    """Make the y axis a list of `lines` names, the first on top."""
    axes.set_ylim(lines - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def say_in_panel(axes: Axes, words: str) -> None:
    """Say why a panel is empty."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", style="italic")


def make_key(marker: str, label: str, **look: Any) -> Line2D:
    """A legend's entry: one marker and what it stands for."""
    return Line2D([], [], **{"color": INK, "marker": marker, "linestyle": "none", "label": label, **look})
