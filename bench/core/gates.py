"""What a slot must show to count: each gate holds the number that was seen and its limit.

A slot that fails a gate is INVALID and says why; it stays in the run and in the report.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bench.core.scenario import Metric, Mode

MAX_ERROR_SHARE = 1e-4
"""Errors per request. RFC 9411 has the same idea; one in ten thousand moves no p99."""
MAX_GENERATOR_CPU = 0.95
"""Busy share of the generator's core above which throughput is the generator's, not the server's."""
MAX_STRAY_CPU = 0.05
"""Core-share of one foreign process. Measured: a busy neighbour makes a p99 effect of 3x from nothing."""
MAX_NEW_PROCESSES_PER_S = 25.0
"""Processes started on the machine during a slot: a build next door is many short ones."""
MAX_STEAL_SHARE = 0.02
"""Share of the cores' time that the hypervisor took away, of ticks (4 ms), so coarse for short slots."""
MIN_REQUESTS = 1_000
"""Fewer measured requests than this describe no distribution."""
MIN_REQUESTS_P99 = 10_000
"""A p99 wants at least 100 samples beyond it."""


class Voids(StrEnum):
    """What a failed gate makes unusable."""

    SLOT = "slot"
    THROUGHPUT = "throughput"


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


class PathCounters(BaseModel):
    """Counters of one interval on the Docker host, that tell which path the packets took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bridge_packets: int
    """Received and sent by docker0."""
    dnat_connections: int
    """Hits of the nat table's port mapping rules: one a new connection."""


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


def check_network(retransmits: int, conntrack_drops: int) -> list[Gate]:
    """Gates on loss: the lab's links lose nothing, so one retransmit is a fault to be looked at."""
    return [
        Gate(name="retransmits", passed=retransmits == 0, seen=retransmits, limit=0, unit="TCP segments"),
        Gate(
            name="conntrack drops",
            passed=conntrack_drops == 0,
            seen=conntrack_drops,
            limit=0,
            unit="packets dropped or entries refused",
        ),
    ]


def check_path(mode: Mode, counters: PathCounters, connections: int, requests: int) -> list[Gate]:
    """Gates that the traffic took the path that the arm declares.

    A published port: one DNAT hit a new connection, and at least a packet each way a request on
    docker0. Host mode: no hit, and fewer packets than one in a hundred requests.
    """
    expects_bridge = mode is Mode.BRIDGE
    # The bridge itself sends a multicast report now and then.
    most = requests // 100
    dnat = connections if expects_bridge else 0
    least = 2 * requests if expects_bridge else 0
    on_bridge = counters.bridge_packets
    return [
        Gate(
            name="path: DNAT",
            passed=counters.dnat_connections == dnat,
            seen=counters.dnat_connections,
            limit=dnat,
            unit="port-mapping hits, exactly (one a new connection)",
        ),
        Gate(
            name="path: docker0",
            passed=on_bridge >= least if expects_bridge else on_bridge <= most,
            seen=on_bridge,
            limit=least if expects_bridge else most,
            unit=f"packets on docker0, {'at least' if expects_bridge else 'at most'}",
        ),
    ]


def check_namespace(mode: Mode, inode: int, host_inode: int) -> list[Gate]:
    """Gate that the container is in the Docker host's network namespace in host mode, and only then."""
    shared = mode is Mode.HOST
    return [
        Gate(
            name="namespace",
            passed=(inode == host_inode) is shared,
            seen=str(inode),
            limit=f"{'the same as' if shared else 'other than'} {host_inode}",
            unit="inode of the container's network namespace",
        )
    ]


def check_identity(image_id: str, expected_image_id: str, cpuset: str, expected_cpuset: str) -> list[Gate]:
    """Gates that the arm ran what every arm runs."""
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
            passed=cpuset == expected_cpuset,
            seen=cpuset,
            limit=expected_cpuset,
            unit="cores of the container, exactly",
        ),
    ]


def usable_metrics(
    values: Mapping[Metric, float], requests: int, gates: list[Gate]
) -> dict[Metric, float | None]:
    """`values` with None for what the slot cannot support, though it is valid otherwise."""
    usable: dict[Metric, float | None] = dict(values)
    if requests < MIN_REQUESTS_P99:
        usable[Metric.P99_LATENCY_US] = None
    if any(gate.voids is Voids.THROUGHPUT and not gate.passed for gate in gates):
        usable[Metric.THROUGHPUT_RPS] = None
    return usable


def is_valid(gates: list[Gate]) -> bool:
    """Whether no gate failed that voids the whole slot."""
    return all(gate.passed or gate.voids is not Voids.SLOT for gate in gates)
