"""Containers that are started to see how long it takes: what of a scenario does not go together with it, and
which ports they have.
"""

from collections.abc import Iterator

from bench.scenario.load import Load
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.model import MAPPED, Mode
from bench.scenario.tables import Tables

FIRST_PORT = 8001
"""Of the second container that is started with others, and so on; the first has its arm's."""
FIRST_MORE_PORT = 20_001
"""Of the ports that are published besides: below what a kernel gives to clients (32,768 on)."""
MOST_PUBLISHED = 4_000
"""Of all containers of a slot together: a docker-proxy each takes some 1.2 MB and, to start, some ms."""
OF_REQUESTS = (
    "engine",
    "locustfile",
    "connections",
    "keep_alive",
    "think_us",
    "workers",
    "wrk_witness_s",
)
"""Fields of `load` that say how it is asked."""
OF_VETH = "veth_"
"""Fields of `lab` that begin so are of a container's own link."""
OF_STARTS = ("containers", "more_ports", "more_ports_protocol")
START_S, CONTAINER_S, PORT_S = 0.6, 0.2, 0.07
"""Of a slot, of each container, and of each port that it publishes, from creation to removal: for time
estimates only. Docker 20.10 on two slow cores."""


def start_seconds(load: Load, *, publishes: bool) -> float:
    """Expected seconds of a slot that starts containers, in a mode that `publishes` their ports or not."""
    ports = 1 + load.more_ports if publishes else 0
    return START_S + load.containers * (CONTAINER_S + PORT_S * ports)


def own_port(arm_port: int, place: int) -> int:
    """Of the Docker host: at which container number `place` of those that are started together is served."""
    if place == 0:
        return arm_port
    others = (port for port in range(FIRST_PORT, FIRST_PORT + place + 1) if port != arm_port)
    return list(others)[place - 1]


def more_ports(load: Load, place: int) -> range:
    """Those that container number `place` publishes besides."""
    first = FIRST_MORE_PORT + place * load.more_ports
    return range(first, first + load.more_ports)


def faults_of_starting(asked: Tables) -> Iterator[str]:
    """Why `asked` cannot start its containers so; of another load, what of starting it has."""
    load, factors, usual = asked.load, asked.factors, Load()
    here = f"and load.model is {load.model}"
    foreign = OF_REQUESTS if load.is_start else OF_STARTS
    reason = "says how a load asks, " if load.is_start else "is of load.model start, "
    for field in foreign:
        if getattr(load, field) != getattr(usual, field) or f"load.{field}" in factors:
            yield f"load.{field}: {reason}{here}"
    if load.is_start:
        yield from _faults_of_slot(asked)
        yield from _faults_of_arms(asked)


def _faults_of_slot(asked: Tables) -> Iterator[str]:
    if asked.schedule.interleave is not None:
        yield "schedule.interleave: starts take no turns, each slot has the machine for itself"
    factors = asked.factors
    if True in {asked.lab.taps, *factors.get("lab.taps", ())}:
        yield "lab.taps: follow requests, and load.model start has none"
    ends = [f"lab.{field}" for field in LabSettings.model_fields if field.startswith(OF_VETH)]
    for key in ends:
        if key in factors or getattr(asked.lab, key[4:]) != getattr(LabSettings(), key[4:]):
            yield f"{key}: is set once a container is there, and load.model start times it until then"
    if asked.served.tls:
        yield "load.model: start asks without TLS, and service.tls is given"
    if asked.companions:
        yield "load.model: start times the service's own containers, and companions would have to be up first"


def _faults_of_arms(asked: Tables) -> Iterator[str]:
    load, factors = asked.load, asked.factors
    most = max((load.containers, *factors.get("load.containers", ())))
    ports = max((load.more_ports, *factors.get("load.more_ports", ())))
    for index, arm in enumerate(asked.arms):
        if arm.kind is Mode.NATIVE or arm.target:
            how = "no container" if arm.kind is Mode.NATIVE else f"a container of another arm ({MAPPED}:)"
            yield f"arms.{index}.mode: {arm.mode} needs {how}, and load.model start times the arm's own"
        elif most > 1 and not can_have_many(asked, arm):
            yield (
                f"load.containers: only one container in {arm.mode} mode can be alive at a time"
                f" ({arm.name}), and {most} would be started together"
            )
    if most * ports > MOST_PUBLISHED:
        yield (
            f"load.more_ports: {most} containers with {ports} more ports each are {most * ports:,}, and more"
            f" than {MOST_PUBLISHED:,} are not published here"
        )


def can_have_many(asked: Tables, arm: Arm) -> bool:
    """Whether several containers of `arm` can be started together: one network may hold all of them, and one
    route lead to all, but an address or a port is one's own."""
    return not asked.is_fixed(arm) and asked.network(arm).container_address is None
