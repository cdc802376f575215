"""The kernel's counters of CPU time: which files hold them, and what their texts say.

Two ways of counting meet here. Exact: a core's idle time, which the kernel stamps as the core goes
idle and back (and counts in 10 ms), and the run time of processes and control groups, stamped as they
are switched. Sampled: user, system, irq, softirq and steal, where each tick (4 ms at 250 Hz) counts
whole for what it happens to interrupt. See docs/decisions/0015-cpu-per-request.md.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lab.hosts.host import Host
from bench.lab.hosts.readings import Reading
from bench.slots.cpu import CoreCounters, CpuCounters, Kind, Share

STAT, SOFTIRQS = "/proc/stat", "/proc/softirqs"
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
CGROUPS = Path("/sys/fs/cgroup")
USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL = range(8)
"""Columns of a core's line in /proc/stat (proc_stat(5)); a guest's time is in `user` already."""


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
            Share.DOCKER_PROXY: sum(parse_process_us(texts[path]) for path in self.proxies),
            Share.GENERATOR: parse_process_us(texts[self.generator]),
        }
        if self.group:
            attributed[Share.CONTAINERS] = parse_group_us(texts[self.group])
        cores, switches = parse_stat(texts[STAT], parse_net_rx(texts[SOFTIRQS]))
        return CpuCounters(
            at_ns=reading.at_ns, cores=cores, context_switches=switches, attributed_us=attributed
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


def parse_stat(text: str, net_rx: Mapping[int, int]) -> tuple[dict[int, CoreCounters], int]:
    """(cores by number, context switches of all) of the text of /proc/stat."""
    cores, switches = {}, 0
    for line in text.splitlines():
        name, *numbers = line.split()
        if name == "ctxt":
            switches = int(numbers[0])
        elif name.startswith("cpu") and name != "cpu":
            us = [int(number) * TICK_US for number in numbers]
            core = int(name.removeprefix("cpu"))
            cores[core] = CoreCounters(
                idle_us=us[IDLE] + us[IOWAIT],
                busy_us={
                    Kind.USER: us[USER] + us[NICE],
                    Kind.SYSTEM: us[SYSTEM],
                    Kind.IRQ: us[IRQ],
                    Kind.SOFTIRQ: us[SOFTIRQ],
                    Kind.STEAL: us[STEAL],
                },
                net_rx=net_rx[core],
            )
    return cores, switches


def parse_net_rx(text: str) -> dict[int, int]:
    """Core -> NET_RX softirqs, of the text of /proc/softirqs, whose head names the cores."""
    head, *lines = text.splitlines()
    [counts] = [line.split()[1:] for line in lines if line.split()[0] == "NET_RX:"]
    cores = [int(name.removeprefix("CPU")) for name in head.split()]
    return dict(zip(cores, map(int, counts), strict=True))


def parse_group_us(text: str) -> float:
    """Run time of a control group: cpuacct.usage (v1, ns), or usage_usec of cpu.stat (v2)."""
    words = text.split()
    return int(words[1]) if words[0] == "usage_usec" else int(words[0]) / 1e3


def parse_process_us(text: str) -> float:
    """User and system time of all of a process's threads, ended ones too; 0 of a process that ended.

    Of /proc/<pid>/stat, whose two fields are exact together: the kernel makes them add up to the time
    that the threads ran (in 10 ms), and only divides it by what ticks saw.
    """
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US if fields else 0.0
