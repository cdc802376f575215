"""A rootless engine on a lab's host: a user's processes, and nothing of it on the machine."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.hosts import journal, lab, lock, machine
from bench.lab.hosts.host import network_of, read_one
from bench.lab.servers.engine import PrivateEngine, engine
from bench.scenario.engine_source import OWN_ENGINE
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.placement import DockerHost
from tests.lab.world import snapshot

ROOTLESS = MODES[Mode.ROOTLESS_BUILTIN].rootless


@pytest.fixture(scope="module")
def living() -> Iterator[PrivateEngine]:
    """An engine, after whose end the machine is what it was before."""
    with lock.machine_lock("test_rootless"):
        before = snapshot()
        place = DockerHost(0, OWN_ENGINE, {}, rootless=ROOTLESS)
        notes = journal.Journal(f"test-{os.getpid()}-{time.monotonic_ns()}")
        plans = lab.hosts_of_lab(*machine.divide_cores(), [place], ipv6=False)
        try:
            with (
                lab.lab(plans, notes) as found,
                engine(found.docker["docker1"], notes, place) as started,
            ):
                yield started
        finally:
            journal.undo(notes.run_id)
        assert snapshot() == before


def test_dockerd_is_a_user_s_whom_the_machine_does_not_have(living: PrivateEngine) -> None:
    status = read_one(living.host, f"/proc/{living.daemon_pid}/status")
    [ids] = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
    user = living.host.run(["getent", "passwd", ids[0]]).partition(":")[0]
    assert user == "bench-rootless"
    assert user not in Path("/etc/passwd").read_text() + Path("/etc/subuid").read_text()
    assert "rootless" in " ".join(living.client.info()["SecurityOptions"])


def test_its_network_is_not_its_host_s_and_docker0_is_there(living: PrivateEngine) -> None:
    inside = read_one(living.host, f"/proc/{living.rootless_pid}/net/dev")
    assert "docker0:" in inside
    assert "tap0:" in inside
    assert "docker0:" not in read_one(living.host, "/proc/1/net/dev")
    assert living.host.namespace(living.daemon_pid) != network_of(living.host)
    assert living.host.namespace(living.daemon_pid, "pid") == living.host.namespace(1, "pid")


def test_every_address_of_its_network_is_of_the_range_for_benchmarks(living: PrivateEngine) -> None:
    enter = ["nsenter", "-t", str(living.rootless_pid), "--net"]
    said = living.host.run([*enter, "ip", "-brief", "-4", "address"]).split()
    addresses = [word for word in said if "/" in word and not word.startswith("127.")]
    assert len(addresses) == 2
    assert all(address.startswith(("198.18.", "198.19.")) for address in addresses)


def test_it_can_be_started_again_for_another_session(living: PrivateEngine) -> None:
    before = living.daemon_pid
    living.restart()
    assert living.daemon_pid != before
    assert living.client.ping()


def test_it_is_started_again_where_rootlesskit_missed_its_child(living: PrivateEngine) -> None:
    first = f"{living.host.scratch}/missed"
    missed = "nsenter: cannot open /proc/236/ns/net: No such file or directory"
    once = f'if mkdir {first} 2>/dev/null; then echo "{missed}" >&2; exit 1; fi; exec "$@"'
    argv, before = living.argv, living.daemon_pid
    living.argv = ["sh", "-c", once, "sh", *argv]
    try:
        living.restart()
    finally:
        living.argv = argv
    assert living.daemon_pid != before
    assert living.client.ping()
