"""A controller that is killed amid an act that is not the lab's: what it had begun is known, and goes."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bench import paths
from bench.lab.hosts.journal import start_time, undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.waiting import wait_until

PATIENCE_S = 60.0
BEGIN = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from bench import paths
top = Path(sys.argv[1])
paths.STATE = top / "state"
"""
SLOW = """#!/bin/sh
for word in "$@"; do case $word in */key.pem) echo secret > $word;; esac; done
touch {top}/amid
exec sleep 1000
"""
"""In the place of openssl and ssh: who has been asked, and is not done."""
ACTS = {
    "a certificate is made": """
from bench.lab.servers.certificate import make_certificate
make_certificate("localhost")
""",
    "an image is saved": """
from bench.lab.servers.image import save_image
def chunks(named):
    yield b"half"
    (top / "amid").touch()
    time.sleep(1000)
save_image(SimpleNamespace(save=chunks), top / "cache" / "image-0123.tar")
""",
    "a root is unpacked": """
from bench.lab.servers.engine_root import _unpack
os.mkfifo(top / "archive")  # Of which nothing ever comes.
(top / "amid").touch()
_unpack(top / "archive", top / "cache" / "root-bookworm-0123")
""",
    "a host is logged in to": """
from bench.lab.hosts import ssh
ssh.TEMPORARY = top / "temporary"
with ssh.connect("web", ["web"]):
    pass
""",
}


def tree(top: Path) -> set[str]:
    return {str(path) for path in top.rglob("*")} - {str(top / name) for name in ("amid", "archive")}


@pytest.mark.parametrize("act", ACTS)
def test_what_a_killed_controller_had_begun_is_removed_with_what_dead_runs_left(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("state", "cache", "bin", "temporary"):
        (tmp_path / folder).mkdir()
    for program in ("openssl", "ssh"):
        (tmp_path / "bin" / program).write_text(SLOW.format(top=tmp_path))
        (tmp_path / "bin" / program).chmod(0o755)
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with machine_lock("this test"):
        before = tree(tmp_path)
    controller = subprocess.Popen([sys.executable, "-c", BEGIN + ACTS[act], tmp_path])
    children: list[int] = []

    def is_amid() -> bool:
        with suppress(OSError):
            found = Path(f"/proc/{controller.pid}/task/{controller.pid}/children").read_text()
            children[:] = map(int, found.split())
        begun = (tmp_path / "amid").exists()
        return begun and (act != "a root is unpacked" or any(map(_is_tar, children)))

    try:
        assert wait_until(is_amid, PATIENCE_S)
    finally:
        controller.kill()
        controller.wait()
    try:
        assert wait_until(lambda: not any(map(start_time, children)), PATIENCE_S), "a child outlived it"
    finally:
        with suppress(OSError):  # Ends a tar that still reads it.
            os.close(os.open(tmp_path / "archive", os.O_WRONLY | os.O_NONBLOCK))
    with machine_lock("this test"):
        assert undo_dead_runs()
    assert tree(tmp_path) == before


def _is_tar(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text() == "tar\n"
    return False
