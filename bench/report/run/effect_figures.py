"""Effects become figures: the ratios of blocks, the ladder, and the costs under several conditions."""

from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from bench.judgement.comparison import Compared, Comparison, Word
from bench.report.panels import FEW_ARMS, lay_lines, make_panels
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.selection import (
    arm_names,
    colour_of,
    compared_conditions,
    label_condition,
    look_of_many,
    marker_of,
)
from bench.report.svg import INK, STYLE
from bench.report.table import NOT_AVAILABLE
from bench.results.run import Run
from bench.scenario.metric import Metric

P50 = Metric.P50_LATENCY_US
FAR = 4.0
"""An arm whose cost is this many times the next one's is drawn on the edge, so that the others stay apart."""
MOST_LINES = 40
SIGNS = {Word.INCONCLUSIVE: " ?", Word.INVALID: " ✕"}
"""Behind the number of a step that is not told from nothing, or has no answer."""


def draw_block_ratios(run: Run) -> Figure:
    """Ratio of every block, the pooled ratio with its 95 % interval, and below them the A/A pairs."""
    present = compared_conditions(run)
    rows = [
        [
            [c for c in run.verdict.comparisons if c.condition == condition.label and c.metric is metric]
            for metric in run.record.scenario.metrics
        ]
        for condition in (run.conditions[index] for index in present)
    ]
    with matplotlib.rc_context(STYLE):
        line_in = 0.42 if len(arm_names(run)) <= FEW_ARMS else 0.3
        heights_in = [0.35 + line_in * len(row[0]) for row in rows]
        figure, grid = make_panels(len(run.record.scenario.metrics), heights_in, share_columns=True)
        for condition, panels, row in zip(present, grid, rows, strict=True):
            label_condition(run, condition, panels[0])
            for axes, compared in zip(panels, row, strict=True):
                _draw_ratios(run, axes, compared)
            for axes in panels[1:]:
                axes.set_yticklabels([])
        for column, (axes, metric) in enumerate(zip(grid[-1], run.record.scenario.metrics, strict=True)):
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


@dataclass(frozen=True)
class Cost:
    """An arm's p50 minus the baseline's, in us, with its 95 % interval."""

    us: float
    ci95_us: tuple[float, float]
    word: Word | None
    """None: it is the baseline itself."""


def find_costs(run: Run, condition: int) -> dict[str, Cost]:
    """The cost of every arm that has one under that condition."""
    found = {run.record.scenario.baseline: Cost(0, (0, 0), None)}
    for comparison in comparisons_of_arms(run):
        if (comparison.metric, comparison.condition) == (P50, run.conditions[condition].label):
            difference, interval = comparison.difference, comparison.difference_ci95
            if difference is not None and interval is not None:
                found[comparison.candidate] = Cost(difference, interval, comparison.word)
    return found


def draw_ladder(run: Run) -> Figure:
    """The cost of each rung, joined by what its step adds to the rung above it; other arms below."""
    scenario = run.record.scenario
    sides = [arm.name for arm in scenario.compared if arm.name not in scenario.ladder]
    lines = [*scenario.ladder, *sides]
    present = compared_conditions(run)
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(1, [0.3 + 0.34 * len(lines)] * len(present))
        for condition, (axes,) in zip(present, grid, strict=True):
            label_condition(run, condition, axes)
            costs = find_costs(run, condition)
            edge_us = _scale_costs(axes, [costs[name] for name in lines if name in costs])
            for step in run.verdict.steps:
                if (step.metric, step.condition) == (P50, run.conditions[condition].label):
                    _draw_step(axes, step, lines, costs, edge_us)
            for line, name in enumerate(lines):
                if name in costs:
                    _draw_cost(run, axes, line, name, costs[name], edge_us)
                else:
                    _draw_gap(run, condition, axes, line, name)
            for name in sides:
                if name in costs:
                    label = f"{costs[name].us:+.{_decimals(costs[name].us)}f} us against {scenario.baseline}"
                    _label_cost(axes, lines.index(name), costs[name], edge_us, label, style="italic")
            if sides:
                axes.axhline(len(scenario.ladder) - 0.5, color=INK, linewidth=0.6, linestyle="--", alpha=0.6)
            axes.set_yticks(range(len(lines)), lines)
            lay_lines(axes, len(lines))
        grid[-1][0].set_xlabel(f"{P50.label} minus that of {scenario.baseline}, us")
        return figure


