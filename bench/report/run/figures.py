"""Slots become figures: pure functions, without pyplot and its global state; the caller saves or shows them.

Every figure has a row of panels a condition, and a colour and a marker an arm.
"""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from bench.report.panels import FEW_ARMS, lay_lines, make_key, make_panels, say_in_panel
from bench.report.run.selection import (
    arm_names,
    colour_of,
    label_condition,
    look_of_many,
    make_arm_keys,
    marker_of,
    name_failed_gates,
    present_conditions,
    slots_of,
    start_seconds,
)
from bench.report.svg import INK, STYLE
from bench.report.text import format_number
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.statistics.estimate import estimate
from bench.statistics.histogram import count_latencies, find_quantiles

GATE_MARKERS = ("x", "+", "1", "2", "3", "4", "|", "_")
QUANTILES = np.unique(np.concatenate([np.linspace(0.001, 0.999, 250), 1 - np.logspace(-0.5, -4, 80)]))
SLOT_QUANTILES = np.linspace(0.005, 0.995, 60)
LOG_FROM = 8.0
"""An axis whose ends differ by more than this factor is logarithmic."""
FEWEST_BEYOND = 10
"""A tail is drawn as far as this many requests lie beyond it."""
MOST_CURVES = 400
"""Of more slots than these, those that are drawn one by one are spread evenly over the run."""


def draw_latency(run: Run) -> Figure:
    """Latency of the requests of all valid slots, pooled by arm: the share answered in time, and the tail.

    A faint line on the left is one slot. No more than one slot's requests are held at a time.
    """
    with matplotlib.rc_context(STYLE):
        present, names = present_conditions(run), arm_names(run)
        figure, grid = make_panels(2, [2.7] * len(present))
        most_curves = max(MOST_CURVES // (len(present) * len(names)), 3)
        for condition, (body, tail) in zip(present, grid, strict=True):
            label_condition(run, condition, body)
            pooled: dict[str, np.ndarray] = {}
            for arm in names:
                counts, curves = _read_latencies(run, condition, arm)
                for curve in curves[:: max(-(-len(curves) // most_curves), 1)]:
                    body.plot(curve, SLOT_QUANTILES, color=colour_of(run, arm), linewidth=0.5, alpha=0.3)
                if counts.any():
                    pooled[arm] = counts
            _draw_body(run, body, pooled)
            _draw_tail(run, tail, pooled)
            body.set_ylabel("share answered within")
        for axes in grid[-1]:
            axes.set_xlabel("latency, us")
        if len(names) > FEW_ARMS:
            keys = make_arm_keys(run, linestyle="-", linewidth=1.7)
            figure.legend(handles=keys, loc="outside upper left", ncols=5)
        return figure


def _read_latencies(run: Run, condition: int, arm: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Of an arm's valid slots: all latencies as counts, and the quantiles of each slot (`SLOT_QUANTILES`)."""
    nothing, curves = np.empty(0), list[np.ndarray]()
    counts = count_latencies(nothing)
    for record in slots_of(run, condition, arm):
        latencies_us = run.latencies_us(record.slot.index) if record.valid and record.requests else nothing
        if len(latencies_us):
            counts += count_latencies(latencies_us)
            curves.append(np.quantile(latencies_us, SLOT_QUANTILES))
    return counts, curves


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


def draw_slot_timeline(run: Run) -> Figure:
    """The p50 of every slot at the time when it was measured; an INVALID slot bears the mark of its gate."""
    arms = arm_names(run)
    failed = sorted(
        {
            name_failed_gates(record)
            for record in run.record.slots
            if not record.valid and record.slot.arm in arms
        }
    )
    marks = {gates: GATE_MARKERS[index % len(GATE_MARKERS)] for index, gates in enumerate(failed)}
    with matplotlib.rc_context(STYLE):
        present = present_conditions(run)
        start_s = start_seconds(run)
        height_in = 1.9 if len(arms) <= FEW_ARMS else 2.7
        figure, grid = make_panels(1, [height_in] * len(present), share_columns=True)
        for condition, (axes,) in zip(present, grid, strict=True):
            label_condition(run, condition, axes)
            _draw_timeline(run, axes, condition, start_s, marks)
            axes.set_ylabel("p50 latency, us")
        grid[-1][0].set_xlabel("time since the run began, s")
        handles = make_arm_keys(run)
        handles += [make_key(mark, f"INVALID: {gates}", markersize=9) for gates, mark in marks.items()]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 4))
        return figure


def _draw_timeline(
    run: Run, axes: Axes, condition: int, start_s: dict[int, float], marks: dict[str, str]
) -> None:
    values: list[float] = []
    marked: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for arm in arm_names(run):
        look: dict[str, Any] = {"color": colour_of(run, arm), "markersize": 4, "marker": marker_of(run, arm)}
        look |= look_of_many(run)
        points: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for record in slots_of(run, condition, arm):
            second, value = start_s[record.slot.index], record.values.get(Metric.P50_LATENCY_US)
            if value is not None:
                points[record.valid].append((second, value))
            if value is None or not record.valid:
                key = marks.get(name_failed_gates(record), "."), value is None
                # A slot that gave no p50 has its mark on the axis.
                marked.setdefault(key, []).append((second, 0.03 if value is None else value))
        values += [value for _, value in points[True] + points[False]]
        if points[True]:
            axes.plot(*zip(*points[True], strict=True), linewidth=0.5, **look)
        if points[False]:
            axes.plot(*zip(*points[False], strict=True), linestyle="none", markerfacecolor="none", **look)
    for (mark, on_axis), found in marked.items():
        x, y = zip(*found, strict=True)
        place = axes.get_xaxis_transform() if on_axis else axes.transData
        axes.plot(x, y, mark, color=INK, markersize=11, markeredgewidth=1.4, transform=place)
    if not values:
        say_in_panel(axes, "no slot gave a p50")
    elif max(values) > LOG_FROM * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
