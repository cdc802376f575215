"""Everything of the machine that a run could leave behind, as sorted lines that can be compared."""

import os
import subprocess
from pathlib import Path

OURS = ("bench", "dockerd", "containerd", "apache2", "tini", "unshare", "locust")


def snapshot() -> dict[str, list[str]]:
    """Links, routes, rules, namespaces, mounts, control groups, processes, Docker objects, state."""
    return {
        "links": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "address"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "named namespaces": _lines("ip", "netns"),
        "network namespaces": _namespaces("net"),
        "mount namespaces": _namespaces("mnt"),
        "pid namespaces": _namespaces("pid"),
        "iptables (nft)": _rules("iptables-nft-save"),
        "iptables (legacy)": _rules("iptables-legacy-save"),
        "ip6tables (nft)": _rules("ip6tables-nft-save"),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "control groups": sorted(
            str(path) for path in Path("/sys/fs/cgroup").rglob("*bench*") if path.is_dir()
        ),
        "processes": _processes(),
        "forwarding": [Path("/proc/sys/net/ipv4/ip_forward").read_text()],
        "docker sockets": sorted(str(path) for path in Path("/run").rglob("*.sock")),
        "state": sorted(str(path) for path in Path("/var/lib/bench").rglob("*")),
    }


def _lines(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    return sorted(done.stdout.splitlines())


def _rules(tool: str) -> list[str]:
    done = subprocess.run([tool], capture_output=True, text=True, timeout=30, check=False)
    return [line for line in done.stdout.splitlines() if not line.startswith(("#", ":"))]


def _namespaces(kind: str) -> list[str]:
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    continue  # Dead, and only waiting for its parent to take notice.
                found.add(str((process / "ns" / kind).readlink()))
            except OSError:
                continue  # It ended between the listing and the reading.
    return sorted(found)


def _processes() -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                command = (process / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
            if state != "Z" and "pytest" not in command and any(name in command for name in OURS):
                found.append(f"{process.name} {command[:120]}")
    return sorted(found)
