"""Files of a run: made and replaced whole; and those that a person asks for, wherever they are to go."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

from bench.errors import EnvironmentLacks

RUN_FILE, VERDICT_FILE, SLOTS_FILE, SUMS_FILE = "run.json", "verdict.json", "slots.csv", "SHA256SUMS"
SLOTS_FOLDER, SLOT_FILE, SURROUNDINGS_FOLDER = "slots", "slot.json", "surroundings"
SUITE_FILE, SUITES = "suite.json", "suite"
CAPACITY_FILE = "capacity.json"
PARTIAL = ".partial"
"""Ending of what is being written: its name is drawn, so that nobody can lay a link there beforehand, and
two who write the same file do not meet."""
INPUTS_FOLDER = "inputs"
"""Files of the scenario's own: what its service mounts, bodies of requests."""
WALKTHROUGH_FILE, WALKTHROUGH_PAGE = "walkthrough.json", "walkthrough.md"


def is_suite(folder: Path) -> bool:
    """Whether `folder` is a suite's, rather than a run's."""
    return (folder / SUITE_FILE).exists()


def is_capacity(folder: Path) -> bool:
    """Whether `folder` is a capacity measurement's, rather than a run's."""
    return (folder / CAPACITY_FILE).exists()


def new_run_id(now: datetime) -> str:
    """`<YYYYMMDDThhmmssZ>-<4 hex>`: sorts by time, and no two are alike."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def create_run_folder(results: Path, scenario_name: str, run_id: str) -> Path:
    """Make `results/<scenario>/<run id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / scenario_name / run_id
    make_folder(folder / SLOTS_FOLDER, f"Making the run's folder {folder}")
    return folder


def make_folder(folder: Path, doing: str) -> None:
    """Make `folder`, which must not be there. Raises InputError or EnvironmentLacks with the reason."""
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        raise EnvironmentLacks(
            doing, str(fault), "Give a folder that can be written with --results."
        ) from fault


def make_subfolder(folder: Path, name: str) -> Path:
    """Make `folder/name` (a relative path) where it is not there; returns it.

    Raises EnvironmentLacks where it cannot be made, or where a part of it is a link: a run's folder may
    be somebody else's, and what is written into it must not end up elsewhere.
    """
    place = folder
    for part in Path(name).parts:
        place /= part
        try:
            place.mkdir(exist_ok=True)
            is_link = place.is_symlink()
        except OSError as fault:
            raise EnvironmentLacks(
                f"Making the folder {place}", describe_fault(fault), "Make room there, or make it writable."
            ) from fault
        if is_link:
            raise EnvironmentLacks(
                f"Writing into {place}",
                f"it is a link to {place.readlink()}, outside of what is written here",
                "Remove the link.",
            )
    return place


def open_stored(path: Path) -> BufferedReader:
    """Open a file of a stored run to read. Raises OSError, also where a pipe or a device lies in its place.

    Reading those could wait, or last, for ever.
    """
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115 - its reader closes it.
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return stream


def read_stored(path: Path) -> bytes:
    """The content of a file of a stored run. Raises OSError as `open_stored`."""
    with open_stored(path) as stream:
        return stream.read()


def write_atomically(target: Path, content: bytes) -> None:
    """Write `content` so that `target` is the whole of it or what it was before, after any kill.

    A link that lies there is replaced, not followed.
    """
    partial = target.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(partial, flags, 0o666), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
        _sync_folder(target.parent)
    except BaseException as fault:
        with suppress(OSError):
            partial.unlink()
        if not isinstance(fault, OSError):
            raise
        raise EnvironmentLacks(
            f"Writing {target}",
            describe_fault(fault),
            "What was written before is whole. Make room there, or make it writable.",
        ) from fault


def write_output(target: Path, content: bytes) -> None:
    """Write a file that a person asked for; a device, a pipe or a link there is written to, not replaced.

    Raises EnvironmentLacks where that fails.
    """
    try:
        is_file = stat.S_ISREG(target.lstat().st_mode)
    except OSError:
        is_file = True  # There is nothing yet; or writing it says why not.
    if is_file:
        write_atomically(target, content)
        return
    try:
        with target.open("wb") as stream:
            stream.write(content)
    except BrokenPipeError:
        raise  # Whoever read it has seen enough.
    except OSError as fault:
        raise EnvironmentLacks(f"Writing {target}", describe_fault(fault), "Give another file.") from fault


def remove_partials(folder: Path) -> None:
    """Remove what killed writes left in a run's folder; for who holds the machine's lock."""
    for path in folder.rglob(f".*{PARTIAL}"):
        with suppress(OSError):
            path.unlink()


def describe_fault(fault: OSError | UnicodeDecodeError) -> str:
    """Why a file could not be read or written, without its name."""
    if isinstance(fault, UnicodeDecodeError):
        return f"it is no text ({fault.reason} at byte {fault.start})"
    return fault.strerror or str(fault)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a loss of power, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
