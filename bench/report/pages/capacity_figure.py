"""The figure of a capacity measurement: a row of panels a workload, a colour and a marker an arm."""

from statistics import median
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import CapacityRecord, Probe, Workload
from bench.report.panels import make_key, make_panels
from bench.report.svg import INK, STYLE
from bench.report.symbols import MARKERS, PALETTE
from bench.slots.gates.load import MIN_ACHIEVED_SHARE


def draw_capacity(record: CapacityRecord) -> Figure:
    """p99 and achieved share of every probe over its rate, with each arm's knee and wrk's throughput."""
    names = list(dict.fromkeys(workload.arm for workload in record.workloads))
    looks = {
        name: {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)]}
        for index, name in enumerate(names)
    }
    with matplotlib.rc_context(STYLE):
        kinds = record.settings.keep_alive
        figure, grid = make_panels(2, [2.6] * len(kinds))
        for kept, (latency, achieved) in zip(kinds, grid, strict=True):
            latency.set_title(
                "kept-alive connections" if kept else "a new connection a request",
                loc="left",
                fontweight="bold",
                fontsize=8,
            )
            for name in names:
                workload = Workload(name, kept)
                probes = [p for p in record.probes if (p.arm, p.keep_alive) == workload]
                for axes in (latency, achieved):
                    _mark_knee(record, workload, axes, looks[name]["color"])
                _draw(latency, [(p, p.p99_ms) for p in probes], looks[name])
                _draw(achieved, [(p, p.achieved_share) for p in probes], looks[name])
            latency.axhline(record.settings.limit_ms, color=INK, linewidth=0.9, linestyle="--")
            achieved.axhline(MIN_ACHIEVED_SHARE, color=INK, linewidth=0.9, linestyle="--")
            latency.set_yscale("log")
            latency.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            latency.yaxis.set_minor_locator(NullLocator())
            latency.yaxis.set_major_formatter("{x:,.4g}")
            latency.set_ylabel("p99 response time, ms")
            achieved.set_ylabel("share of the rate achieved")
            for axes in (latency, achieved):
                axes.xaxis.set_major_formatter("{x:,.0f}")
                axes.tick_params(axis="x", labelrotation=20)
        for axes in grid[-1]:
            axes.set_xlabel("offered rate, requests/s")
        keys = [
            make_key(look["marker"], name, color=look["color"], markersize=4) for name, look in looks.items()
        ]
        figure.legend(
            handles=[
                *keys,
                make_key("o", "not sustained", markerfacecolor="none", markersize=4),
                make_key("", "wrk, closed loop", linestyle=":"),
            ],
            loc="outside upper left",
            ncols=5,
        )
        return figure


def _mark_knee(record: CapacityRecord, workload: Workload, axes: Axes, colour: str) -> None:
    knee, wrk_rps = record.knee(workload), record.wrk_rps(workload)
    if knee.confirmed_rps is not None and knee.refuted_rps is not None:
        axes.axvspan(knee.confirmed_rps, knee.refuted_rps, color=colour, alpha=0.2, linewidth=0)
    if wrk_rps:
        axes.axvline(median(wrk_rps), color=colour, linewidth=1.1, linestyle=":")


def _draw(axes: Axes, found: list[tuple[Probe, float | None]], look: dict[str, Any]) -> None:
    for sustained in (True, False):
        points = [
            (probe.rate_rps, value)
            for probe, value in found
            if value is not None and (probe.outcome is Outcome.SUSTAINED) is sustained
        ]
        if points:
            face = look["color"] if sustained else "none"
            axes.plot(
                [rate for rate, _ in points],
                [value for _, value in points],
                linestyle="none",
                markersize=4,
                markerfacecolor=face,
                alpha=0.8,
                **look,
            )
