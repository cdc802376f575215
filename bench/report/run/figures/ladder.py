"""The ladder: what each step adds."""

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.judgement.comparison import Comparison
from bench.report.panels import lay_lines, make_panels
from bench.report.run.figures.block_ratios import FAR
from bench.report.run.figures.costs import Cost, draw_cost, draw_gap, find_costs, format_cost, label_cost
from bench.report.run.figures.drawing import Drawing, has_valid_slot
from bench.report.run.selection import compared_conditions, label_condition
from bench.report.svg import INK, STYLE
from bench.results.run import Run


def draw_ladder(run: Run) -> Figure:
    """The cost of each rung, joined by what its step adds to the rung above it; other arms below."""
    scenario, leading = run.record.scenario, run.record.scenario.leading
    sides = [arm.name for arm in scenario.compared if arm.name not in scenario.ladder]
    lines = [*scenario.ladder, *sides]
    present = compared_conditions(run)
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(1, [0.3 + 0.34 * len(lines)] * len(present))
        for condition, (axes,) in zip(present, grid, strict=True):
            label_condition(run, condition, axes)
            costs = find_costs(run, condition)
            edge = _scale_costs(axes, [costs[name] for name in lines if name in costs])
            for step in run.verdict.steps:
                if (step.metric, step.condition) == (leading, run.conditions[condition].label):
                    _draw_step(axes, step, lines, costs, edge)
            for line, name in enumerate(lines):
                if name in costs:
                    draw_cost(run, axes, line, name, costs[name], edge)
                else:
                    draw_gap(run, condition, axes, line, name)
            for name in sides:
                if name in costs:
                    label = f"{format_cost(costs[name].size, leading.unit)} against {scenario.baseline}"
                    label_cost(axes, lines.index(name), costs[name], edge, label, style="italic")
            if sides:
                axes.axhline(len(scenario.ladder) - 0.5, color=INK, linewidth=0.6, linestyle="--", alpha=0.6)
            axes.set_yticks(range(len(lines)), lines)
            lay_lines(axes, len(lines))
        grid[-1][0].set_xlabel(f"{leading.label} minus that of {scenario.baseline}, {leading.unit}")
        return figure


def _scale_costs(axes: Axes, costs: list[Cost]) -> float:
    """Fit the axis to the costs and their intervals; returns the edge, where what lies beyond is drawn."""
    near = sorted(costs, key=lambda cost: abs(cost.size))
    while len(near) > 2 and near[-1].size > FAR * abs(near[-2].size) > 0:
        near.pop()
    low = min(min(cost.ci95[0], cost.size) for cost in near)
    high = max(max(cost.ci95[1], cost.size) for cost in near)
    width = max(high - low, 0.1)
    # Room on the right for the numbers, and for what is drawn on the edge.
    edge = high + 0.12 * width if len(near) < len(costs) else high
    axes.set_xlim(low - 0.05 * width, edge + 0.3 * width)
    return edge


def _draw_step(axes: Axes, step: Comparison, lines: list[str], costs: dict[str, Cost], edge: float) -> None:
    """A bar as long as the step, hung from the lighter rung's place, with its number."""
    if step.difference is None or not {step.baseline, step.candidate} <= costs.keys():
        return
    top, line = lines.index(step.baseline), lines.index(step.candidate)
    start, end = (min(costs[name].size, edge) for name in (step.baseline, step.candidate))
    axes.vlines(start, top, line, color=INK, linewidth=0.8, linestyle=":")
    corner = min(start, end), line - 0.3
    axes.add_patch(Rectangle(corner, abs(end - start), 0.6, color=INK, alpha=0.12, linewidth=0))
    label = format_cost(step.difference, step.unit, step.word)
    label_cost(axes, line, costs[step.candidate], edge, label, weight="bold")


LADDER = Drawing(
    name="ladder",
    title="What each step adds",
    draw=draw_ladder,
    caption=lambda run: (
        f"A mark is an arm's {run.record.scenario.leading.short} beyond that of"
        f" {run.record.scenario.baseline} with its 95 % interval, the grey bar and the number"
        " what its step adds to the rung above it (? not told from nothing, ✕ no"
        " answer, a hollow mark a comparison that is INVALID). An arrow stands on the edge for"
        " an arm far beyond it; arms below the dashed line are no rungs."
    ),
    is_there=lambda run: has_valid_slot(run) and bool(run.verdict.steps),
)
