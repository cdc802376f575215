"""Root file systems from Debian's packages: mmdebstrap, so that a build that dies leaves one folder.

A build has namespaces of its own and dies with its controller, whose journal's neighbour its folder is:
the next run, or `bench clean`, removes it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import paths
from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.journal import noted
from bench.lab.hosts.packages import how_to_install

BUILD_TIMEOUT_S = 900.0
BUILDING = "building"
NOT_CURRENT = {"forky": ("--aptopt=Acquire::Check-Valid-Until false",)}
"""A mirror that stands still serves a testing suite past its date. A signature is asked for all the same."""
OWN = ("--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")
"""What it mounts is its own, and it ends whole: a pid namespace's end is the end of all that is in it."""
AS_ROOT = ("--map-root-user", "--map-auto")
"""Who is not root is so in a user namespace, whose other ids /etc/subuid and /etc/subgid give."""


@contextmanager
def building_folder() -> Iterator[Path]:
    """A folder for what a build needs until it is done; of one build at a time, by the machine's lock."""
    folder = paths.STATE / BUILDING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_archive(doing: str, options: Sequence[str], archive: Path) -> str:
    """Run `mmdebstrap options archive` and put the result at `archive`, whole or not at all; its SHA-256.

    Raises EnvironmentLacks, `doing` that, with the errors of mmdebstrap.
    """
    is_root = os.geteuid() == 0
    if not is_root and not command.find("newuidmap"):
        raise EnvironmentLacks(
            doing,
            "this is not root, and there is no newuidmap, by which another user can own files of several",
            f"Run it as root, or {how_to_install(['uidmap'])}.",
        )
    if not command.find("mmdebstrap"):
        raise EnvironmentLacks(
            doing,
            "mmdebstrap is not installed here (bench's own image has none)",
            f"{how_to_install(['mmdebstrap'])}, or do without.",
        )
    with building_folder() as folder:
        log, made = folder / "mmdebstrap.log", folder / archive.name
        # A session of its own: where it fails, mmdebstrap sends HUP to its whole process group.
        unshare = ["unshare", *(() if is_root else AS_ROOT), *OWN]
        process = command.start(
            [*unshare, "env", f"TMPDIR={folder}", "mmdebstrap", *options, str(made)], log=log
        )
        try:
            ended = command.has_ended(process, BUILD_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        if not ended or process.returncode:
            errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("E: ")]
            reason = (
                errors[0].removeprefix("E: ") if errors else f"mmdebstrap ended with {process.returncode}"
            )
            raise EnvironmentLacks(
                doing,
                # Without the mirror's address: the reason goes into runs, which people share.
                re.sub(r"\S+://\S+ ?", "", reason) if ended else f"no end after {BUILD_TIMEOUT_S:g} s",
                "Check that this machine's package mirror answers, and that there is room in"
                f" {paths.STATE} and {archive.parent}.",
            )
        with made.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        partial = archive.with_name(f"{archive.name}.partial")
        with noted(partial):
            shutil.move(made, partial)
            partial.replace(archive)
        return digest
