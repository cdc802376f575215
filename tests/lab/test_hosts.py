"""A host of the lab, as the protocol promises it."""

from pathlib import Path

import pytest

from bench.lab.hosts.host import link_state, network_of, read_one
from bench.lab.hosts.namespaces import NamespaceHost
from tests.lab.conftest import wait_until


def test_a_program_is_signalled_with_its_group_however_small_its_number(host: NamespaceHost) -> None:
    script = "trap 'echo told; exit 0' TERM; sleep 60 & wait"
    program = host.start(["sh", "-c", script], "told")
    assert program.pid < 1000  # As the host numbers them: `kill` of procps would take -<pid> for a signal.

    program.signal("TERM")

    assert program.ends(10.0)
    assert "told" in program.words()
    wait_until(lambda: "sleep 60" not in host.run(["ps", "-eo", "args"]), "its child to end")


def test_a_program_that_ignores_a_polite_word_is_ended_all_the_same(host: NamespaceHost) -> None:
    program = host.start(["sh", "-c", "trap '' TERM; while :; do sleep 60; done"], "stubborn")

    program.stop(timeout_s=0.2)
    program.stop()

    assert not program.is_alive
    assert not host.has(f"/proc/{program.pid}/comm")


def test_the_end_of_a_killed_program_is_the_end_of_all_that_it_started(host: NamespaceHost) -> None:
    program = host.start(["sh", "-c", "sleep 77 & sleep 77 & wait"], "many")
    wait_until(lambda: host.run(["ps", "-eo", "args"]).count("sleep 77") >= 2, "its children")

    program.kill()
    program.kill()

    assert "sleep 77" not in host.run(["ps", "-eo", "args"])


def test_what_a_program_left_behind_ends_with_it_though_it_ended_before(host: NamespaceHost) -> None:
    program = host.start(["sh", "-c", "sleep 88 & exit 0"], "parent")
    assert program.ends(10.0)
    assert "sleep 88" in host.run(["ps", "-eo", "args"])

    program.kill()

    assert "sleep 88" not in host.run(["ps", "-eo", "args"])


def test_a_program_that_ended_by_itself_may_be_signalled_and_its_words_are_kept(host: NamespaceHost) -> None:
    program = host.start(["sh", "-c", "echo last words"], "short")
    assert program.ends(10.0)

    program.signal("TERM")

    assert program.words() == "last words\n"
    again = host.start(["sh", "-c", "echo other words"], "short")
    assert again.ends(10.0)
    assert again.words() == "other words\n"


def test_files_are_put_read_and_got_as_the_host_names_them(host: NamespaceHost) -> None:
    path = f"{host.scratch}/data/note"
    host.put(path, [b"put\n"])

    assert host.run(["cat", path]) == "put\n"
    assert host.read(f"{host.scratch}/data/*", "/no/such/file") == {path: "put\n"}
    assert host.get(path).read_bytes() == b"put\n"
    assert host.has(path)
    assert not Path(path).exists()  # In a mount of the host's own.
    with pytest.raises(FileNotFoundError):
        read_one(host, "/no/such/file")


def test_processes_and_namespaces_are_the_hosts_own(host: NamespaceHost) -> None:
    names = host.read("/proc/[0-9]*/comm")

    assert names["/proc/1/comm"] == "tini\n"
    assert network_of(host) != Path("/proc/self/ns/net").stat().st_ino
    assert link_state(host, "lo") == "unknown"
    assert link_state(host, "eth9") == "gone"
    assert host.numbered_here("tini") == [next(iter(host.roots))]


def test_what_is_written_to_the_machines_folders_there_stays_there(host: NamespaceHost) -> None:
    for folder in ("/etc", "/opt"):
        host.run(["sh", "-c", f"mkdir {folder}/bench-was-here && ls {folder}"])

        assert not Path(f"{folder}/bench-was-here").exists()
