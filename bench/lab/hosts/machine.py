"""This machine: what it is, what a run needs of it, and its idle states."""

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command

REQUIRED_TOOLS = {
    "dockerd": "docker.io",
    "containerd": "docker.io",
    "tini": "tini",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "mmdebstrap": "mmdebstrap",
    "ethtool": "ethtool",
    "tcpdump": "tcpdump",
    "curl": "curl",
    "cc": "gcc",
}
"""Program -> the Debian package that has it."""
CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")
MIN_CORES = 2


@dataclass(frozen=True)
class Requirement:
    """Something that a run needs of the machine."""

    name: str
    met: bool
    seen: str
    remedy: str


def requirements() -> list[Requirement]:
    """What a run needs of this machine, and whether it is there."""
    cores = usable_cores()
    found = [
        Requirement("root", os.geteuid() == 0, f"user id {os.geteuid()}", "run as root (sudo)"),
        Requirement(
            "linux", platform.system() == "Linux", platform.system(), "a lab is made of Linux namespaces"
        ),
        Requirement(
            "cores",
            len(cores) >= MIN_CORES,
            f"{len(cores)} usable ({', '.join(map(str, cores))})",
            f"client and server need a core each: {MIN_CORES} at least",
        ),
    ]
    for tool, package in REQUIRED_TOOLS.items():
        path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        found.append(Requirement(tool, path is not None, path or "not found", f"apt-get install {package}"))
    return found


def require_all() -> None:
    """Raise EnvironmentLacks, naming all that is missing at once, unless a run can be made here."""
    missing = [requirement for requirement in requirements() if not requirement.met]
    if missing:
        raise EnvironmentLacks(
            "Checking what a run needs of this machine",
            "; ".join(f"{need.name}: {need.seen}" for need in missing),
            "To mend it: " + "; ".join(dict.fromkeys(need.remedy for need in missing)) + ".",
        )


def usable_cores() -> list[int]:
    """Cores that this process may run on, by their numbers."""
    return sorted(os.sched_getaffinity(0))


def divide_cores() -> tuple[str, str]:
    """(client's, Docker host's) cpu lists: the usable cores in two halves, in order."""
    cores = usable_cores()
    half = len(cores) // 2
    return ",".join(map(str, cores[:half])), ",".join(map(str, cores[half:]))


@contextmanager
def hold_idle_states(wanted: bool) -> Iterator[bool]:
    """Keep the cores out of their idle states for the duration; yields whether they are held.

    Linux's PM QoS: 0 us written to /dev/cpu_dma_latency holds for as long as the file is open, so
    it ends with this process whatever happens (Documentation/power/pm_qos_interface.rst).
    """
    if not wanted:
        yield False
        return
    try:
        request = os.open(CPU_DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        os.write(request, (0).to_bytes(4, "little"))
        yield True
    finally:
        os.close(request)


def describe_machine() -> dict[str, str]:
    """Facts that a figure depends on; one that cannot be read says why."""
    release = platform.freedesktop_os_release()
    return {
        "host": socket.gethostname(),
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "architecture": platform.machine(),
        "distribution": release.get("PRETTY_NAME", release["ID"]),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "usable_cores": ",".join(map(str, usable_cores())),
        "memory_gib": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f}",
        "virtualisation": "hypervisor" if " hypervisor" in _read("/proc/cpuinfo") else "none seen",
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "idle_driver": _read("/sys/devices/system/cpu/cpuidle/current_driver"),
        "frequency_governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "mitigations": "; ".join(
            f"{path.name}: {_read(path)}"
            for path in sorted(Path("/sys/devices/system/cpu/vulnerabilities").glob("*"))
        ),
        "netdev_tstamp_prequeue": _read("/proc/sys/net/core/netdev_tstamp_prequeue"),
        "python": platform.python_version(),
    }


def tool_versions() -> dict[str, str]:
    """First line that each foreign tool prints of its version."""
    asked = {
        "dockerd": ["dockerd", "--version"],
        "containerd": ["containerd", "--version"],
        "iptables": ["iptables", "--version"],
        "iproute2": ["ip", "-V"],
        "tcpdump": ["tcpdump", "--version"],
    }
    return {name: command.run(argv).splitlines()[0] for name, argv in asked.items()}


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
