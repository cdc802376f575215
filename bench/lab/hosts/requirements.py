"""What a run needs of the machine, and what is missing of it."""

import os
import platform
import resource
import shutil
from dataclasses import dataclass

from bench.errors import EnvironmentLacks
from bench.lab.hosts.machine import MIN_CORES, usable_cores

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


def require_descriptors(wanted: int) -> None:
    """Let this process, and all that it starts, have `wanted` open files.

    Raises EnvironmentLacks where that is not allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    highest = hard if hard == resource.RLIM_INFINITY else max(hard, wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))
    except (OSError, ValueError) as fault:
        raise EnvironmentLacks(
            f"Preparing for {wanted:,} open files, one a connection and some more",
            f"this process may have {soft:,}, at most {hard:,} ({fault})",
            f"`ulimit -n {wanted}` as root, and `sysctl fs.nr_open` at least as high; or ask for fewer.",
        ) from fault
