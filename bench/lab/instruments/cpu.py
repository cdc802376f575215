"""Where CPU time goes: the kernel's files that say it, read together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lab.hosts.host import Host
from bench.lab.hosts.readings import Reading
from bench.procfs import TICK_US, CoreTime, parse_group_us, parse_net_rx, parse_process, parse_stat
from bench.slots.cpu import CoreCounters, CpuCounters, Kind, Share

STAT, SOFTIRQS = "/proc/stat", "/proc/softirqs"
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is read to know where CPU time goes."""

    group: str
    """The file with the run time of the engine's containers; empty where they have no control group."""
    proxies: Sequence[str]
    """/proc/<pid>/stat of each docker-proxy."""
    generator: str

    @property
    def files(self) -> list[str]:
        """All of them, /proc/stat first."""
        return [STAT, SOFTIRQS, *filter(None, [self.group]), *self.proxies, self.generator]

    def parse(self, reading: Reading) -> CpuCounters:
        """The counters in the texts of `files`."""
        texts = reading.texts
        attributed = {
            Share.DOCKER_PROXY: sum(_run_time_us(texts[path]) for path in self.proxies),
            Share.GENERATOR: _run_time_us(texts[self.generator]),
        }
        if self.group:
            attributed[Share.CONTAINERS] = parse_group_us(texts[self.group])
        stat, net_rx = parse_stat(texts[STAT]), parse_net_rx(texts[SOFTIRQS])
        return CpuCounters(
            at_ns=reading.at_ns,
            cores={core: _count_core(time, net_rx[core]) for core, time in stat.cores.items()},
            context_switches=stat.context_switches,
            attributed_us=attributed,
        )


def watch_cpu(docker_host: Host, cgroup: str, generator_pid: int) -> Watch:
    """What to read while the containers of the engine on `docker_host` are loaded.

    Processes are those that live now: call it when the container has started.
    """
    groups = (CGROUPS / "cpuacct" / cgroup / "cpuacct.usage", CGROUPS / cgroup / "cpu.stat")
    return Watch(
        group=next((str(path) for path in groups if path.exists()), ""),
        proxies=[f"/proc/{pid}/stat" for pid in docker_host.numbered_here("docker-proxy")],
        generator=f"/proc/{generator_pid}/stat",
    )


def _run_time_us(text: str) -> float:
    """Run time by the text of /proc/<pid>/stat; 0 of a process that ended, whose text is empty."""
    return parse_process(text).cpu_us if text else 0.0


def _count_core(time: CoreTime, net_rx: int) -> CoreCounters:
    return CoreCounters(
        idle_us=time.unused * TICK_US,
        busy_us={
            Kind.USER: (time.user + time.nice) * TICK_US,
            Kind.SYSTEM: time.system * TICK_US,
            Kind.IRQ: time.irq * TICK_US,
            Kind.SOFTIRQ: time.softirq * TICK_US,
            Kind.STEAL: time.steal * TICK_US,
        },
        net_rx=net_rx,
    )
