"""The path: counters that prove which way the packets went."""

from collections.abc import Mapping

from bench.scenario.modes.footprint import EXACT, STILL_PROXY_NS, STILL_SHARE, UNITS, Counter, Expected, Path
from bench.slots.gates.gate import Demand, Gate, GateKind


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
            limit, demand = connections, Demand.ONE_A_CONNECTION
        case Expected.TWICE_A_CONNECTION:
            limit, demand = 2 * connections, Demand.TWO_A_CONNECTION
        case Expected.EACH_REQUEST:
            # A request and its answer; one segment each would be two packets on one link.
            limit, demand = 2 * requests, Demand.TWO_A_REQUEST
        case Expected.SOME:
            limit, demand = 1, Demand.AT_LEAST
        case None:
            still = STILL_PROXY_NS if counter is Counter.PROXY_CPU else STILL_SHARE
            limit, demand = 0 if counter in EXACT else int(requests * still), Demand.NOT_ON_PATH
    return Gate(
        name=GateKind.of_counter(counter),
        passed=demand.is_met(seen, limit),
        seen=seen,
        limit=limit,
        unit=f"{UNITS[counter]}, {demand}",
        demand=demand,
    )


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
