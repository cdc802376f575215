"""CPU per request: counters of two moments become what a request costs, beyond an idle machine.

The whole machine is what counts: a mode's work may be done in a process, or by the kernel in whichever
context a packet happens to arrive. What can be attributed to a process or a control group is said
beside it, and is less than the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bench.procfs import TICK_US
from bench.stored import Stored


class Share(StrEnum):
    """What a part of the machine's time can be attributed to."""

    CONTAINERS = "containers"
    """The control group of the engine's containers."""
    DOCKER_PROXY = "docker-proxy"
    """Its processes, which belong to no container."""
    GENERATOR = "load generator"


class Kind(StrEnum):
    """The kernel's kinds of busy time. It finds them out by looking at each tick: they are a sample."""

    USER = "user"
    SYSTEM = "system"
    IRQ = "irq"
    SOFTIRQ = "softirq"
    STEAL = "steal"


@dataclass(frozen=True, kw_only=True)
class CoreCounters:
    """Of one core, since the machine's start."""

    idle_us: float
    """Exact where the kernel stops its tick when idle; waiting for a disk is idle too."""
    busy_us: Mapping[Kind, float]
    net_rx: int
    """Times that the core took up receive work (softirq NET_RX)."""


@dataclass(frozen=True, kw_only=True)
class CpuCounters:
    """The machine's counters at one moment."""

    at_ns: int
    """CLOCK_MONOTONIC."""
    cores: Mapping[int, CoreCounters]
    context_switches: int
    attributed_us: Mapping[Share, float]
    """Without what is not there."""


class CoreCpu(Stored):
    """A core's part of `CpuRecord.us_per_request`."""

    core: int
    host: str
    """Whose processes run there: the client's, or the Docker hosts' (`docker`)."""
    us_per_request: float
    net_rx_per_request: float
    softirq_us_per_request: float | None = None
    """Of it, in softirq context, as the kernel samples it; None of records that did not tell it."""


class CpuRecord(Stored):
    """What a request of one slot's window cost in CPU, beyond what the idle machine used just before."""

    us_per_request: float
    """Of all cores: the time that they were not idle. The metric."""
    sampled_us_per_request: Mapping[Kind, float]
    """The same by kind, as the kernel samples it; its sum differs from the whole by the sampling."""
    cores: tuple[CoreCpu, ...]
    attributed_us_per_request: Mapping[Share, float]
    """Parts of the whole that belong to somebody; what an interrupt took from them is in them."""
    context_switches_per_request: float
    net_rx_per_request: float
    idle_cores: float
    """Cores that were busy while the machine was idle: the baseline that is subtracted."""
    window_s: float
    idle_s: float


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was counted between two moments: us (or events) a second of time."""

    seconds: float
    busy: Mapping[int, float]
    """By core, its wall time less its idle time."""
    kinds: Mapping[Kind, float]
    net_rx: Mapping[int, float]
    softirq: Mapping[int, float]
    """By core."""
    context_switches: float
    attributed: Mapping[Share, float]


def rate(start: CpuCounters, end: CpuCounters) -> Rates:
    """What the machine did from `start` to `end`, a second."""
    seconds = (end.at_ns - start.at_ns) / 1e9
    pairs = {core: (start.cores[core], now) for core, now in end.cores.items() if core in start.cores}
    return Rates(
        seconds=seconds,
        busy={core: _busy_us(now.idle_us - then.idle_us, seconds) for core, (then, now) in pairs.items()},
        kinds={
            kind: sum(now.busy_us[kind] - then.busy_us[kind] for then, now in pairs.values()) / seconds
            for kind in Kind
        },
        net_rx={core: (now.net_rx - then.net_rx) / seconds for core, (then, now) in pairs.items()},
        softirq={
            core: (now.busy_us[Kind.SOFTIRQ] - then.busy_us[Kind.SOFTIRQ]) / seconds
            for core, (then, now) in pairs.items()
        },
        context_switches=(end.context_switches - start.context_switches) / seconds,
        attributed={
            share: (used - start.attributed_us[share]) / seconds
            for share, used in end.attributed_us.items()
            if share in start.attributed_us
        },
    )


def _busy_us(idle_us: float, seconds: float) -> float:
    """What of each second of `seconds` a core was not idle, which its idle time was counted over.

    Idle time is counted in ticks, so a core that slept can seem to have slept for a tick more than there
    was time. Over a window shorter than a tick that says nothing, and the core was idle. Over a longer one
    it is left as it is: another window has the tick too little, and their mean is right.
    """
    # Waiting for a disk, a part of idle time, may go back (proc_stat(5)): nobody was less than not idle.
    busy_us = 1e6 - max(idle_us, 0.0) / seconds
    return max(busy_us, 0.0) if seconds * 1e6 < TICK_US else busy_us


def measure_cpu(idle: Rates, loaded: Rates, requests: int, hosts: Mapping[int, str]) -> CpuRecord | None:
    """What each of `requests` of the loaded time cost beyond `idle`; None where there was none.

    `hosts`: core -> whose processes run there.
    """
    if not requests:
        return None
    # Both are rates, so that an idle time of another length needs no scaling of its own.
    per_request = loaded.seconds / requests
    return CpuRecord(
        us_per_request=(sum(loaded.busy.values()) - sum(idle.busy.values())) * per_request,
        sampled_us_per_request={kind: (loaded.kinds[kind] - idle.kinds[kind]) * per_request for kind in Kind},
        cores=tuple(
            CoreCpu(
                core=core,
                host=hosts.get(core, "neither"),
                us_per_request=(busy - idle.busy[core]) * per_request,
                net_rx_per_request=(loaded.net_rx[core] - idle.net_rx[core]) * per_request,
                softirq_us_per_request=(loaded.softirq[core] - idle.softirq[core]) * per_request,
            )
            for core, busy in loaded.busy.items()
        ),
        attributed_us_per_request={
            share: (used - idle.attributed.get(share, 0.0)) * per_request
            for share, used in loaded.attributed.items()
        },
        context_switches_per_request=(loaded.context_switches - idle.context_switches) * per_request,
        net_rx_per_request=(sum(loaded.net_rx.values()) - sum(idle.net_rx.values())) * per_request,
        idle_cores=sum(idle.busy.values()) / 1e6,
        window_s=loaded.seconds,
        idle_s=idle.seconds,
    )
