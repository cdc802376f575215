"""Throughput of every slot."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import lay_lines, make_key, make_panels
from bench.report.run.figures.drawing import Drawing, has_requests
from bench.report.run.selection import (
    arm_names,
    colour_of,
    label_condition,
    look_of_many,
    marker_of,
    present_conditions,
    slots_of,
)
from bench.report.svg import STYLE
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.statistics.estimate import estimate


def draw_throughput(run: Run) -> Figure:
    """Throughput of every valid slot, an arm's mean over blocks with its 95 % interval, and wrk's witness."""
    names = arm_names(run)
    with matplotlib.rc_context(STYLE):
        present = present_conditions(run)
        figure, grid = make_panels(1, [0.6 + 0.45 * len(names)] * len(present))
        for condition, (axes,) in zip(present, grid, strict=True):
            label_condition(run, condition, axes)
            for line, arm in enumerate(names):
                _draw_throughput_of(run, axes, condition, line, arm)
            axes.set_yticks(range(len(names)), names)
            lay_lines(axes, len(names))
            axes.xaxis.set_major_formatter("{x:,.0f}")
        grid[-1][0].set_xlabel("throughput, req/s")
        interval: dict[str, Any] = {"linestyle": "-", "linewidth": 2, "markersize": 11, "markeredgewidth": 2}
        handles = [make_key("o", "one slot", alpha=0.7), make_key("|", "mean over blocks, 95 %", **interval)]
        if any(record.wrk_witness_rps for record in run.record.slots):
            handles.append(make_key("d", "the same slot by wrk", markerfacecolor="none"))
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
        return figure


def _draw_throughput_of(run: Run, axes: Axes, condition: int, line: int, arm: str) -> None:
    """The slots of an arm on one line, in order of time from top to bottom."""
    colour, measured = colour_of(run, arm), slots_of(run, condition, arm)
    usable = [
        (record, value)
        for record in measured
        if record.valid and (value := record.values.get(Metric.THROUGHPUT_RPS)) is not None
    ]
    if not usable:
        axes.text(
            0.01, line, "no valid slot", transform=axes.get_yaxis_transform(), style="italic", va="center"
        )
        return
    heights = line + np.linspace(-0.2, 0.34, len(usable))
    rates = [value for _, value in usable]
    look: dict[str, Any] = {"color": colour, "markersize": 3.5, "alpha": 0.7} | look_of_many(run)
    axes.plot(rates, heights, marker_of(run, arm), **look)
    witnessed = [
        (record.wrk_witness_rps, height)
        for (record, _), height in zip(usable, heights, strict=True)
        if record.wrk_witness_rps
    ]
    if witnessed:
        hollow: dict[str, Any] = {"color": colour, "markersize": 5, "markerfacecolor": "none"} | look_of_many(
            run
        )
        axes.plot(*zip(*witnessed, strict=True), "d", **hollow)
    blocks = pd.DataFrame(
        [(record.slot.session, record.slot.block, value) for record, value in usable],
        columns=["session", "block", "rps"],
    )
    means = blocks.groupby(["session", "block"])["rps"].mean()
    if len(means) >= 2:
        sessions = list(means.index.get_level_values("session"))
        found = estimate(means.to_list(), sessions)
        axes.hlines(line - 0.38, *found.ci95, color=colour, linewidth=2.5)
        axes.plot([found.mean], [line - 0.38], "|", color=colour, markersize=11, markeredgewidth=2)


THROUGHPUT = Drawing(
    name="throughput",
    title="Throughput of every slot",
    draw=draw_throughput,
    caption=lambda _: (
        "Arms may overlap here and still differ, because drift moves all of them: the ratios"
        " above pair them block by block, which these marks do not (within an arm, time runs"
        " downwards)."
    ),
    is_there=has_requests,
)
