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

from bench.errors import EnvironmentLacks
from bench.lab.hosts import journal, lab, lock, machine
from bench.lab.hosts.host import Endpoint, Host, network_of
from bench.lab.instruments.counters import read_network_counters
from bench.lab.servers import engine, engine_root, image
from bench.lab.servers.engine_root import SUITES, EngineRoot, provide_engine_root
from bench.lab.servers.server import network_inode, serve
from bench.lab.servers.site import Provided, Site
from bench.measure.settings import set_receive_steering
from bench.scenario.engine_source import EngineSource
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.placement import DockerHost
from bench.scenario.service import APACHE
from tests.lab.conftest import PATIENCE_S, wait_until
from tests.lab.world import snapshot

GENERATION = {"bookworm": (20, 10), "trixie": (26, 1), "forky": (28,)}
"""The engine of each suite, or the oldest that it had where the suite is not frozen yet."""
FROZEN = {"bookworm", "trixie"}
HOST = Arm(name="host", mode=Mode.HOST)
ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10)
connection.request("GET", "/1024", headers={"Connection": "close"})
response = connection.getresponse()
response.read()
print(response.status)
"""


@contextmanager
def sealed_lab(suite: str) -> Iterator[tuple[lab.Lab, journal.Journal, list[DockerHost]]]:
    """A lab of two Docker hosts with the suite's engine, after which the machine is what it was before."""
    hosts = [DockerHost(number, EngineSource(suite), {}) for number in (0, 1)]
    with lock.machine_lock("test_engine_root"):
        before = snapshot()
        notes = journal.Journal(f"test-{os.getpid()}-{time.monotonic_ns()}")
        try:
            with lab.lab(lab.hosts_of_lab(*machine.divide_cores(), hosts, ipv6=False), notes) as found:
                yield found, notes, hosts
        finally:
            journal.undo(notes.run_id)
        assert snapshot() == before


@contextmanager
def engine_of(place: DockerHost, found: lab.Lab, notes: journal.Journal) -> Iterator[engine.Engine]:
    with engine.engine(found.docker[place.name], notes, place) as living:
        yield living


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


def answers(client: Host, server: Endpoint) -> bool:
    try:
        argv = [sys.executable, "-c", ASK, server.address, str(server.port)]
        return client.run(argv) == "200\n"
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
    version = tuple(map(int, root.dockerd_version.split(".")[:2]))
    assert version == GENERATION[suite] if suite in FROZEN else version >= GENERATION[suite]
    unwritten = tree(root.path)
    with sealed_lab(suite) as (found, notes, [place, _]), engine_of(place, found, notes) as living:
        assert living.client.version()["Version"] == root.dockerd_version
        host = found.docker[place.name]
        image_id = image.provide_image(living.client).id
        site = Site(living, found.client, place, Provided(APACHE, image_id, image_id))

        with serve(site, HOST, MODES[Mode.HOST], "host-mode", port=HOST.port) as server:
            assert network_inode(server, living) == network_of(host)
            wait_until(lambda: answers(found.client, server.endpoint), "an answer in host mode")
        set_receive_steering(host, on=True)  # The host's sysfs may still be written.

        for mode in (Mode.BRIDGE, Mode.BRIDGE_ROUTED):
            arm = Arm(name=mode, mode=mode)
            with serve(site, arm, MODES[mode], mode, port=arm.port) as server:
                assert network_inode(server, living) != network_of(host)
                wait_until(lambda: answers(found.client, server.endpoint), f"an answer in {mode} mode")
                before = read_network_counters(found.client, host, server.pid, ipv6=False, writes_rules=True)
                assert answers(found.client, server.endpoint)
                counted = (
                    read_network_counters(found.client, host, server.pid, ipv6=False, writes_rules=True)
                    .since(before)
                    .path
                )
            # The machine's iptables reads what the root's has written.
            assert counted[Counter.DNAT] == (1 if mode is Mode.BRIDGE else 0)
            assert counted[Counter.FILTER] == counted[Counter.FORWARDED] > 1
        assert "stp_state" not in (host.folder / "dockerd.log").read_text()

        first = living.daemon_pid
        living.restart()
        assert living.daemon_pid != first
        assert living.client.version()["Version"] == root.dockerd_version
    assert tree(root.path) == unwritten


def test_two_hosts_run_engines_of_one_root_at_the_same_time() -> None:
    root = provide_engine_root("bookworm")
    unwritten = tree(root.path)
    with (
        sealed_lab("bookworm") as (found, notes, [first, second]),
        engine_of(first, found, notes) as one,
        engine_of(second, found, notes) as other,
    ):
        assert one.client.info()["ID"] != other.client.info()["ID"]
    assert tree(root.path) == unwritten


def stand(suite: str) -> None:
    """Say a run's id once its engine stands, then wait for the end (called in a process of its own)."""
    with sealed_lab(suite) as (found, notes, [place, _]), engine_of(place, found, notes):
        print(notes.run_id, flush=True)
        time.sleep(PATIENCE_S)


def test_an_engine_in_a_root_ends_with_its_killed_controller() -> None:
    provide_engine_root("bookworm")
    with lock.machine_lock("test_engine_root"):
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
        controller.communicate(timeout=PATIENCE_S)
    wait_until(
        lambda: not [line for line in snapshot()["processes"] if "dockerd" in line], "the engine's end"
    )
    with lock.machine_lock("test_engine_root"):
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
    def archive_of_one_file(suite: str, options: Sequence[str], archive: Path) -> str:
        with tarfile.open(archive, "w") as whole:
            whole.add(__file__, "./whole")
        return "0123"

    monkeypatch.setattr(engine_root, "CACHE", tmp_path)
    monkeypatch.setattr(engine_root, "_make_archive", archive_of_one_file)
    monkeypatch.setattr(engine_root, "_dockerd_version", lambda root: "1")
    made = provide_engine_root("bookworm")
    made.path.with_suffix(".sha256").unlink()  # What the making writes last.
    (made.path / "whole").rename(made.path / "half")
    assert provide_engine_root("bookworm") == made
    assert [path.name for path in made.path.iterdir()] == ["whole"]
