"""The load itself: enough requests, answered, sent in time, by a generator that was not the limit."""

from collections.abc import Mapping

from bench.scenario.metric import Metric, Voids
from bench.slots.gates.gate import Gate, GateKind
from bench.slots.metrics import OpenLoop

MAX_ERROR_SHARE = 1e-4
"""Errors per request. RFC 9411 has the same idea; one in ten thousand moves no p99."""


MAX_GENERATOR_CPU = 0.95
"""Busy share of the generator's core above which throughput is the generator's, not the server's."""


MIN_ACHIEVED_SHARE = 0.99
"""Of an open loop's arrivals, done by the window. Below it a queue grows for as long as the window lasts."""


MAX_LATENESS_US = 50.0
"""Of an open loop's generator, at the p99. Measured on 2 cores against the null server at 1,000 to 20,000/s:
4 to 30 us evenly spaced, 12 to 32 us Poisson (a request behind the sending of another), and milliseconds
once the generator had to share its core.
"""


MAX_MEDIAN_LATENESS_US = 10.0
"""At the median. Seen on kept-alive connections: 2.5 to 3.7 us; with a new one a request, whose connect
keeps the generator, 18 to 32."""


MAX_LATENESS_SHARE = 0.1
"""Of the slot's p50, where that is more: slow answers do not need a generator as prompt."""


MIN_REQUESTS = 1_000
"""Fewer measured requests than this describe no distribution."""


def check_load(
    requests: int, errors: int, unfinished: int, generator_cpu: float, trouble: str = ""
) -> list[Gate]:
    """Gates on the load itself. `generator_cpu`: busy share of its core, 0 to 1. `trouble`: what is known of
    a server that answers wrongly.
    """
    failed_share = (errors + unfinished) / max(requests, 1)
    return [
        Gate(
            name=GateKind.REQUESTS,
            passed=requests >= MIN_REQUESTS,
            seen=requests,
            limit=MIN_REQUESTS,
            unit="measured requests, at least",
        ),
        Gate(
            name=GateKind.ERRORS,
            passed=failed_share <= MAX_ERROR_SHARE,
            seen=failed_share,
            limit=MAX_ERROR_SHARE,
            unit="failed or unfinished requests a request, at most",
            detail=f"{errors} failed, {unfinished} unfinished of {requests}{trouble and '; '}{trouble}",
        ),
        Gate(
            name=GateKind.GENERATOR,
            passed=generator_cpu <= MAX_GENERATOR_CPU,
            seen=round(generator_cpu, GateKind.GENERATOR.decimals),
            limit=MAX_GENERATOR_CPU,
            unit="busy share of the generator's core, at most",
            voids=Voids.THROUGHPUT,
        ),
    ]


def check_open_loop(
    open_loop: OpenLoop, values: Mapping[Metric, float], lateness_voids: Voids = Voids.SLOT
) -> list[Gate]:
    """Gates on an open loop: the server kept up with the arrivals, and the generator kept to them.

    The generator is judged where a connection was free. Where none was, the server was slow. Lateness at
    the median spoils latency, and so the slot, unless the slot is there for something else, as CPU at that
    rate, or hops (`lateness_voids`). At the p99 alone it spoils the p99: a machine that stands still for a
    millisecond or two, a few times a second, makes one request in a hundred late, and leaves the median
    what it is.
    """
    achieved_rps = values.get(Metric.THROUGHPUT_RPS, 0.0)
    share = open_loop.achieved_share(achieved_rps)
    patience_us = MAX_LATENESS_SHARE * values.get(Metric.P50_LATENCY_US, 0.0)
    p50_us, p99_us, most_us = open_loop.lateness_us or (0.0, 0.0, 0.0)

    def gate_lateness(name: GateKind, seen_us: float, limit_us: float, at: str, voids: Voids) -> Gate:
        return Gate(
            name=name,
            passed=open_loop.lateness_us is not None and seen_us <= limit_us,
            seen=round(seen_us, name.decimals)
            if open_loop.lateness_us
            else "no request that found a connection free",
            limit=round(limit_us, name.decimals),
            unit=f"us from a request's time to its sending where a connection was free, {at}, at most",
            detail=f"p50 {p50_us:.1f}, most {most_us:,.0f} us; {open_loop.waited:,} found no connection free",
            voids=voids,
        )

    return [
        Gate(
            name=GateKind.ACHIEVED,
            passed=share >= MIN_ACHIEVED_SHARE,
            seen=round(share, GateKind.ACHIEVED.decimals),
            limit=MIN_ACHIEVED_SHARE,
            unit="of the rate offered, at least",
            detail=f"{achieved_rps:,.0f} of {open_loop.offered_rps:,.0f} a second",
        ),
        gate_lateness(
            GateKind.LATENESS_MEDIAN,
            p50_us,
            max(MAX_MEDIAN_LATENESS_US, patience_us),
            "p50",
            lateness_voids,
        ),
        gate_lateness(
            GateKind.LATENESS,
            p99_us,
            max(MAX_LATENESS_US, patience_us),
            "p99",
            Voids.TAIL,
        ),
    ]


MIN_PROOF_REQUESTS = 100
"""On which a path is proved: two packets each are then far more than what moves a still counter."""


def check_proof(requests: int) -> Gate:
    """Gate on the load over which a path is proved."""
    return Gate(
        name=GateKind.PROOF_REQUESTS,
        passed=requests >= MIN_PROOF_REQUESTS,
        seen=requests,
        limit=MIN_PROOF_REQUESTS,
        unit="requests of the warm-up, alone, at least",
    )


def check_connections(asked: int, connected: int | None) -> list[Gate]:
    """Gate that the load began with every connection that the scenario asks for.

    `connected`: None of an engine that does not show it.
    """
    if connected is None:
        return []
    return [
        Gate(
            name=GateKind.CONNECTIONS,
            passed=connected == asked,
            seen=connected,
            limit=asked,
            unit="connections open as the load began",
            detail="" if connected == asked else f"{connected:,} of {asked:,} could be opened in time",
        )
    ]


def check_ports(without_port: int) -> list[Gate]:
    """Gate that the client had a port for every connection. `without_port`: those for which it had none."""
    return [
        Gate(
            name=GateKind.PORTS_FOUND,
            passed=without_port == 0,
            seen=without_port,
            limit=0,
            unit="connections for which the client had no port left, at most",
            detail="the client ran out of ports: what it measured is its own" if without_port else "",
        )
    ]


def usable_metrics(values: Mapping[Metric, float], gates: list[Gate]) -> dict[Metric, float | None]:
    """`values` with None for what the slot cannot support, though it is valid otherwise."""
    voided = {gate.voids for gate in gates if not gate.passed}
    without = {metric: None for metric in Metric if voided.intersection(metric.about.voided_by)}
    return {**values, **without}
