"""Ratio of every block, and the noise floor."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from bench.judgement.comparison import Compared, Comparison
from bench.report.panels import FEW_ARMS, lay_lines, make_panels
from bench.report.run.answer import compared_metrics, comparisons_of_arms
from bench.report.run.figures.drawing import Drawing
from bench.report.run.selection import (
    arm_names,
    colour_of,
    compared_conditions,
    label_condition,
    look_of_many,
    marker_of,
)
from bench.report.svg import INK, STYLE
from bench.results.run import Run

FAR = 4.0
"""An arm whose cost is this many times the next one's is drawn on the edge, so that the others stay apart."""

MOST_METRICS = 4
"""Beside one another; the others stand in the tables."""


def draw_block_ratios(run: Run) -> Figure:
    """Ratio of every block, the pooled ratio with its 95 % interval, and below them the A/A pairs."""
    present, metrics = compared_conditions(run), compared_metrics(run)[:MOST_METRICS]
    rows = [
        [
            [c for c in run.verdict.comparisons if c.condition == condition.label and c.metric is metric]
            for metric in metrics
        ]
        for condition in (run.conditions[index] for index in present)
    ]
    with matplotlib.rc_context(STYLE):
        line_in = 0.42 if len(arm_names(run)) <= FEW_ARMS else 0.3
        heights_in = [0.35 + line_in * len(row[0]) for row in rows]
        figure, grid = make_panels(len(metrics), heights_in, share_columns=True)
        for condition, panels, row in zip(present, grid, rows, strict=True):
            label_condition(run, condition, panels[0])
            for axes, compared in zip(panels, row, strict=True):
                _draw_ratios(run, axes, compared)
            for axes in panels[1:]:
                axes.set_yticklabels([])
        for column, (axes, metric) in enumerate(zip(grid[-1], metrics, strict=True)):
            _keep_near([panels[column] for panels in grid], [row[column] for row in rows])
            axes.set_xlabel(f"{metric.label} ratio\n(> 1: {run.record.scenario.baseline} better)")
        return figure


def _keep_near(panels: list[Axes], compared: list[list[Comparison]]) -> None:
    """End a column's axis before an arm that is far beyond all others, and say there where it is."""
    known = [c for of_panel in compared for c in of_panel if c.ratio is not None and c.ci95 is not None]
    near = sorted(known, key=lambda c: c.ratio or 0)
    while len(near) > 2 and (near[-1].ratio or 0) - 1 > FAR * abs((near[-2].ratio or 0) - 1) > 0:
        near.pop()
    if len(near) == len(known):
        return
    ends = [end for c in near for end in (*c.block_ratios, *(c.ci95 or ()))]
    room = 0.07 * (max(ends) - min(ends))
    panels[0].set_xlim(min(ends) - room, max(ends) + 3 * room)
    for axes, of_panel in zip(panels, compared, strict=True):
        for line, comparison in enumerate(of_panel):
            if comparison in known and comparison not in near:
                place = axes.get_yaxis_transform()
                axes.text(0.97, line, f"{comparison.ratio:.2f} →", transform=place, ha="right", va="center")


def _draw_ratios(run: Run, axes: Axes, compared: list[Comparison]) -> None:
    """One line of the panel a comparison, its blocks from top to bottom in order of time."""
    margin = compared[0].margin
    axes.axvspan(1 / (1 + margin), 1 + margin, color=INK, alpha=0.06, linewidth=0)
    for edge in (1 / (1 + margin), 1 + margin):
        axes.axvline(edge, color=INK, linewidth=0.8, linestyle="--")
    axes.axvline(1, color=INK, linewidth=1)
    for line, comparison in enumerate(compared):
        if comparison.ratio is None or comparison.ci95 is None:
            place = axes.get_yaxis_transform()
            axes.text(
                0.97, line, "INVALID: no ratio", transform=place, ha="right", va="center", style="italic"
            )
            continue
        colour = colour_of(run, comparison.candidate)
        low, high = comparison.ci95
        own = comparison.kind is Compared.ITSELF
        axes.add_patch(Rectangle((low, line - 0.4), high - low, 0.8, color=colour, alpha=0.25, linewidth=0))
        axes.vlines(comparison.ratio, line - 0.4, line + 0.4, color=colour, linewidth=1.8, zorder=3)
        blocks = len(comparison.block_ratios)
        look: dict[str, Any] = {
            "color": colour,
            "marker": marker_of(run, comparison.candidate),
            "markersize": 3,
            "markerfacecolor": "none" if own else colour,
            "markeredgewidth": 0.7,
        }
        heights = line + np.linspace(-0.3, 0.3, blocks)
        axes.plot(comparison.block_ratios, heights, linestyle="none", **look | look_of_many(run))
    names = [
        f"{c.candidate} vs {c.baseline}" if c.kind is Compared.ARMS else f"{c.baseline} A/A" for c in compared
    ]
    axes.set_yticks(range(len(compared)), names)
    lay_lines(axes, len(compared))
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _caption(run: Run) -> str:
    ratios = [
        ratio
        for comparison in comparisons_of_arms(run)
        if comparison.metric is run.record.scenario.leading
        for ratio in comparison.block_ratios
    ]
    ahead = sum(ratio > 1 for ratio in ratios)
    seen = (
        f"{ahead} of {len(ratios)} blocks have a {run.record.scenario.leading.short} ratio above 1; a mark"
        if ratios
        else "A mark"
    )
    return (
        f"{seen} is a block, the line in its box the pooled ratio and its 95 % interval, the"
        " grey zone the margin; hollow marks are A/A pairs, whose spread around 1 is what"
        " noise alone does here."
    )


BLOCK_RATIOS = Drawing(
    name="block-ratios",
    title="Ratio of every block, and the noise floor",
    draw=draw_block_ratios,
    caption=_caption,
)