def _scale_costs(axes: Axes, costs: list[Cost]) -> float:
    """Fit the axis to the costs and their intervals; returns the edge, where what lies beyond is drawn."""
    near = sorted(costs, key=lambda cost: abs(cost.us))
    while len(near) > 2 and near[-1].us > FAR * abs(near[-2].us) > 0:
        near.pop()
    low = min(min(cost.ci95_us[0], cost.us) for cost in near)
    high = max(max(cost.ci95_us[1], cost.us) for cost in near)
    width = max(high - low, 0.1)
    # Room on the right for the numbers, and for what is drawn on the edge.
    edge_us = high + 0.12 * width if len(near) < len(costs) else high
    axes.set_xlim(low - 0.05 * width, edge_us + 0.3 * width)
    return edge_us


def _draw_step(
    axes: Axes, step: Comparison, lines: list[str], costs: dict[str, Cost], edge_us: float
) -> None:
    """A bar as long as the step, hung from the lighter rung's place, with its number."""
    if step.difference is None or not {step.baseline, step.candidate} <= costs.keys():
        return
    top, line = lines.index(step.baseline), lines.index(step.candidate)
    start_us, end_us = (min(costs[name].us, edge_us) for name in (step.baseline, step.candidate))
    axes.vlines(start_us, top, line, color=INK, linewidth=0.8, linestyle=":")
    corner = min(start_us, end_us), line - 0.3
    axes.add_patch(Rectangle(corner, abs(end_us - start_us), 0.6, color=INK, alpha=0.12, linewidth=0))
    label = f"{step.difference:+.{_decimals(step.difference)}f} us{SIGNS.get(step.word, '')}"
    _label_cost(axes, line, costs[step.candidate], edge_us, label, weight="bold")


def _draw_gap(run: Run, condition: int, axes: Axes, line: int, name: str) -> None:
    gaps = {**run.record.unavailable, **run.record.unavailable_under.get(condition, {})}
    why = NOT_AVAILABLE if name in gaps else "INVALID: no difference"
    place = axes.get_yaxis_transform()
    axes.text(0.99, line, why, transform=place, ha="right", va="center", style="italic", fontsize=8)


def _draw_cost(run: Run, axes: Axes, line: int, name: str, cost: Cost, edge_us: float) -> None:
    colour = colour_of(run, name)
    if cost.us > edge_us:
        axes.plot([edge_us], [line], ">", color=colour, markersize=8)
        return
    axes.hlines(line, *cost.ci95_us, color=colour, linewidth=2)
    axes.plot(
        [cost.us],
        [line],
        marker_of(run, name),
        color=colour,
        markersize=6,
        markerfacecolor="none" if cost.word is Word.INVALID else colour,
    )


def _label_cost(axes: Axes, line: int, cost: Cost, edge_us: float, label: str, **look: Any) -> None:
    """A number to the right of an arm's interval."""
    beyond = cost.us > edge_us
    end_us = edge_us if beyond else max(cost.ci95_us[1], cost.us)
    if beyond:
        label += f" (at {cost.us:+.{_decimals(cost.us)}f})"
    axes.annotate(label, (end_us, line), (7, 0), textcoords="offset points", va="center", fontsize=8, **look)


def _decimals(us: float) -> int:
    """Of a number of microseconds: two where one would leave a single digit."""
    return 2 if abs(us) < 1 else 1


def can_draw_costs(run: Run) -> bool:
    """Whether there are conditions whose costs can be told apart in one figure."""
    lines = (len(arm_names(run)) - 1) * len(compared_conditions(run))
    return bool(run.verdict.changes) and 0 < lines <= MOST_LINES


def draw_costs(run: Run) -> Figure:
    """The cost of every candidate under every condition, with its 95 % interval."""
    present = compared_conditions(run)
    candidates = [name for name in arm_names(run) if name != run.record.scenario.baseline]
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
                    _draw_gap(run, condition, axes, line, name)
                else:
                    _draw_cost(run, axes, line, name, cost, np.inf)
                    label = (
                        f"{cost.us:+.{_decimals(cost.us)}f} us{SIGNS.get(cost.word, '') if cost.word else ''}"
                    )
                    _label_cost(axes, line, cost, np.inf, label)
            axes.set_yticks(range(len(labels)), labels)
            lay_lines(axes, len(labels))
            axes.margins(x=0.2)
        grid[-1][0].set_xlabel(f"{P50.label} minus that of {run.record.scenario.baseline}, us")
        return figure
