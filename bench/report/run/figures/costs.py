"""The cost of every arm under every condition."""

from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.judgement.comparison import Word
from bench.report.panels import lay_lines, make_panels
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.figures.drawing import Drawing, has_valid_slot
from bench.report.run.selection import arm_names, colour_of, compared_conditions, marker_of
from bench.report.svg import INK, STYLE
from bench.report.symbols import SYMBOLS
from bench.report.table import NOT_AVAILABLE
from bench.results.run import Run

MOST_LINES = 40


@dataclass(frozen=True)
class Cost:
    """An arm's leading metric (a request's p50, say) minus the baseline's, with its 95 % interval."""

    size: float
    """In the metric's unit."""
    ci95: tuple[float, float]
    word: Word | None
    """None: it is the baseline itself."""


def find_costs(run: Run, condition: int) -> dict[str, Cost]:
    """The cost of every arm that has one under that condition."""
    leading = run.record.scenario.leading
    found = {run.record.scenario.baseline: Cost(0, (0, 0), None)}
    for comparison in comparisons_of_arms(run):
        if (comparison.metric, comparison.condition) == (leading, run.conditions[condition].label):
            difference, interval = comparison.difference, comparison.difference_ci95
            if difference is not None and interval is not None:
                found[comparison.candidate] = Cost(difference, interval, comparison.word)
    return found


def draw_gap(run: Run, condition: int, axes: Axes, line: int, name: str) -> None:
    """Say on an arm's line why it has no cost."""
    gaps = {**run.record.unavailable, **run.record.unavailable_under.get(condition, {})}
    why = NOT_AVAILABLE if name in gaps else "INVALID: no difference"
    place = axes.get_yaxis_transform()
    axes.text(0.99, line, why, transform=place, ha="right", va="center", style="italic", fontsize=8)


def draw_cost(run: Run, axes: Axes, line: int, name: str, cost: Cost, edge: float) -> None:
    """A mark with its interval; an arrow on the edge for what lies beyond it."""
    colour = colour_of(run, name)
    if cost.size > edge:
        axes.plot([edge], [line], ">", color=colour, markersize=8)
        return
    axes.hlines(line, *cost.ci95, color=colour, linewidth=2)
    axes.plot(
        [cost.size],
        [line],
        marker_of(run, name),
        color=colour,
        markersize=6,
        markerfacecolor="none" if cost.word is Word.INVALID else colour,
    )


def label_cost(axes: Axes, line: int, cost: Cost, edge: float, label: str, **look: Any) -> None:
    """A number to the right of an arm's interval."""
    beyond = cost.size > edge
    end = edge if beyond else max(cost.ci95[1], cost.size)
    if beyond:
        label += f" (at {_signed(cost.size)})"
    axes.annotate(label, (end, line), (7, 0), textcoords="offset points", va="center", fontsize=8, **look)


def format_cost(size: float, unit: str, word: Word | None = None) -> str:
    """`+2.3 us`, with the sign of a word that does not tell it from nothing: `+0.02 us ?`."""
    sign = f" {SYMBOLS[word]}" if word in (Word.INCONCLUSIVE, Word.INVALID) else ""
    return f"{_signed(size)} {unit}{sign}"


def _signed(size: float) -> str:
    """With two decimals where one would leave a single digit."""
    return f"{size:+.{2 if abs(size) < 1 else 1}f}"


def can_draw_costs(run: Run) -> bool:
    """Whether there are conditions whose costs can be told apart in one figure."""
    lines = (len(arm_names(run)) - 1) * len(compared_conditions(run))
    return bool(run.verdict.changes) and 0 < lines <= MOST_LINES


def draw_costs(run: Run) -> Figure:
    """The cost of every candidate under every condition, with its 95 % interval."""
    present = compared_conditions(run)
    candidates = [name for name in arm_names(run) if name != run.record.scenario.baseline]
    leading = run.record.scenario.leading
    labels = [run.conditions[index].label for index in present]
    with matplotlib.rc_context(STYLE):
        heights_in = [0.3 + 0.3 * len(present)] * len(candidates)
        figure, grid = make_panels(1, heights_in, share_columns=True)
        for name, (axes,) in zip(candidates, grid, strict=True):
            axes.set_title(name, loc="left", fontweight="bold", fontsize=8)
            axes.axvline(0, color=INK, linewidth=1)
            for line, condition in enumerate(present):
                cost = find_costs(run, condition).get(name)
                if cost is None:
                    draw_gap(run, condition, axes, line, name)
                else:
                    draw_cost(run, axes, line, name, cost, np.inf)
                    label_cost(axes, line, cost, np.inf, format_cost(cost.size, leading.unit, cost.word))
            axes.set_yticks(range(len(labels)), labels)
            lay_lines(axes, len(labels))
            axes.margins(x=0.2)
        grid[-1][0].set_xlabel(
            f"{leading.label} minus that of {run.record.scenario.baseline}, {leading.unit}"
        )
        return figure


COSTS = Drawing(
    name="changes",
    title="Cost under each condition",
    draw=draw_costs,
    caption=lambda run: (
        f"A mark is the arm's {run.record.scenario.leading.short} beyond that of"
        f" {run.record.scenario.baseline} with its 95 % interval (? not told from nothing,"
        " hollow and ✕ INVALID). Conditions share blocks, so a change between two"
        " is judged in pairs, in the tables: these intervals alone do not tell it."
    ),
    is_there=lambda run: has_valid_slot(run) and can_draw_costs(run),
)
