"""This machine: what it is, what a run needs of it, and its idle states."""

import os
import platform
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.lab.hosts import command
from bench.records.environment import MachineFacts

MIN_CORES = 2

IDLE_DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")
"""Who puts idle cores to sleep: `none` where nobody does (Documentation/admin-guide/pm/cpuidle.rst), as in
many a virtual machine, whose idle cores are its hypervisor's."""


def usable_cores() -> list[int]:
    """Cores that this process may run on, by their numbers."""
    return sorted(os.sched_getaffinity(0))


def divide_cores() -> tuple[str, str]:
    """(client's, Docker host's) cpu lists: the usable cores in two halves, in order."""
    cores = usable_cores()
    half = len(cores) // 2
    return ",".join(map(str, cores[:half])), ",".join(map(str, cores[half:]))


def describe_machine(release_file: Path | None = None) -> MachineFacts:
    """Facts that a figure depends on; one that cannot be read says why.

    `release_file`: the machine's os-release, where that of this file system is another's.
    """
    release = _read_release(release_file) if release_file else platform.freedesktop_os_release()
    return MachineFacts(
        host=socket.gethostname(),
        kernel=platform.release(),
        kernel_version=platform.version(),
        architecture=platform.machine(),
        distribution=release.get("PRETTY_NAME", release.get("ID", "unknown")),
        cpu=_cpu_model(),
        cores=str(os.cpu_count()),
        usable_cores=",".join(map(str, usable_cores())),
        memory_gib=f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f}",
        virtualisation="hypervisor" if " hypervisor" in _read("/proc/cpuinfo") else "none seen",
        clocksource=_read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        idle_driver=_read(IDLE_DRIVER),
        frequency_governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        mitigations="; ".join(
            f"{path.name}: {_read(path)}"
            for path in sorted(Path("/sys/devices/system/cpu/vulnerabilities").glob("*"))
        ),
        netdev_tstamp_prequeue=_read("/proc/sys/net/core/netdev_tstamp_prequeue"),
        python=platform.python_version(),
    )


def tool_versions(run: Callable[[list[str]], str]) -> dict[str, str]:
    """First line that each foreign tool prints of its version; without those that are not there.

    `run`: how a program is run on the machine that is asked.
    """
    asked = {
        "dockerd": ["dockerd", "--version"],
        "containerd": ["containerd", "--version"],
        "iptables": ["iptables", "--version"],
        "iproute2": ["ip", "-V"],
        "tcpdump": ["tcpdump", "--version"],
    }
    found = {}
    for name, argv in asked.items():
        with suppress(command.CommandFailed):
            found[name] = run(argv).splitlines()[0]
    return found


def _read_release(file: Path) -> dict[str, str]:
    """Of os-release(5): a line a name, its value perhaps quoted."""
    lines = (line.partition("=") for line in _read(file).splitlines())
    return {name: value.strip("\"'") for name, _, value in lines}


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return "not stated by /proc/cpuinfo"


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as fault:
        return f"unknown ({fault.strerror})"
