"""The path: counters that prove which way the packets went."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.scenario.modes.footprint import EXACT, STILL_PROXY_NS, STILL_SHARE, UNITS, Counter, Expected, Path
from bench.slots.gates.gate import Gate


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

    `connections` opened and `requests` measured are the load's own counts. Without
    `forwarding_rules` (an engine with iptables off) nothing is filtered, so FILTER must stay still.
    `stray_packets` move no still counter, however few the requests.
    """
    expected = _expect(path, forwarding_rules=forwarding_rules)
    return [
        _path_gate(counter, expected.get(counter), counters[counter], connections, requests, stray_packets)
        for counter in UNITS
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
    for counter in UNITS:
        parts = [own, *others]
        if counter is Counter.SERVED:
            if in_host_network:
                continue  # Of that namespace, this is ACCEPTED, which is the sum over all who share it.
            parts = [own]
        expected = [_expect(part.path, forwarding_rules=forwarding_rules).get(counter) for part in parts]
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
        gates.append(gate.model_copy(update={"name": gate.name.replace("path:", "path of the set:")}))
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
            if counter in EXACT:
                limit = 0
            elif counter is Counter.PROXY_CPU:
                limit = requests * STILL_PROXY_NS
            else:
                limit = max(int(requests * STILL_SHARE), stray_packets)
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
