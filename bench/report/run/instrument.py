"""The machine's calibration in words and rows."""

from math import sqrt
from statistics import median

from bench.records.calibration import TIMES_S, Calibration
from bench.report.text import format_share
from bench.scenario.metric import Metric
from bench.statistics.components import Components


def list_ceilings(found: Calibration) -> list[tuple[str, ...]]:
    """A row an engine and number of connections: requests/s, how much faster `raw` is, counts."""
    rows: list[tuple[str, ...]] = []
    for ceiling in found.ceilings:
        ratio = "" if ceiling.raw_ratio is None else f"{ceiling.raw_ratio:.3g}"
        if ceiling.raw_ratio_ci95:
            ratio += f" [{ceiling.raw_ratio_ci95[0]:.3g}, {ceiling.raw_ratio_ci95[1]:.3g}]"
        rows.append(
            (
                str(ceiling.connections),
                ceiling.engine,
                f"{median(ceiling.rates_rps):,.0f}",
                ratio,
                f"{ceiling.requests:,}" if ceiling.requests else "not recorded",
                f"{ceiling.locust_requests:,}" if ceiling.locust_requests else "not its own",
            )
        )
    return rows


def list_floors(found: Calibration) -> list[tuple[str, ...]]:
    """A row a metric: what two like arms showed, and the smallest effect by minutes of measuring."""
    return [
        (
            floor.metric.label,
            f"{floor.ratio:.4f} [{floor.ci95[0]:.4f}, {floor.ci95[1]:.4f}]",
            *(_share(effect) for effect in found.smallest_effects(floor.metric).values()),
        )
        for floor in found.floors
    ]


def list_lateness(found: Calibration) -> list[tuple[str, ...]]:
    """A row an engine and rate of an open loop: how late its requests left, and how many were answered."""
    return [
        (
            f"{late.rate_rps:,.0f}",
            late.engine,
            f"{late.p50_us:.3g}",
            f"{late.p99_us:.3g}",
            f"{late.achieved_rps:,.0f}",
        )
        for late in found.latenesses
    ]


def describe_instrument(found: Calibration) -> list[str]:
    """A sentence or two on what the machine can tell."""
    effects = found.smallest_effects(Metric.P50_LATENCY_US)
    times = ", ".join(
        f"{_share(effects[seconds])} in {seconds // 60} min" for seconds in TIMES_S if effects[seconds]
    )
    [fastest] = [c for c in found.ceilings if (c.engine, c.connections) == ("raw", 16)]
    said = [
        (
            f"By its calibration of {found.measured_at[:10]}, this machine resolves, on p50 latency between"
            f" two arms, {times} of measuring; its generator reaches {median(fastest.rates_rps):,.0f}"
            " requests/s against a server that does nothing (16 connections)."
        )
    ]
    if found.components:
        said.append(_describe_components(found.components, found.set_s))
    if found.beyond_wire:
        said.append(
            f"Of a request's latency, {found.beyond_wire.p50_us:.1f} us (p99 {found.beyond_wire.p99_us:.1f})"
            " pass before its packet leaves the client's interface and after the response's has come: the"
            f" client's own socket calls and its waking up, the same in every arm."
            + _describe_own_share(found)
        )
    if found.pauses:
        said.append(
            f"In {found.pauses.seconds:g} s its cores stood still for up to {found.pauses.longest_ms:.3g} ms,"
            f" and {found.pauses.long_per_s:.2g} times a second for a millisecond or more"
            f" ({format_share(found.pauses.lost_share)} of the time in all): a p99 or a limit of that size is"
            " the machine's, not the server's."
        )
    return said


def _describe_components(found: Components, set_s: float) -> str:
    """Standard deviations of a set's contrast, and what minutes of sets give."""
    parts = {
        "of a session": found.session,
        "of a set": found.block,
        "of containers": found.container,
        "of the machine's wander": found.wander,
    }
    named = [f"{100 * sqrt(part):.2f} % {name}" for name, part in parts.items() if part is not None]
    widths = [
        f"+- {100 * found.half_width(max(int(60 * minutes / set_s), 1)):.2f} % in {minutes} min"
        for minutes in (1, 5, 30)
    ]
    return (
        f"Where two like arms take turns, the p50 of one set's contrast has a standard deviation of"
        f" {', '.join(named)}: {', '.join(widths)}, by 95 % intervals over sessions of"
        f" {found.blocks_of_session * set_s:.0f} s."
    )


def _describe_own_share(found: Calibration) -> str:
    own, python = found.beyond_wire, found.beyond_wire_python
    said = ""
    if own and own.share is not None and own.spread_us is not None:
        said += f" That is {format_share(own.share)} of it; quartiles are {own.spread_us:.1f} us apart."
    if python and found.loop:
        said += f" With the loop in Python they are {python.p50_us:.1f} us (p99 {python.p99_us:.1f})."
    return said


def _share(effect: float | None) -> str:
    return "–" if effect is None else format_share(effect)
