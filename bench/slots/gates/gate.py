"""What a slot must show to count: each gate holds the number that was seen and its limit.

A slot that fails a gate is INVALID and says why; it stays in the run and in the report.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from bench.scenario.model import Metric
from bench.scenario.modes.footprint import EXACT, STILL_PROXY_NS, STILL_SHARE, UNITS, Counter, Expected, Path
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
MAX_STRAY_CPU = 0.05
"""Core-share of one foreign process. Measured: a busy neighbour makes a p99 effect of 3x from nothing."""
MAX_NEW_PROCESSES_PER_S = 25.0
"""Processes started on the machine during a slot: a build next door is many short ones."""
MAX_STEAL_SHARE = 0.02
"""Share of the cores' time that the hypervisor took away, of ticks (4 ms), so coarse for short slots."""
MAX_SHARE_IN_USE = 0.8
"""Of ports and of tracked connections. Measured: with its ports gone, a client of 25,000 new connections
a second falls to 600, and the last of them are searched for ever longer before they are gone."""
MAX_IDLE_CORES = 0.1
"""A tenth of a core, at 3,000 requests a second, is 33 us of each: what comes and goes must be far less."""
MIN_REQUESTS = 1_000
"""Fewer measured requests than this describe no distribution."""
MIN_REQUESTS_P99 = 10_000
"""A p99 wants at least 100 samples beyond it."""


class Voids(StrEnum):
    """What a failed gate makes unusable."""

    SLOT = "slot"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    TAIL = "p99 latency"
    CPU = "CPU per request"


class Gate(BaseModel):
    """One check of a slot. `seen` and `limit` are in the unit that `unit` names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    seen: float | str
    limit: float | str
    unit: str
    voids: Voids = Voids.SLOT
    detail: str = ""


def check_captures(missing: Mapping[str, int]) -> Gate:
    """Gate on captures: `missing` packets of each tap, dropped by the kernel or not handed over."""
    lost = {tap: packets for tap, packets in missing.items() if packets}
    return Gate(
        name="capture: drops",
        passed=not lost,
        seen=sum(lost.values()),
        limit=0,
        unit="packets that passed a tap and were not captured, at most",
        detail=", ".join(f"{tap} {packets:,}" for tap, packets in lost.items()),
    )


def check_load(requests: int, errors: int, unfinished: int, generator_cpu: float) -> list[Gate]:
    """Gates on the load itself. `generator_cpu`: busy share of its core, 0 to 1."""
    failed_share = (errors + unfinished) / max(requests, 1)
    return [
        Gate(
            name="requests",
            passed=requests >= MIN_REQUESTS,
            seen=requests,
            limit=MIN_REQUESTS,
            unit="measured requests, at least",
        ),
        Gate(
            name="errors",
            passed=failed_share <= MAX_ERROR_SHARE,
            seen=failed_share,
            limit=MAX_ERROR_SHARE,
            unit="failed or unfinished requests a request, at most",
            detail=f"{errors} failed, {unfinished} unfinished of {requests}",
        ),
        Gate(
            name="generator",
            passed=generator_cpu <= MAX_GENERATOR_CPU,
            seen=round(generator_cpu, 4),
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
    the median spoils latency, and so the slot, unless the slot is there for something else: CPU at that
    rate, or hops. At the p99 alone it spoils the p99: a machine that stands still for a millisecond or two,
    a few times a second, makes one request in a hundred late, and leaves the median what it is.
    """
    achieved_rps = values.get(Metric.THROUGHPUT_RPS, 0.0)
    share = achieved_rps / open_loop.offered_rps if open_loop.offered_rps else 0.0
    patience_us = MAX_LATENESS_SHARE * values.get(Metric.P50_LATENCY_US, 0.0)
    p50_us, p99_us, most_us = open_loop.lateness_us or (0.0, 0.0, 0.0)

    def gate_lateness(name: str, seen_us: float, limit_us: float, at: str, voids: Voids) -> Gate:
        return Gate(
            name=name,
            passed=open_loop.lateness_us is not None and seen_us <= limit_us,
            seen=round(seen_us, 1) if open_loop.lateness_us else "no request that found a connection free",
            limit=round(limit_us, 1),
            unit=f"us from a request's time to its sending where a connection was free, {at}, at most",
            detail=f"p50 {p50_us:.1f}, most {most_us:,.0f} us; {open_loop.waited:,} found no connection free",
            voids=voids,
        )

    return [
        Gate(
            name="achieved",
            passed=share >= MIN_ACHIEVED_SHARE,
            seen=round(share, 4),
            limit=MIN_ACHIEVED_SHARE,
            unit="of the rate offered, at least",
            detail=f"{achieved_rps:,.0f} of {open_loop.offered_rps:,.0f} a second",
        ),
        gate_lateness(
            "generator lateness, median",
            p50_us,
            max(MAX_MEDIAN_LATENESS_US, patience_us),
            "p50",
            lateness_voids,
        ),
        gate_lateness(
            "generator lateness",
            p99_us,
            max(MAX_LATENESS_US, patience_us),
            "p99",
            Voids.TAIL if lateness_voids is Voids.SLOT else lateness_voids,
        ),
    ]


