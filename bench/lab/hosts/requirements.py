"""What a run needs of the machine, and what is missing of it."""

import os
import platform
import resource
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.machine import MIN_CORES, usable_cores
from bench.lab.hosts.packages import how_to_install, is_debian
from bench.paths import CACHE
from bench.scenario.conditions import conditions
from bench.scenario.scenario import Scenario

WRK, OPENSSL, DNSMASQ = "wrk", "openssl", "dnsmasq"
RIGHTS = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""For links, and for namespaces and mounts: capability -> its bit (capability.h of the kernel)."""


@dataclass(frozen=True)
class Tool:
    """A program, the Debian package that has it, and what needs it."""

    name: str
    package: str
    purpose: str
    always: bool = True
    """Whether every run needs it."""
    makes: tuple[str, ...] = ()
    """What it is needed for alone, as it is named in the cache: where all of it lies there, none needs it."""

    @property
    def is_always_needed(self) -> bool:
        """Whether every run needs it here."""
        is_made = bool(self.makes) and all(any(CACHE.glob(pattern)) for pattern in self.makes)
        return self.always and not is_made


TOOLS = (
    Tool("dockerd", "docker.io", "the Docker hosts' engines"),
    Tool("containerd", "docker.io", "the Docker hosts' engines"),
    Tool("tini", "tini", "a host's first process"),
    Tool("ip", "iproute2", "links and addresses"),
    Tool("iptables", "iptables", "the engines' rules, and reading them"),
    Tool("unshare", "util-linux", "making a host"),
    Tool("nsenter", "util-linux", "running something on a host"),
    Tool("taskset", "util-linux", "each host's cores"),
    Tool("setpriv", "util-linux", "that nothing outlives a run"),
    Tool("mount", "mount", "a host's own /proc, /sys and /run"),
    Tool(
        "mmdebstrap",
        "mmdebstrap",
        "making the image, where the cache has none, and other engines",
        makes=("image-*.tar",),
    ),
    Tool("ethtool", "ethtool", "what a link offloads"),
    Tool("tcpdump", "tcpdump", "taps"),
    Tool("curl", "curl", "asking inside a container"),
    Tool(
        "cc",
        "gcc",
        "the loop, the image's own programs and the null server, where the cache has none",
        makes=("loop-*", "busy-wait-*", "look-up-*", "null-server-*"),
    ),
    Tool("rootlesskit", "rootlesskit", "the rootless modes", always=False),
    Tool("slirp4netns", "slirp4netns", "rootless-builtin and rootless-slirp4netns", always=False),
    Tool("pasta", "passt", "rootless-pasta", always=False),
    Tool("newuidmap", "uidmap", "the rootless modes: ids of a user's own namespace", always=False),
    Tool(OPENSSL, "openssl", "service.tls, whose certificate it makes", always=False),
    Tool(DNSMASQ, "dnsmasq-base", "load.model lookup, whose name servers it is", always=False),
    Tool(
        WRK, "wrk", "load.wrk_witness_s, `bench capacity` and `bench calibrate`, as a witness", always=False
    ),
)


@dataclass(frozen=True)
class Requirement:
    """Something that a run needs of the machine."""

    name: str
    met: bool
    seen: str
    remedy: str
    purpose: str
    always: bool = True
    """Whether every run needs it; else what `purpose` says."""
    package: str = ""
    """Debian's, where it is a program."""

    @property
    def keeps_from_running(self) -> bool:
        """Whether no run can be made without it."""
        return self.always and not self.met


def requirements() -> list[Requirement]:
    """What a run needs of this machine, and whether it is there."""
    cores = usable_cores()
    found = [
        _root(),
        Requirement(
            "linux",
            platform.system() == "Linux",
            platform.system(),
            "run it on Linux",
            "a lab is made of Linux namespaces",
        ),
        Requirement(
            "cores",
            len(cores) >= MIN_CORES,
            f"{len(cores)} usable ({', '.join(map(str, cores))})",
            f"run it on {MIN_CORES} cores at least",
            "client and server need a core each",
        ),
    ]
    for tool in TOOLS:
        path = command.find(tool.name)
        found.append(
            Requirement(
                tool.name,
                path is not None,
                path or "not found",
                how_to_install([tool.package]),
                tool.purpose,
                always=tool.is_always_needed,
                package=tool.package,
            )
        )
    return found


def _root() -> Requirement:
    """Root's rights; a container's root has them where it is told so."""
    lacking = [name for name, bit in RIGHTS.items() if not _effective_rights() >> bit & 1]
    if os.geteuid() != 0 or not lacking:
        seen, remedy = f"user id {os.geteuid()}", "run as root (sudo)"
    else:
        seen = f"root without {' and '.join(lacking)}"
        remedy = "give this container the rights of the machine's root (docker run --privileged)"
    return Requirement("root", os.geteuid() == 0 and not lacking, seen, remedy, "making a lab")


def _effective_rights() -> int:
    """Bit field of this process's capabilities; all of them where the kernel does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return -1


def require_all(*scenarios: Scenario, also: Collection[str] = ()) -> None:
    """Raise EnvironmentLacks, naming all that is missing at once, unless a run can be made here.

    Of what not every run needs: what one of `scenarios` does, and what is named in `also`.
    """
    wanted = {*also, *(name for scenario in scenarios for name in _tools_of(scenario))}
    missing = [need for need in requirements() if not need.met and (need.always or need.name in wanted)]
    if missing:
        raise _lack(missing)


def require_programs() -> None:
    """Raise EnvironmentLacks, naming all packages at once, unless every run's programs are here."""
    missing = [need for need in requirements() if need.package and not need.met]
    if any(need.always for need in missing):
        raise _lack(missing)


def _lack(missing: Collection[Requirement]) -> EnvironmentLacks:
    remedies = [need.remedy for need in missing if not need.package]
    if packages := [need.package for need in missing if need.package]:
        remedies.append(how_to_install(packages))
    return EnvironmentLacks(
        "Checking what a run needs of this machine",
        "; ".join(f"{need.name}: {need.seen} ({need.purpose})" for need in missing),
        f"To mend it: {'; '.join(remedies)}.",
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


def _tools_of(scenario: Scenario) -> list[str]:
    """What a run of `scenario` needs that not every run does."""
    is_witnessed = any(condition.load.wrk_witness_s for condition in conditions(scenario))
    makes_certificate = scenario.served.tls is not None and scenario.served.tls.trust is None
    return [
        *[WRK] * (is_witnessed or scenario.capacity is not None),
        *[OPENSSL] * makes_certificate,
        *[DNSMASQ] * scenario.load.is_lookup,
    ]


if __name__ == "__main__":  # `make setup`, where there is no apt-get to ask.
    try:
        require_programs()
    except EnvironmentLacks as lack:
        image = (
            "" if is_debian() else " Even so, the image can be made on Debian only, so far: no run elsewhere."
        )
        sys.stderr.write(f"{lack}{image}\n")
        sys.exit(lack.exit_code)
