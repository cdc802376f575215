"""Every slot in the order of time."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import FEW_ARMS, make_key, make_panels, say_in_panel
from bench.report.run.figures.drawing import Drawing
from bench.report.run.figures.latency import LOG_FROM
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
from bench.report.symbols import GATE_MARKERS
from bench.report.text import count
from bench.results.run import Run


def draw_slot_timeline(run: Run) -> Figure:
    """The leading metric of every slot at its time; an INVALID slot bears the mark of its gate."""
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
        start_s, leading = start_seconds(run), run.record.scenario.leading
        height_in = 1.9 if len(arms) <= FEW_ARMS else 2.7
        figure, grid = make_panels(1, [height_in] * len(present), share_columns=True)
        for condition, (axes,) in zip(present, grid, strict=True):
            label_condition(run, condition, axes)
            _draw_timeline(run, axes, condition, start_s, marks)
            axes.set_ylabel(f"{leading.label}, {leading.unit}")
        grid[-1][0].set_xlabel("time since the run began, s")
        handles = make_arm_keys(run)
        handles += [make_key(mark, f"INVALID: {gates}", markersize=9) for gates, mark in marks.items()]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 4))
        return figure


def _draw_timeline(
    run: Run, axes: Axes, condition: int, start_s: dict[int, float], marks: dict[str, str]
) -> None:
    leading = run.record.scenario.leading
    values: list[float] = []
    marked: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for arm in arm_names(run):
        look: dict[str, Any] = {"color": colour_of(run, arm), "markersize": 4, "marker": marker_of(run, arm)}
        look |= look_of_many(run)
        points: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for record in slots_of(run, condition, arm):
            second, value = start_s[record.slot.index], record.values.get(leading)
            if value is not None:
                points[record.valid].append((second, value))
            if value is None or not record.valid:
                key = marks.get(name_failed_gates(record), "."), value is None
                # A slot that gave none has its mark on the axis.
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
        say_in_panel(axes, f"no slot gave a {leading.short}")
    elif max(values) > LOG_FROM * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")


def _caption(run: Run) -> str:
    invalid = sum(not record.valid for record in run.record.slots)
    failed = (
        f"{invalid} of {count(len(run.record.slots), 'slot')} failed a gate" if invalid else "No slot failed"
    )
    return (
        f"{failed}; what moves all arms together is the machine and cancels in the ratios, what"
        " moves one arm alone would be a reason to doubt them."
    )


SLOT_TIMELINE = Drawing(
    name="slot-timeline",
    title="Every slot in the order of time",
    draw=draw_slot_timeline,
    caption=_caption,
    is_there=lambda run: bool(run.record.slots),
)
