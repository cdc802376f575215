"""Distribution of every hop."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import make_panels
from bench.report.run.anatomy import label_of
from bench.report.run.anatomy_tables import name_row, order_hops
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.run.figures.latency import scale_latency
from bench.report.run.selection import colour_of, make_arm_keys, marker_of
from bench.report.svg import STYLE
from bench.results.run import Run
from bench.wire.anatomy.model import ArmAnatomy
from bench.wire.hops import list_hops

QUANTILES = np.linspace(0.005, 0.95, 200)
"""Beyond them are stalls, which are in no hop by its nature, and would squeeze what is."""


def draw_hops(run: Run) -> Figure:
    """The distribution of every hop, a panel a hop and a line an arm, under the first condition with taps."""
    tapped = require_some(run.anatomy.arms, "slot with taps that counts")
    condition = tapped[0].condition
    arms = [arm for arm in tapped if arm.condition == condition]
    pooled = {arm.arm: _pool(run, arm) for arm in arms}
    hops = [
        row
        for row in order_hops(arms)
        if any(np.any(of_arm[row.name]) for of_arm in pooled.values() if row.name in of_arm)
    ]
    columns = 3
    rows = -(-len(hops) // columns)
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(columns, [1.5] * rows)
        panels = [axes for row in grid for axes in row]
        for hop, axes in zip(hops, panels, strict=False):
            _draw_distribution(run, axes, {arm: of[hop.name] for arm, of in pooled.items() if hop.name in of})
            axes.set_title(name_row(hop), loc="left", fontsize=8)
        for axes in panels[len(hops) :]:
            axes.axis("off")
        for row in grid:
            row[0].set_ylabel("share within")
            for axes in row[1:]:
                axes.set_yticklabels([])
        for axes in panels[max(len(hops) - columns, 0) : len(hops)]:
            axes.set_xlabel("us")
        names = set(pooled)
        keys = [key for key in make_arm_keys(run, linestyle="-", linewidth=1.5) if key.get_label() in names]
        title = label_of(run, condition)
        figure.legend(handles=keys, loc="outside upper left", ncols=5, title=title or None)
        return figure


def _pool(run: Run, arm: ArmAnatomy) -> dict[str, np.ndarray]:
    """Every hop of an arm in us, of all requests of its valid captures."""
    found: dict[str, list[np.ndarray]] = {}
    for record in run.tapped:
        of_arm = (record.slot.arm, record.slot.condition) == (arm.arm, arm.condition)
        if of_arm and record.valid and record.capture:
            frame = run.hops(record.slot.index)
            for hop in list_hops(arm.taps):
                us = (frame[hop.later] - frame[hop.earlier]).to_numpy() / 1e3
                found.setdefault(hop.name, []).append(us)
    return {name: np.concatenate(values) for name, values in found.items()}


def _draw_distribution(run: Run, axes: Axes, of_arms: dict[str, np.ndarray]) -> None:
    ends_us = []
    for arm, values_us in of_arms.items():
        curve = np.quantile(values_us, QUANTILES)
        middle = [int(np.searchsorted(QUANTILES, 0.5))]
        look: dict[str, Any] = {"color": colour_of(run, arm), "linewidth": 1.3, "markersize": 4}
        axes.plot(curve, QUANTILES, marker=marker_of(run, arm), markevery=middle, **look)
        ends_us.append((curve[0], curve[-1]))
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    scale_latency(axes, min(low for low, _ in ends_us), max(high for _, high in ends_us))
    axes.xaxis.set_major_formatter("{x:g}")


HOPS = Drawing(
    name="hops",
    title="Distribution of every hop",
    draw=draw_hops,
    caption=lambda _: (
        "A curve is the share of an arm's requests whose hop took no longer (of all valid captures,"
        " to the 95th percentile), its mark the median: where curves lie on one another, the arms"
        " spend the same there."
    ),
    is_there=lambda run: bool(run.anatomy.arms),
)
