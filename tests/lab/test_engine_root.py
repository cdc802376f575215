"""Engines of other Debian suites run on a lab host, and leave neither their root nor the machine changed."""

import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.core.errors import EnvironmentLacks
from bench.core.scenario import Arm, Mode
from bench.edges import apache, engine, engine_root, image, journal, lab, machine
from bench.edges.counters import read_network_counters
from bench.edges.engine_root import SUITES, EngineRoot, argv_in_root, provide_engine_root
from bench.edges.host import Host
from tests.lab.conftest import wait_until
from tests.lab.world import snapshot

GENERATION = {"bookworm": "20.10.", "trixie": "26.1.", "forky": "28."}
PLAIN_ARGV = engine.engine_argv
ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=3)
connection.request("GET", "/1024")
print(connection.getresponse().status)
"""


@contextmanager
def sealed_lab() -> Iterator[tuple[lab.Lab, journal.Journal]]:
    """A lab, after which the machine is what it was before."""
    with journal.machine_lock("test_engine_root"):
        before = snapshot()
        notes = journal.Journal(f"test-{os.getpid()}-{time.monotonic_ns()}")
        try:
            with lab.lab(lab.hosts_of_lab(*machine.divide_cores()), notes) as found:
                yield found, notes
        finally:
            journal.undo(notes.run_id)
        assert snapshot() == before


@contextmanager
def engine_in(root: EngineRoot, host: Host, notes: journal.Journal) -> Iterator[engine.Engine]:
    def in_root(folder: str, cgroup: str) -> list[str]:
        return argv_in_root(root, Path(folder), PLAIN_ARGV(folder, cgroup))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "engine_argv", in_root)
        with engine.engine(host, notes) as found:
            yield found


def root_or_clear_lack(suite: str) -> EngineRoot | None:
    """None where this machine cannot have the suite, and was told so clearly."""
    try:
        return provide_engine_root(suite)
    except EnvironmentLacks as fault:
        lack = str(fault)
    assert_clear(lack, suite)
    return None


def assert_clear(lack: str, suite: str) -> None:
    assert f"Debian {suite}" in lack
    assert "mirror" in lack
    assert "\n" not in lack


def answers(client: Host, address: str) -> bool:
    try:
        return client.run_in_network([sys.executable, "-c", ASK, address]) == "200\n"
    except EnvironmentLacks:
        return False


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    states = {path: path.lstat() for path in [folder, *folder.rglob("*")]}
    return {str(path): (state.st_mode, state.st_size, state.st_mtime_ns) for path, state in states.items()}


@pytest.mark.parametrize("suite", SUITES)
def test_an_engine_of_each_suite_serves_in_both_modes_and_leaves_its_root_unwritten(suite: str) -> None:
    root = root_or_clear_lack(suite)
    if root is None:
        return
    assert root.dockerd_version.startswith(GENERATION[suite])
    unwritten = tree(root.path)
    with sealed_lab() as (found, notes), engine_in(root, found.docker1, notes) as living:
        assert living.client.version()["Version"] == root.dockerd_version
        made = image.provide_image(living.client)

        with apache.apache(living, made.id, Arm(name="host", mode=Mode.HOST), "host-mode") as server:
            assert apache.network_inode(server, living) == found.docker1.network_inode
            wait_until(lambda: answers(found.client, found.docker1.address), "an answer in host mode")
        lab.set_receive_steering(found.docker1, on=True)  # The host's sysfs may still be written.

        with apache.apache(living, made.id, Arm(name="bridge", mode=Mode.BRIDGE), "bridge-mode") as server:
            assert apache.network_inode(server, living) != found.docker1.network_inode
            wait_until(lambda: answers(found.client, found.docker1.address), "an answer in bridge mode")
            before = read_network_counters(found.client, found.docker1)
            assert answers(found.client, found.docker1.address)
            path = read_network_counters(found.client, found.docker1).path_since(before)
        assert path.dnat_connections == 1  # The machine's iptables reads what the root's has written.
        assert path.bridge_packets > 1
        assert "stp_state" not in (found.docker1.folder / "dockerd.log").read_text()
    assert tree(root.path) == unwritten


def test_two_hosts_run_engines_of_one_root_at_the_same_time() -> None:
    root = provide_engine_root("bookworm")
    unwritten = tree(root.path)
    with (
        sealed_lab() as (found, notes),
        engine_in(root, found.docker1, notes) as one,
        engine_in(root, found.client, notes) as other,
    ):
        assert one.client.info()["ID"] != other.client.info()["ID"]
    assert tree(root.path) == unwritten


def stand(suite: str) -> None:
    """Say a run's id once its engine stands, then wait for the end (called in a process of its own)."""
    with sealed_lab() as (found, notes), engine_in(provide_engine_root(suite), found.docker1, notes):
        print(notes.run_id, flush=True)
        time.sleep(120)


def test_an_engine_in_a_root_ends_with_its_killed_controller() -> None:
    provide_engine_root("bookworm")
    with journal.machine_lock("test_engine_root"):
        before = snapshot()
    controller = subprocess.Popen(
        [sys.executable, "-c", "from tests.lab.test_engine_root import stand; stand('bookworm')"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert controller.stdout
        run_id = controller.stdout.readline().strip()
        assert [line for line in snapshot()["processes"] if "dockerd" in line]
    finally:
        controller.kill()
        controller.communicate(timeout=20)
    wait_until(
        lambda: not [line for line in snapshot()["processes"] if "dockerd" in line], "the engine's end"
    )
    with journal.machine_lock("test_engine_root"):
        journal.undo(run_id)
        assert snapshot() == before


def test_a_suite_that_the_mirror_lacks_is_named_in_one_paragraph_and_leaves_no_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_root, "CACHE", tmp_path)
    with pytest.raises(EnvironmentLacks) as lack:
        provide_engine_root("nosuchsuite")
    assert_clear(str(lack.value), "nosuchsuite")
    assert not list(tmp_path.iterdir())


def test_a_root_whose_making_was_killed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def archive_of_one_file(suite: str, options: Sequence[str], archive: Path) -> Path:
        with tarfile.open(archive, "w") as whole:
            whole.add(__file__, "./whole")
        return archive

    monkeypatch.setattr(engine_root, "CACHE", tmp_path)
    monkeypatch.setattr(engine_root, "_make_archive", archive_of_one_file)
    monkeypatch.setattr(engine_root, "_dockerd_version", lambda root: "1")
    made = provide_engine_root("bookworm")
    made.path.with_suffix(".sha256").unlink()  # What the making writes last.
    (made.path / "whole").rename(made.path / "half")
    assert provide_engine_root("bookworm") == made
    assert [path.name for path in made.path.iterdir()] == ["whole"]
