"""Compiles bench's own C with the system's compiler: once, and kept by what went into it."""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command

COMPILE_S = 60.0
DIGITS = 16
"""Of a digest in a name."""


def compile_once(source: Path, flags: Sequence[str], cache: Path) -> Path:
    """The program or library that `cc` makes of `source` with `flags`, from `cache` if it is there.

    Its name holds a digest of source and flags, and one of the compiler. Two processes may do this at once.
    Where there is no compiler, that of any serves: an image has what was compiled when it was made. A cache
    that cannot be written is replaced by a temporary folder, which is gone with the process. Raises
    EnvironmentLacks where there is neither compiler nor cached result, or where the compiler refuses.
    """
    name = f"{source.stem.replace('_', '-')}-{_digest(source.read_text(), *flags)}"
    if not command.find("cc"):
        for made in cache.glob(f"{name}-{'?' * DIGITS}"):
            return made
    made = cache / f"{name}-{_digest(command.run(['cc', '--version']))}"
    if made.exists():
        return made
    if not _is_writable(cache):
        made = _make_folder() / made.name
    partial = made.with_name(f"{made.name}.{os.getpid()}.partial")
    try:
        command.run(["cc", *flags, "-o", str(partial), str(source)], timeout_s=COMPILE_S)
        partial.replace(made)
    except OSError as fault:
        raise EnvironmentLacks(
            f"Compiling {source.name}", str(fault), f"Make {made.parent} writable."
        ) from fault
    finally:
        partial.unlink(missing_ok=True)
    return made


def _make_folder() -> Path:
    """One that ends with the process; after a SIGKILL `bench clean` knows it by its name."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", suffix=f".{os.getpid()}.partial"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:DIGITS]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
