"""SHA256SUMS of a folder, in the form that `sha256sum -c` reads.

What was measured is summed once, when the recording ends: these lines are never written anew. What
follows from it (verdict, tables, report) is written again freely, and its lines with it.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from bench.results.files import (
    PARTIAL,
    SLOTS_FILE,
    SUMS_FILE,
    VERDICT_FILE,
    open_stored,
    read_stored,
    write_atomically,
)

DERIVED_FILES = {VERDICT_FILE, SLOTS_FILE, "report.html", "report.md", "index.html", "index.md"}
DERIVED_FOLDER = "figures/"
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class NotAsWritten(UserWarning):
    """What was read has another sum than when it was measured: somebody, or a disk, has changed it."""


def is_derived(name: str) -> bool:
    """Whether the file `name` (relative to a run's folder) follows from what was measured."""
    return name in DERIVED_FILES or name.startswith(DERIVED_FOLDER)


def digest(content: bytes) -> str:
    """SHA-256 of `content`, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with open_stored(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """File, relative to `folder` -> its sum. A line that is none is as a line that is not there."""
    try:
        lines = read_stored(folder / SUMS_FILE).decode(errors="replace").split("\n")
    except OSError:
        return {}
    return {match[2]: match[1] for line in lines if (match := LINE.fullmatch(line))}


def seal(folder: Path, known: Mapping[str, str] = {}) -> None:
    """Write the sums of what was measured, as a recording ends; `known` sums are taken as they are.

    A file that is known need not be there yet: its record is written after its sum, so that a run that
    says that it ended has one.
    """
    rest = [name for name in list_files(folder) if not is_derived(name) and name not in known]
    _write(folder, {name: digest_file(folder / name) for name in rest} | dict(known))


def write_sums(folder: Path) -> None:
    """Write the sums of what follows from the measured anew; those of the measured stay as they are."""
    kept = {name: line for name, line in read_sums(folder).items() if not is_derived(name)}
    derived = {name: digest_file(folder / name) for name in list_files(folder) if is_derived(name)}
    _write(folder, kept | derived)


def list_files(folder: Path) -> list[str]:
    """Every file below `folder` but the sums, by its name from there; what is being written is none yet."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if not name.endswith(PARTIAL) and path.is_file():
                found.append(path.relative_to(folder).as_posix())
    return sorted(set(found) - {SUMS_FILE})


def _write(folder: Path, sums: Mapping[str, str]) -> None:
    lines = [f"{line}  {name}\n" for name, line in sorted(sums.items())]
    write_atomically(folder / SUMS_FILE, "".join(lines).encode())
