"""Latency of every request."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from bench.report.panels import FEW_ARMS, make_panels, say_in_panel
from bench.report.run.figures.drawing import Drawing, has_requests
from bench.report.run.selection import (
    arm_names,
    colour_of,
    label_condition,
    make_arm_keys,
    marker_of,
    present_conditions,
    slots_of,
)
from bench.report.svg import INK, STYLE
from bench.report.text import format_number
from bench.results.distributions import FEWEST_BEYOND, LEVELS
from bench.results.run import Run
from bench.statistics.histogram import find_quantiles

QUANTILES = np.unique(np.concatenate([np.linspace(0.001, 0.999, 250), 1 - np.logspace(-0.5, -4, 80)]))
LOG_FROM = 8.0
"""An axis whose ends differ by more than this factor is logarithmic."""
MOST_CURVES = 400
"""Of more slots than these, those that are drawn one by one are spread evenly over the run."""


def draw_latency(run: Run) -> Figure:
    """Latency of the requests of all valid slots, pooled by arm: the share answered in time, and the tail.

    A faint line on the left is one slot.
    """
    with matplotlib.rc_context(STYLE):
        present, names, known = present_conditions(run), arm_names(run), run.distributions()
        figure, grid = make_panels(2, [2.7] * len(present))
        most_curves = max(MOST_CURVES // (len(present) * len(names)), 3)
        for condition, (body, tail) in zip(present, grid, strict=True):
            label_condition(run, condition, body)
            pooled: dict[str, np.ndarray] = {}
            for arm in names:
                curves = [
                    known.quantiles_us[record.slot.index]
                    for record in slots_of(run, condition, arm)
                    if record.slot.index in known.quantiles_us
                ]
                for curve in curves[:: max(-(-len(curves) // most_curves), 1)]:
                    body.plot(curve, LEVELS, color=colour_of(run, arm), linewidth=0.5, alpha=0.3)
                if (condition, arm) in known.counts:
                    pooled[arm] = known.counts[condition, arm]
            _draw_body(run, body, pooled)
            _draw_tail(run, tail, pooled)
            body.set_ylabel("share answered within")
        for axes in grid[-1]:
            axes.set_xlabel("latency, us")
        if len(names) > FEW_ARMS:
            keys = make_arm_keys(run, linestyle="-", linewidth=1.7)
            figure.legend(handles=keys, loc="outside upper left", ncols=5)
        return figure


def _draw_body(run: Run, axes: Axes, pooled: dict[str, np.ndarray]) -> None:
    if not pooled:
        say_in_panel(axes, "no valid slot")
        return
    p50s_us = {arm: float(find_quantiles(counts, np.array([0.5]))[0]) for arm, counts in pooled.items()}
    baseline_us = p50s_us.get(run.record.scenario.baseline)
    for arm, counts in pooled.items():
        label = f"{arm}: p50 {format_number(p50s_us[arm])} us"
        if baseline_us is not None and arm != run.record.scenario.baseline:
            label += f" ({p50s_us[arm] - baseline_us:+.1f})"
        look: dict[str, Any] = {
            "color": colour_of(run, arm),
            "linewidth": 1.7,
            "label": label,
            "markersize": 5,
        }
        curve = find_quantiles(counts, QUANTILES)
        middle = int(np.searchsorted(QUANTILES, 0.5))
        axes.plot(curve, QUANTILES, marker=marker_of(run, arm), markevery=[middle], **look)
    axes.hlines(0.5, min(p50s_us.values()), max(p50s_us.values()), color=INK, linewidth=1, linestyle=":")
    ends_us = [find_quantiles(counts, np.array([0.005, 0.99])) for counts in pooled.values()]
    scale_latency(axes, min(low for low, _ in ends_us), max(high for _, high in ends_us))
    axes.set_ylim(0, 1)
    if len(arm_names(run)) <= FEW_ARMS:
        axes.legend(loc="lower right")


def _draw_tail(run: Run, axes: Axes, pooled: dict[str, np.ndarray]) -> None:
    if not pooled:
        say_in_panel(axes, "no valid slot")
        return
    ends_us = []
    for arm, counts in pooled.items():
        beyond = (1 - QUANTILES) * counts.sum()
        drawn = QUANTILES[(QUANTILES >= 0.5) & (beyond >= FEWEST_BEYOND)]
        if len(drawn):
            curve = find_quantiles(counts, drawn)
            axes.plot(curve, 1 - drawn, color=colour_of(run, arm), linewidth=1.7, label=arm)
            every = [int(np.searchsorted(drawn, q)) for q in (0.5, 0.9, 0.99, 0.999) if q <= drawn[-1]]
            axes.plot(
                curve[every], 1 - drawn[every], marker_of(run, arm), color=colour_of(run, arm), markersize=4
            )
            ends_us.append((curve[0], curve[-1]))
    axes.set_yscale("log")
    shares = {0.5: "p50", 0.1: "p90", 0.01: "p99", 0.001: "p99.9", 0.0001: "p99.99"}
    axes.set_yticks(list(shares), list(shares.values()))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", length=0)
    axes.set_ylim(0.6, 0.00008)
    if ends_us:
        scale_latency(axes, min(low for low, _ in ends_us), max(high for _, high in ends_us))


def scale_latency(axes: Axes, low_us: float, high_us: float) -> None:
    """Fit the axis to what is drawn, so that a difference of microseconds shows; far tails need a log."""
    if high_us > LOG_FROM * low_us:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(low_us / 1.05, high_us * 1.05)
    else:
        room = max(0.03 * (high_us - low_us), 0.01)
        axes.set_xlim(low_us - room, high_us + room)


LATENCY = Drawing(
    name="latency",
    title="Latency of every request",
    draw=draw_latency,
    caption=lambda _: (
        "The further right a curve runs, the slower its arm: on the left (valid slots pooled,"
        " faint lines slots) the dotted line spans the medians, and on the right you see"
        " whether the distance lasts into the slowest requests."
    ),
    is_there=has_requests,
)
