"""The path: counters that prove which way the packets went."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.scenario.modes.footprint import (
    CPU_OF,
    EXACT,
    STILL_PROXY_NS,
    STILL_SHARE,
    UNITS,
    Counter,
    Expected,
    Path,
)
from bench.slots.gates.gate import Demand, Gate, GateKind


def check_path(
    path: Path,
    counters: Mapping[Counter, int],
    connections: int,
    requests: int,
    *,
    forwarding_rules: bool,
    stray_packets: int = 0,
) -> list[Gate]:
    """A gate a counter: that it moved as `path` (of `NetworkMode.path_from`) says, or not at all.

    A counter that could not be read has none. `connections` opened and `requests` measured are the load's own
    counts. Without `forwarding_rules` (an engine with iptables off) nothing is filtered, so FILTER must stay
    still. `stray_packets` move no still counter, however few the requests.
    """
    expected = _expect(path, forwarding_rules=forwarding_rules)
    return [
        _path_gate(counter, expected.get(counter), counters[counter], connections, requests, stray_packets)
        for counter in UNITS
        if counter in counters and expected.get(counter) is not Expected.ANY
    ]


class Part(NamedTuple):
    """One of several loads on a Docker host, that were counted together."""

    path: Path
    connections: int
    requests: int


def check_shared_path(
    own: Part,
    others: Sequence[Part],
    counters: Mapping[Counter, int],
    *,
    forwarding_rules: bool,
    in_host_network: bool,
) -> list[Gate]:
    """A gate a counter: over loads that took turns it moved by the sum of what their paths demand.

    That each took its own path `check_path` proves, of each alone. The server of `own`, unless it is
    `in_host_network`, is in a namespace of its own, where it alone accepts.
    """
    gates = []
    for counter in (counter for counter in UNITS if counter in counters):
        parts = [own, *others]
        if counter is Counter.SERVED:
            if in_host_network:
                continue  # Of that namespace, this is ACCEPTED, which is the sum over all who share it.
            parts = [own]
        expected = [_expect(part.path, forwarding_rules=forwarding_rules).get(counter) for part in parts]
        if Expected.ANY in expected:
            continue
        moving = [(how, part) for how, part in zip(expected, parts, strict=True) if how]
        how = moving[0][0] if moving else None
        counted = [part for _, part in moving] or parts
        connections = sum(
            part.connections * (1 + (how is Expected.TWICE_A_CONNECTION)) for how, part in moving
        )
        gate = _path_gate(
            counter,
            Expected.EACH_CONNECTION if how is Expected.TWICE_A_CONNECTION else how,
            counters[counter],
            connections,
            sum(part.requests for part in counted),
        )
        gates.append(gate.model_copy(update={"name": GateKind.of_counter(counter, of_set=True)}))
    return gates


def _expect(path: Path, *, forwarding_rules: bool) -> Path:
    if Counter.FORWARDED in path and forwarding_rules:
        return {**path, Counter.FILTER: Expected.EACH_REQUEST}
    return path


def _path_gate(
    counter: Counter,
    expected: Expected | None,
    seen: int,
    connections: int,
    requests: int,
    stray_packets: int = 0,
) -> Gate:
    match expected:
        case Expected.EACH_CONNECTION:
            limit, demand = connections, Demand.ONE_A_CONNECTION
        case Expected.TWICE_A_CONNECTION:
            limit, demand = 2 * connections, Demand.TWO_A_CONNECTION
        case Expected.EACH_REQUEST:
            # A request and its answer; one segment each would be two packets on one link.
            limit, demand = 2 * requests, Demand.TWO_A_REQUEST
        case Expected.SOME:
            limit, demand = 1, Demand.AT_LEAST
        case None:
            demand = Demand.NOT_ON_PATH
            if counter in EXACT:
                limit = 0
            elif counter in CPU_OF:
                limit = int(requests * STILL_PROXY_NS)
            else:
                limit = max(int(requests * STILL_SHARE), stray_packets)
    return Gate(
        name=GateKind.of_counter(counter),
        passed=demand.is_met(seen, limit),
        seen=seen,
        limit=limit,
        unit=f"{UNITS[counter]}, {demand}",
        demand=demand,
    )


def check_namespaces(shared: bool, inodes: Sequence[int], host_inode: int) -> list[Gate]:
    """The same of several servers: all in the Docker host's namespace, or each in one of its own."""
    where = "the Docker host's network namespace" if shared else "a network namespace of their own"
    right = [inode for inode in inodes if (inode == host_inode) is shared]
    return [
        Gate(
            name=GateKind.NAMESPACE,
            passed=len(right) == len(inodes) and (shared or len(set(right)) == len(inodes)),
            seen=len(right) if shared else len(set(right)),
            limit=len(inodes),
            unit=f"servers in {where}, exactly",
            demand=Demand.EXACTLY,
        )
    ]


def check_namespace(shared: bool, inode: int, host_inode: int) -> list[Gate]:
    """Gate that Apache is in the Docker host's network namespace where it is `shared`, and only then."""
    return [
        Gate(
            name=GateKind.NAMESPACE,
            passed=(inode == host_inode) is shared,
            seen=str(inode),
            limit=f"{'the same as' if shared else 'other than'} {host_inode}",
            unit="inode of the server's network namespace",
        )
    ]
