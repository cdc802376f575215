"""Everything of the machine that a run could leave behind, as sorted lines that can be compared.

What cannot be told apart from a neighbour's (links, addresses, rules, mounts) is compared whole. Processes
and namespaces are those that these tests have started, and the rest is known by its name, so that whoever
else works on the machine meanwhile is not taken for a run's.
"""

import os
import re
import secrets
import subprocess
from pathlib import Path

from bench import paths

MARK_NAME = "BENCH_TESTS"
MARK = f"{MARK_NAME}={os.environ.setdefault(MARK_NAME, secrets.token_hex(8))}"
"""What is in the environment of all that these tests start, and of nothing else on the machine."""
COUNTDOWN = re.compile(r"\b(valid_lft|preferred_lft|expires|age|hoplimit) \S+")
"""What an address or a route of DHCP or of a router's advertisement says of its end: it runs."""
TEMPORARY = re.compile(r"(?!bench-(fuzz|chaos)-)(bench-|mmdebstrap\.|containerd)")
"""How names begin that a run could leave in /tmp; not those of tests, some of which go on beside."""
WHOLE = re.compile(
    r"(base|root)-.*\.sha256|(image|host|service)-[0-9a-f]+\.(tar|ids)|[a-z-]+(-[0-9a-f]{16}){2}"
)
"""Names in the cache of what is whole, or says that its neighbour is."""
COMPILES = re.compile(r"\.([0-9]+)\.partial$")
"""What process a compiler's output is of: tests beside compile as well."""


World = dict[str, list[str]]


def snapshot() -> World:
    """Links, routes, rules, namespaces, mounts, control groups, processes, state, cache, Docker's folders."""
    ours = descendants()
    return {
        "links": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "address"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "named namespaces": _lines("ip", "netns"),
        "network namespaces": _namespaces("net", ours),
        "mount namespaces": _namespaces("mnt", ours),
        "pid namespaces": _namespaces("pid", ours),
        "iptables (nft)": _rules("iptables-nft-save"),
        "iptables (legacy)": _rules("iptables-legacy-save"),
        "ip6tables (nft)": _rules("ip6tables-nft-save"),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "control groups": [path for path in _folders("/sys/fs/cgroup") if "/bench-" in path],
        "processes": sorted(f"{pid} {command}" for pid, command in ours.items()),
        "forwarding": [Path("/proc/sys/net/ipv4/ip_forward").read_text()],
        "docker sockets": [path for path in _files("/run") if re.search(r"docker|containerd", path)],
        "state": _folders(str(paths.STATE)),
        "temporary": sorted(path.name for path in Path("/tmp").iterdir() if TEMPORARY.match(path.name)),
        "cache": _unfinished(),
        "Docker's own": [
            f"{path} {Path(path).lstat().st_mtime_ns}"
            for top in ("/etc/docker", "/opt/containerd")
            for path in [*_folders(top), *_files(top)]
        ],
    }


def descendants() -> dict[int, str]:
    """Living processes that these tests have started, by whatever detour, with their command lines."""
    parents, commands, marked = {}, {}, set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            pid = int(process.name)
            try:
                state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
                parents[pid] = int(parent)
                if state != "Z":  # Dead, and only waiting for its parent to take notice.
                    commands[pid] = (process / "cmdline").read_text().replace("\0", " ").strip()[:120]
                if MARK.encode() in (process / "environ").read_bytes().split(b"\0"):
                    marked.add(pid)
            except OSError:
                continue  # It ended between the listing and the reading.
    return {pid: command for pid, command in commands.items() if marked.intersection(_line(pid, parents))}


def _line(pid: int, parents: dict[int, int]) -> list[int]:
    """`pid` and its forefathers: of what runs in a container an engine is among them, with the mark."""
    line = [pid]
    while line[-1] in parents and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    return line


def _lines(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return sorted(COUNTDOWN.sub(r"\1", line) for line in done.stdout.splitlines())


def _rules(tool: str) -> list[str]:
    """Rules, chains of somebody's own and policies other than ACCEPT, each with its table.

    Not the kernel's own chains, which show from the moment on that any namespace has made it load a table.
    """
    done = subprocess.run([tool], capture_output=True, text=True, timeout=60, check=False)
    found, table = [], ""
    for line in done.stdout.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") or (line.startswith(":") and line.split()[1] != "ACCEPT"):
            found.append(f"{table}: {line.split(' [')[0]}")
    return found


def _namespaces(kind: str, pids: dict[int, str]) -> list[str]:
    found = set()
    for pid in pids:
        try:
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
        except OSError:
            continue
    return sorted(found)


def _unfinished() -> list[str]:
    """What is in the cache and neither whole nor of a process that lives."""
    names = {path.name for path in paths.CACHE.glob("*")}
    return sorted(
        name
        for name in names
        if not WHOLE.fullmatch(name)
        and f"{name.removesuffix('.tar')}.sha256" not in names
        and not ((found := COMPILES.search(name)) and Path("/proc", found[1]).exists())
    )


def _folders(top: str) -> list[str]:
    """Folders below `top`; unlike Path.rglob, not disturbed by what goes away meanwhile."""
    return sorted(f"{place}/{name}" for place, names, _ in os.walk(top) for name in names)


def _files(top: str) -> list[str]:
    return sorted(f"{place}/{name}" for place, _, names in os.walk(top) for name in names)
