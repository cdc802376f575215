"""What a run makes on this machine, written down before it is made, and undone from there.

The lab's namespaces, engines and load generator die with the controller by themselves (the kernel
ends them, see `command.start` and `lab`). What can survive a SIGKILL is a process in that instant,
a control group, a folder or file and a setting of the kernel; the journal holds those, each with an identity
that cannot be taken for another's: pid with start time, or a path that carries the run's random id. Of a
setting it holds the value that was there.
"""

import json
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench import paths
from bench.errors import EnvironmentLacks
from bench.procfs import parse_process

CGROUP_ROOT = Path("/sys/fs/cgroup")


COMPILING = re.compile(r"\.([0-9]+)\.partial$")
"""The end of a name in the cache, or in the temporary folder, that a compiler writes to; and by which process
it was started."""
ENTRIES: dict[str, dict[str, type]] = {
    "folder": {"path": str},
    "path": {"path": str},
    "setting": {"path": str, "value": str},
    "cgroup": {"name": str},
    "process": {"pid": int, "started": int, "what": str},
}
"""Of a journal: kind -> what an entry of it holds."""


class Journal:
    """Journal of one run: JSON lines, each on the disk before the act that it names."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.folder = paths.STATE / run_id
        with _explained(self.folder):
            self.folder.mkdir(mode=0o700)
        self._path = self.folder / "journal.jsonl"
        self.write("folder", path=str(self.folder))

    def write(self, kind: str, **identity: str | int) -> None:
        """Put one entry on the disk."""
        with _explained(self._path), self._path.open("a") as lines:
            lines.write(json.dumps({"kind": kind, **identity}) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

    def write_process(self, pid: int, what: str) -> None:
        """Put a process on the disk by pid and start time."""
        self.write("process", pid=pid, started=start_time(pid) or 0, what=what)

    def write_setting(self, path: Path) -> None:
        """Put a setting of the kernel on the disk as it is now, so that it will be so again."""
        self.write("setting", path=str(path), value=path.read_text().strip())


@contextmanager
def noted(path: Path) -> Iterator[None]:
    """While this lasts `path` is in a journal of its own; then it is removed, should it still be there.

    For what lies beside the journals' folder: a socket wants a short path, and a file that is moved into its
    place when it is whole must be on that disk. Needs `machine_lock`.
    """
    journal = Journal(f"{path.name}-{secrets.token_hex(4)}")
    journal.write("path", path=str(path))
    try:
        yield
    finally:
        undo(journal.run_id)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Nothing is done that cannot be written down first."""
    try:
        yield
    except OSError as fault:
        raise EnvironmentLacks(
            f"Writing {path}", str(fault), "Make room there, and let it be written to."
        ) from fault


def dead_runs() -> list[str]:
    """Ids of runs whose leftovers are on this machine. Meaningful only under `machine_lock`."""
    return sorted(folder.name for folder in paths.STATE.iterdir() if folder.is_dir())


def undo_dead_runs() -> list[str]:
    """Remove what dead runs left; returns a line a thing. Needs `machine_lock`."""
    return [line for run_id in dead_runs() for line in undo(run_id)] + _remove_half_compiled()


def undo(run_id: str) -> list[str]:
    """Remove what the journal of `run_id` names, last first; returns a line for each thing removed.

    Idempotent. A process whose start time differs from the journal's is somebody else's and stays.
    """
    removed: list[str] = []
    lines = paths.STATE / run_id / "journal.jsonl"
    for entry in reversed(parse_entries(lines.read_bytes() if lines.exists() else b"")):
        if entry["kind"] == "process" and entry["started"] == start_time(entry["pid"]):
            _kill(entry["pid"])
            removed.append(f"process {entry['pid']} ({entry['what']})")
        elif entry["kind"] == "setting":
            removed += _restore(Path(entry["path"]), entry["value"])
        elif entry["kind"] == "cgroup":
            removed += [f"control group {path}" for path in _remove_cgroups(entry["name"])]
        elif entry["kind"] == "path":
            removed += _remove(Path(entry["path"]))
    if (paths.STATE / run_id).exists():
        shutil.rmtree(paths.STATE / run_id)
        removed.append(f"folder {paths.STATE / run_id}")
    return removed


def parse_entries(journal: bytes) -> list[dict[str, Any]]:
    """The entries of a journal. What is none is left out, and nothing is done for it.

    The last line may be one: of a run that was killed while it wrote, before the act; and where a machine
    lost its power, all that its disk had not yet.
    """
    entries = []
    for line in journal.decode(errors="replace").splitlines():
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            holds = ENTRIES.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
            if holds and all(type(entry.get(key)) is kind for key, kind in holds.items()):
                entries.append(entry)
    return entries


def start_time(pid: int) -> int | None:
    """Start of a living process in clock ticks after boot; None if there is none."""
    try:
        process = parse_process(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if process.state == "Z" else process.started_ticks


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    for _ in range(500):
        if start_time(pid) is None:
            return
        time.sleep(0.01)


def _restore(setting: Path, value: str) -> list[str]:
    """Set a setting of the kernel to `value` again, where it is not so already."""
    if setting.read_text().strip() == value:
        return []
    setting.write_text(value)
    return [f"value of {setting}, {value} as before"]


def _remove_half_compiled() -> list[str]:
    """Who compiles has no lock, and so no journal: but its number is in the name."""
    return [
        line
        for path in sorted([*paths.CACHE.glob("*.partial"), *_own_temporary("bench-*.partial")])
        if (found := COMPILING.search(path.name)) and start_time(int(found[1])) is None
        for line in _remove(path)
    ]


def _own_temporary(pattern: str) -> Iterator[Path]:
    """Of the temporary files those of this user: anybody may give a name there."""
    for path in Path(tempfile.gettempdir()).glob(pattern):
        with suppress(FileNotFoundError):
            if path.lstat().st_uid == os.geteuid():
                yield path


def _remove(path: Path) -> list[str]:
    """Remove a folder or a file, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return [f"folder {path}"]
    if path.is_symlink() or path.exists():
        path.unlink()
        return [f"file {path}"]
    return []


def _remove_cgroups(name: str) -> list[str]:
    """Remove the empty control groups `name` of every hierarchy (version 1 has several)."""
    removed = []
    for top in [CGROUP_ROOT / name, *CGROUP_ROOT.glob(f"*/{name}")]:
        if not top.is_dir():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            # A group empties a moment after its last process has died.
            for _ in range(100):
                try:
                    Path(folder).rmdir()
                    break
                except OSError:
                    time.sleep(0.02)
        if not top.exists():
            removed.append(str(top))
    return removed
