"""The part of this controller's Python environment that travels in images: to hosts, which have Docker and
no Python, and with bench as a whole.

Its packages are copied as they are installed, so that the same code drives a load here and there, and no
package index is asked.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command

ROOTS = ("docker", "locust", "numpy", "pydantic")
"""What the load generator and a host's agent import; all else is there because one of these needs it."""
BENCH = "bench"
"""As pip knows it: it needs all that any of its commands imports."""
PACKAGE = Path(__file__).parents[2]
INSIDE = "/opt/bench"
COMPILED_IN = "__pycache__"
LOOP = """
import sys
from pathlib import Path
from bench.generator.compiled_loop import provide_library
sys.exit(provide_library(Path(sys.argv[1])).lacks or None)
"""
"""Python script, since the generator stands above the lab: puts the compiled loop into the folder given."""
DOING = "Copying this Python environment into an image"
COMPILING_S = 120.0


def put_environment(folder: Path, roots: Iterable[str] = ROOTS) -> None:
    """Put what `roots` need, bench itself and its compiled loop into `folder`.

    Raises EnvironmentLacks where the loop cannot be compiled.
    """
    packages, own = folder / "packages", folder / "own"
    for distribution in distributions(roots):
        if canonicalize_name(distribution.name) == BENCH:
            continue  # Its files are `own`; what pip wrote of it may be where this checkout lies.
        for file in _files(distribution):
            copy = packages / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), copy)
    shutil.copytree(PACKAGE, own / "bench", ignore=shutil.ignore_patterns(COMPILED_IN))
    (folder / "cache").mkdir()
    _python("-c", LOOP, str(folder / "cache"))
    # Nobody changes a file in an image: its bytecode is never compared with it.
    compileall = ("-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash")
    for path in (str(packages), str(own)):
        _python(*compileall, "-s", path, "-p", INSIDE, path)


def _python(*arguments: str) -> None:
    done = command.attempt([sys.executable, *arguments], timeout_s=COMPILING_S, environment=os.environ)
    if done.status:
        raise EnvironmentLacks(DOING, done.output.strip()[-2000:], "`make setup` installs what is missing.")


def digest_environment() -> str:
    """Of all that `put_environment` copies: what pip recorded of every package, and bench's own files."""
    packages = {
        f"{found.name} {found.version}": sorted(
            (str(file), file.hash.value) for file in _files(found) if file.hash
        )
        for found in distributions(ROOTS)
    }
    return hashlib.sha256(json.dumps([packages, digest_of_tree(PACKAGE)]).encode()).hexdigest()


def digest_of_tree(folder: Path) -> str:
    """Of the names and contents of all files in `folder`, but for Python's own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and COMPILED_IN not in path.parts)
    digests = {}
    for path in files:
        with path.open("rb") as stream:  # It may be larger than memory.
            digests[str(path.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def distributions(roots: Iterable[str]) -> list[Distribution]:
    """What `roots` and all that they need have installed here, by name."""
    wanted = [Requirement(root) for root in roots]
    seen: set[tuple[str, str]] = set()
    found: dict[str, Distribution] = {}
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            try:
                found[name] = importlib.metadata.distribution(name)
            except PackageNotFoundError as fault:
                raise EnvironmentLacks(
                    DOING, f"{name} is not installed", "`make setup` installs what is missing."
                ) from fault
            needs = map(Requirement, found[name].requires or ())
            wanted += (each for each in needs if not each.marker or each.marker.evaluate({"extra": extra}))
    return [found[name] for name in sorted(found)]


def _files(distribution: Distribution) -> Iterator[PackagePath]:
    """Its files that Python imports from: no programs, which lie outside, and no bytecode."""
    for file in distribution.files or ():
        if not {"..", COMPILED_IN} & set(file.parts):
            yield file


def require_same_python(base: Path) -> None:
    """Raise EnvironmentLacks unless the python3 of `base` can import what is compiled for this one."""
    with tarfile.open(base) as archive:
        theirs = archive.getmember("./usr/bin/python3").linkname.removeprefix("python")
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if theirs != ours:
        raise EnvironmentLacks(
            DOING,
            f"it is of Python {ours}, and its compiled packages cannot be imported by Python {theirs},"
            " which this machine's Debian has",
            "Make it with Debian's own: remove .venv, then `make setup PYTHON=/usr/bin/python3`.",
        )