def check_idle(idle_cores: float) -> list[Gate]:
    """Gate on the idle baseline: what is subtracted as the idle machine's must have been one's."""
    return [
        Gate(
            name="idle baseline",
            passed=idle_cores <= MAX_IDLE_CORES,
            seen=round(idle_cores, 4),
            limit=MAX_IDLE_CORES,
            unit="cores busy in the second before the load, at most",
            voids=Voids.CPU,
        )
    ]


def check_quiet(stray_cpu: Mapping[str, float], new_processes_per_s: float, steal_share: float) -> list[Gate]:
    """Gates on the machine during the slot. `stray_cpu`: process -> share of one core."""
    busiest = max(stray_cpu, key=stray_cpu.__getitem__, default="")
    seen = stray_cpu.get(busiest, 0.0)
    return [
        Gate(
            name="quiet cores",
            passed=seen <= MAX_STRAY_CPU,
            seen=round(seen, 4),
            limit=MAX_STRAY_CPU,
            unit="share of a core used by one process outside the lab, at most",
            detail=busiest,
        ),
        Gate(
            name="new processes",
            passed=new_processes_per_s <= MAX_NEW_PROCESSES_PER_S,
            seen=round(new_processes_per_s, 1),
            limit=MAX_NEW_PROCESSES_PER_S,
            unit="processes started a second, at most",
        ),
        Gate(
            name="steal",
            passed=steal_share <= MAX_STEAL_SHARE,
            seen=round(steal_share, 4),
            limit=MAX_STEAL_SHARE,
            unit="share of the cores' time taken by the hypervisor, at most",
        ),
    ]


def check_ports(without_port: int) -> list[Gate]:
    """Gate that the client had a port for every connection. `without_port`: those for which it had none."""
    return [
        Gate(
            name="ports found",
            passed=without_port == 0,
            seen=without_port,
            limit=0,
            unit="connections for which the client had no port left, at most",
            detail="the client ran out of ports: what it measured is its own" if without_port else "",
        )
    ]


class Losses(NamedTuple):
    """What the network stacks lost over a slot's load."""

    retransmits: int
    """TCP segments sent again by client, Docker host or server (SNMP tcpRetransSegs), and not in vain:
    without those that the receiver had already (TCPDSACKRecvSegs)."""
    conntrack_drops: int
    """Packets dropped or entries refused by connection tracking."""
    listen_drops: int
    """Connections that the server's listening socket had no room for (ListenDrops, TCPReqQFullDrop)."""


class Room(NamedTuple):
    """What a load of new connections can run out of, at the end of a slot."""

    ports_in_use: int
    """Sockets of the client, those in TIME_WAIT included."""
    ports: int
    """Ephemeral ports of the client's addresses."""
    tracked: int
    trackable: int
    """Connections that the Docker host tracks, and can track; zero where it tracks none."""


def check_network(losses: Losses, room: Room) -> list[Gate]:
    """Gates on loss and on room: the lab's links lose nothing, so one retransmit is to be looked at."""
    units = ("TCP segments lost and sent again", "packets dropped or entries refused", "connections dropped")
    lost = [
        Gate(name=name.replace("_", " "), passed=seen == 0, seen=seen, limit=0, unit=unit)
        for (name, seen), unit in zip(losses._asdict().items(), units, strict=True)
    ]
    shares = (
        ("client ports", room.ports_in_use, room.ports, "share of the client's ephemeral ports in use"),
        ("conntrack room", room.tracked, room.trackable, "share of the connections that can be tracked"),
    )
    return lost + [
        Gate(
            name=name,
            passed=used <= MAX_SHARE_IN_USE * most,
            seen=round(used / most, 4) if most else 0.0,
            limit=MAX_SHARE_IN_USE,
            unit=f"{unit}, at most",
            detail=f"{used:,} of {most:,}",
        )
        for name, used, most, unit in shares
    ]


