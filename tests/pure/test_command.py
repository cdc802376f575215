"""What a program that was started sees of the end of who started it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.lab.hosts.journal import start_time
from bench.lab.hosts.waiting import wait_until

PATIENCE_S = 20.0
UNPACK = "import sys; from pathlib import Path; from bench.lab.servers.engine_root import _unpack;"
UNPACK += "_unpack(Path(sys.argv[1]), Path(sys.argv[2]))"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@contextmanager
def running(script: str, *arguments: object) -> "Iterator[subprocess.Popen[bytes]]":
    controller = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)])
    try:
        yield controller
    finally:
        controller.kill()
        controller.wait()


def test_tar_that_unpacks_an_engines_root_dies_with_its_killed_controller(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    os.mkfifo(archive)  # Of which nothing ever comes: tar is in the middle of it.
    with running(UNPACK, archive, tmp_path / "root") as controller:
        found: list[int] = []

        def unpacks() -> bool:
            found[:] = children_of(controller.pid)
            return [name_of(pid) for pid in found] == ["tar"]

        assert wait_until(unpacks, PATIENCE_S)
        controller.kill()
        try:
            assert wait_until(lambda: start_time(found[0]) is None, PATIENCE_S), "tar outlived it"
        finally:
            with suppress(OSError):  # There is no reader, as there should be none.
                os.close(os.open(archive, os.O_WRONLY | os.O_NONBLOCK))
