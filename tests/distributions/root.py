"""A smallest root file system of a Debian suite with this repository in it, and programs that run inside.

Whatever runs inside has mounts, process ids, a host name and IPC of its own, and ends whole. The network is
the machine's: packages come through it, and the lab makes networks of its own.
"""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.lab.hosts import command
from bench.lab.servers.debian_root import NOT_CURRENT, OWN
from tests.lab import world

NEEDED = ("make", "python3")
"""What the README asks of an empty Debian; apt and what is essential are there before."""
REPOSITORY = "/srv/bench"
OF_THE_MACHINE = "/machine"
"""Where what pip reads on this machine lies inside; its own path may belong to a package that comes later."""
NETWORK_SETTINGS = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
ENDING_S = 60.0
NO_SERVICES = "#!/bin/sh\nexit 101\n"
ENTER = """
set -e
root=$1 machine=$2; shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs shm dev/shm
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mkdir run/lock
if [ -d /lib/modules ]; then mkdir -p usr/lib/modules; mount --bind -o ro /lib/modules usr/lib/modules; fi
for file in hosts resolv.conf; do [ ! -e /etc/$file ] || cp -L /etc/$file etc/$file; done
while [ "$1" != -- ]; do
  inside=".$machine$1"
  mkdir -p "$(dirname "$inside")"
  if [ -d "$1" ]; then mkdir -p "$inside"; else touch "$inside"; fi
  mount --bind -o ro "$1" "$inside"
  shift
done
shift
mkdir -p left
pivot_root . left
cd /
python3 -c 'import ctypes; ctypes.CDLL(None).umount2(b"/left", 2)'
rmdir /left
cd "$1"; shift
exec "$@"
"""
"""Shell script: `root machine path... -- folder argv...`. Its mounts are in a namespace of its own.

The machine's tree is taken away (2: MNT_DETACH) by what every root has; umount is none of it in Debian 13.
"""


def make_root(suite: str, root: Path, log: Path, seconds: float) -> int | None:
    """Exit status of mmdebstrap, which makes `root`; None where it had no end within `seconds`."""
    options = ["--variant=apt", f"--include={','.join(NEEDED)}", *NOT_CURRENT.get(suite, ())]
    temporary = log.parent / "mmdebstrap"
    temporary.mkdir()
    argv = ["unshare", *OWN, "mmdebstrap", *options, suite, str(root)]
    status = run_bounded(argv, {**os.environ, "TMPDIR": str(temporary)}, log, seconds)
    if status == 0:
        # A package that brings a service would start it: a dockerd in the machine's own network.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text(NO_SERVICES)
        policy.chmod(0o755)
    return status


def put_repository(root: Path) -> None:
    """Put the files of HEAD, and nothing that is not committed, into `root`."""
    place, archive = root / REPOSITORY.lstrip("/"), root.with_suffix(".repository.tar")
    place.mkdir(parents=True)
    top = Path(__file__).parents[2]
    command.run(["git", "-C", str(top), "archive", "--format=tar", f"--output={archive}", "HEAD"])
    command.run(["tar", "-x", f"--file={archive}", f"--directory={place}"])
    archive.unlink()


def run_inside(root: Path, argv: Sequence[str], log: Path, seconds: float) -> int | None:
    """Exit status of `argv` in the repository inside `root`; None where it had no end within `seconds`."""
    pip, read_by_pip = pip_settings()
    known = {name: os.environ[name] for name in NETWORK_SETTINGS if name in os.environ}
    mark, _, value = world.MARK.partition("=")
    own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", mark: value}
    enter = ["unshare", *OWN, "--uts", "sh", "-c", ENTER, "enter", str(root), OF_THE_MACHINE]
    return run_bounded([*enter, *read_by_pip, "--", REPOSITORY, *argv], {**known, **pip, **own}, log, seconds)


def pip_settings() -> tuple[dict[str, str], list[str]]:
    """How pip is set up on this machine: as environment for inside, and the files and folders that it names.

    Handed over at run time, so that no index of anybody's is in the repository.
    """
    said = command.run([sys.executable, "-m", "pip", "config", "list"])
    settings: dict[str, str] = {}
    read: dict[str, None] = {}
    # The environment (`:env:`) comes first, and is what counts with pip too.
    for line in sorted(said.splitlines()):
        name, _, quoted = line.partition("=")
        words = []
        for word in ast.literal_eval(quoted).split():
            path = Path(word.removeprefix("file://"))
            if not (path.is_absolute() and path.exists()):
                words.append(word)
                continue
            # The pages of an index on a disk name files that lie beside it.
            read[str(path if path == Path(word) else path.parent)] = None
            words.append(word.replace(str(path), f"{OF_THE_MACHINE}{path}"))
        option = name.rpartition(".")[2].upper().replace("-", "_")
        settings.setdefault(f"PIP_{option}", " ".join(words))
    return settings, list(read)


def run_bounded(argv: Sequence[str], environment: Mapping[str, str], log: Path, seconds: float) -> int | None:
    """Exit status of `argv`, whose messages go to `log`; None where it had no end within `seconds`.

    However this wait ends, the program is asked to end and tidy up, then ended with all that is in it.
    """
    with log.open("a") as messages:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            env=environment,
            start_new_session=True,
        )
    try:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
