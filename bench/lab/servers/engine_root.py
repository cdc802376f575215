"""Docker engines of other Debian suites, each in a root file system of its own.

mmdebstrap makes a root from the machine's own package mirror, and apt checks the suite's signatures
with the machine's keys. An engine runs inside its root with everything else of the lab host around
it: network, process ids, control groups and the host's folder are the same as for the machine's own.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.journal import noted
from bench.lab.servers.debian_root import BUILD_TIMEOUT_S, NOT_CURRENT, make_archive
from bench.lab.servers.image import BASE_OPTIONS
from bench.paths import CACHE

SUITES = ("bookworm", "trixie", "forky")
"""Debian 12, 13 and 14: dockerd 20.10, 26.1 and, when this was written, 28.5."""
PACKAGES = ("docker.io", "iptables", "iproute2", "kmod", "mount")
"""docker.io brings containerd, runc and docker-proxy; dockerd loads modules with kmod; ENTER unmounts."""
ENTER = """
set -e
root=$1 shared=$2; shift 2
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
top=/run/engine
mkdir -p $top
mount -t tmpfs -o mode=755 engine $top
mkdir $top/written $top/work $top/root
mount -t overlay -o "lowerdir=$root,upperdir=$top/written,workdir=$top/work" engine $top/root
cd $top/root
for tree in proc dev; do mount --rbind /$tree $tree; done
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mkdir run/lock
mkdir -p "./$shared"
mount --rbind "$shared" "./$shared"
if [ -d /lib/modules ]; then mkdir -p usr/lib/modules; mount --bind -o ro /lib/modules usr/lib/modules; fi
for file in hosts resolv.conf; do [ ! -e /etc/$file ] || cp -L /etc/$file etc/$file; done
mkdir machine
pivot_root . machine
cd /
umount -l /machine
rmdir /machine
exec "$@"
"""
"""Shell script: `root shared argv...`. Everything that it mounts is in a mount namespace of its own.

What the engine writes outside `shared` goes to memory (the overlay's upper layer), so that engines
may use one root at the same time and each starts from it unchanged. A /run of its own hides every
other containerd. Hosts and resolver are the machine's, as they are for the machine's own engine. The
sysfs is of the host's network: dockerd 28 looks there whether a container's link is up, and waits for
20 ms where it does not find the link.
"""


@dataclass(frozen=True)
class EngineRoot:
    """A root file system with a Docker Engine in it, unpacked and ready."""

    suite: str
    path: Path
    """Read by any number of engines, written by none."""
    sha256: str
    """Of the archive that it was unpacked from."""
    dockerd_version: str
    """As the engine itself states it."""


def provide_engine_root(suite: str, also: Iterable[str] = ()) -> EngineRoot:
    """Root of `suite` from the cache, with the packages `also`; made first where the cache has none.

    Raises EnvironmentLacks where the suite cannot be had from this machine's mirror.
    """
    packages = f"--include={','.join((*PACKAGES, *also))}"
    options = [*BASE_OPTIONS, *NOT_CURRENT.get(suite, ()), packages, suite]
    key = hashlib.sha256(json.dumps([platform.machine(), *options]).encode()).hexdigest()[:16]
    root = CACHE / f"root-{suite}-{key}"
    digest = root.with_suffix(".sha256")
    if not digest.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        archive = root.with_suffix(".tar")
        with noted(archive):
            sha256 = _make_archive(suite, options, archive)
            _unpack(archive, root)
        # Last, so that its presence says that the root is whole.
        digest.write_text(sha256)
    return EngineRoot(suite, root, digest.read_text(), _dockerd_version(root))


def cached_suites() -> dict[str, str]:
    """Suite -> version of its dockerd, of every root that is in the cache."""
    whole = {suite: list(CACHE.glob(f"root-{suite}-*.sha256")) for suite in SUITES}
    return {suite: _describe(found[0].with_suffix("")) for suite, found in whole.items() if found}


def _describe(root: Path) -> str:
    try:
        return f"Docker {_dockerd_version(root)}"
    except command.CommandFailed as fault:  # Only root may change into it.
        return f"Docker of a version that cannot be asked for: {fault.seen}"


def argv_in_root(root: EngineRoot, shared: str, argv: Sequence[str]) -> list[str]:
    """`argv` as it must be started on a host of this machine to run inside `root`.

    `shared`, the host's folder, is at the same path inside. A plain chroot is not enough: dockerd
    makes its root's mounts private, which asks for a root that is a mount.
    """
    return ["unshare", "--mount", "sh", "-c", ENTER, "engine-root", str(root.path), shared, *argv]


def _make_archive(suite: str, options: Sequence[str], archive: Path) -> str:
    try:
        return make_archive(
            f"Making a root file system with the Docker Engine of Debian {suite}", options, archive
        )
    except EnvironmentLacks as fault:
        raise EnvironmentLacks(
            fault.doing,
            fault.seen,
            f"This machine's package mirror must serve {suite}, signed with a key of /etc/apt/trusted.gpg.d"
            " (package debian-archive-keyring).",
        ) from fault


def _unpack(archive: Path, root: Path) -> None:
    partial = root.with_suffix(".partial")
    for folder in (partial, root):  # Of an attempt that was killed.
        if folder.exists():
            shutil.rmtree(folder)
    argv = [
        "tar",
        "-x",
        "--numeric-owner",
        "--exclude=./dev/*",  # Devices are the machine's own.
        f"--file={archive}",
        f"--directory={partial}",
    ]
    with noted(partial):
        partial.mkdir()
        try:
            command.run(argv, timeout_s=BUILD_TIMEOUT_S)
        except command.CommandFailed as fault:
            # On a full disk a line a file, the first of them cut; the last says that there were some.
            said = fault.seen.splitlines()[-2:][0]
            raise EnvironmentLacks(
                f"Unpacking {root.name}", said, f"Check that there is room in {root.parent}."
            ) from fault
        partial.replace(root)


def _dockerd_version(root: Path) -> str:
    said = command.run(["chroot", str(root), "/usr/sbin/dockerd", "--version"])
    return said.removeprefix("Docker version ").partition(",")[0].strip()