def check_path(
    path: Path, counters: Mapping[Counter, int], connections: int, requests: int, *, forwarding_rules: bool
) -> list[Gate]:
    """A gate a counter: that it moved as `path` (of `NetworkMode.path_from`) says, or not at all.

    `connections` opened and `requests` measured are the load's own counts. Without
    `forwarding_rules` (an engine with iptables off) nothing is filtered, so FILTER must stay still.
    """
    expected = dict(path)
    if Counter.FORWARDED in path and forwarding_rules:
        expected[Counter.FILTER] = Expected.EACH_REQUEST
    return [
        _path_gate(counter, expected.get(counter), counters[counter], connections, requests)
        for counter in UNITS
    ]


def _path_gate(
    counter: Counter, expected: Expected | None, seen: int, connections: int, requests: int
) -> Gate:
    match expected:
        case Expected.EACH_CONNECTION:
            passed, limit, how = seen == connections, connections, "exactly (one a new connection)"
        case Expected.TWICE_A_CONNECTION:
            passed, limit = seen == 2 * connections, 2 * connections
            how = "exactly (two a new connection)"
        case Expected.EACH_REQUEST:
            # A request and its answer; one segment each would be two packets on one link.
            passed, limit, how = seen >= 2 * requests, 2 * requests, "at least (two a request)"
        case Expected.SOME:
            passed, limit, how = seen > 0, 1, "at least"
        case None:
            still = STILL_PROXY_NS if counter is Counter.PROXY_CPU else STILL_SHARE
            limit = 0 if counter in EXACT else int(requests * still)
            passed, how = seen <= limit, "at most (not on this path)"
    return Gate(
        name=f"path: {counter.replace('_', ' ')}",
        passed=passed,
        seen=seen,
        limit=limit,
        unit=f"{UNITS[counter]}, {how}",
    )


def check_namespace(shared: bool, inode: int, host_inode: int) -> list[Gate]:
    """Gate that Apache is in the Docker host's network namespace where it is `shared`, and only then."""
    return [
        Gate(
            name="namespace",
            passed=(inode == host_inode) is shared,
            seen=str(inode),
            limit=f"{'the same as' if shared else 'other than'} {host_inode}",
            unit="inode of the server's network namespace",
        )
    ]


def check_control(links: Sequence[str], status_inside: str, answered: bool) -> list[Gate]:
    """Gates that a control is what it must be: alive, and out of everybody's reach."""
    return [
        Gate(
            name="control: links",
            passed=list(links) == ["lo"],
            seen=", ".join(links),
            limit="lo",
            unit="links of the container, exactly",
        ),
        Gate(
            name="control: alive",
            passed=status_inside == "200",
            seen=status_inside,
            limit="200",
            unit="HTTP status on its own loopback",
        ),
        Gate(
            name="control: unreachable",
            passed=not answered,
            seen="an answer" if answered else "no answer",
            limit="no answer",
            unit="at the Docker host's address, from the client",
        ),
    ]


def check_identity(
    image_id: str, expected_image_id: str, cpus: Sequence[int], expected_cpus: Sequence[int]
) -> list[Gate]:
    """Gates that the arm ran what every arm runs, where every arm runs."""
    return [
        Gate(
            name="image",
            passed=image_id == expected_image_id,
            seen=image_id,
            limit=expected_image_id,
            unit="image id, exactly",
        ),
        Gate(
            name="cpuset",
            passed=cpus == expected_cpus,
            seen=",".join(map(str, cpus)),
            limit=",".join(map(str, expected_cpus)),
            unit="cores that Apache may run on, exactly",
        ),
    ]


def usable_metrics(
    values: Mapping[Metric, float], requests: int, gates: list[Gate]
) -> dict[Metric, float | None]:
    """`values` with None for what the slot cannot support, though it is valid otherwise."""
    usable: dict[Metric, float | None] = dict(values)
    if requests < MIN_REQUESTS_P99:
        usable[Metric.P99_LATENCY_US] = None
    voided = {gate.voids for gate in gates if not gate.passed}
    if Voids.THROUGHPUT in voided:
        usable[Metric.THROUGHPUT_RPS] = None
    if Voids.LATENCY in voided:
        usable[Metric.P50_LATENCY_US] = usable[Metric.P99_LATENCY_US] = None
    if Voids.TAIL in voided:
        usable[Metric.P99_LATENCY_US] = None
    if Voids.CPU in voided:
        usable[Metric.CPU_US_PER_REQUEST] = None
    return usable


def is_valid(gates: list[Gate]) -> bool:
    """Whether no gate failed that voids the whole slot."""
    return all(gate.passed or gate.voids is not Voids.SLOT for gate in gates)
