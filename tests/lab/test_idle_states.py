"""Cores that are kept awake: by the file that a driver heeds, or by loops that give way."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.generator.cores import read_cores
from bench.lab.hosts import command
from bench.lab.hosts.journal import CGROUP_ROOT, Journal, undo
from bench.lab.instruments import idle_states
from bench.lab.instruments.idle_states import CPU_DMA_LATENCY, IdleStates, hold_idle_states
from bench.procfs import TICKS_PER_S
from tests.lab.world import snapshot

WATCHED_S = 0.5


@pytest.fixture
def no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "current_driver"
    driver.write_text("none\n")
    monkeypatch.setattr(idle_states, "IDLE_DRIVER", driver)


@pytest.mark.usefixtures("no_driver")
def test_where_a_driver_heeds_the_file_it_is_held_open_and_no_loop_is_begun(
    journal: Journal, tmp_path: Path
) -> None:
    (tmp_path / "current_driver").write_text("haltpoll\n")
    with hold_idle_states(journal) as idle:
        assert idle == IdleStates.HELD
        assert str(CPU_DMA_LATENCY) in open_files()
        assert not list(CGROUP_ROOT.glob(f"**/bench-{journal.run_id}-awake"))
    assert str(CPU_DMA_LATENCY) not in open_files()


@pytest.fixture
def journal() -> Iterator[Journal]:
    before = snapshot()
    notes = Journal(f"test-{os.getpid()}-{time.monotonic_ns()}")
    try:
        yield notes
    finally:
        undo(notes.run_id)
    assert snapshot() == before


def open_files() -> set[str]:
    return {str(Path(file).readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()}


def run_ns(pid: int) -> int:
    """What a process ran on its core so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def idle_s() -> dict[int, float]:
    """Core -> seconds in which it was idle."""
    before = read_cores()
    time.sleep(WATCHED_S)
    return {core: (now.unused - before[core].unused) / TICKS_PER_S for core, now in read_cores().items()}


@pytest.mark.usefixtures("no_driver")
def test_where_no_driver_heeds_the_file_loops_keep_all_cores_from_being_idle(journal: Journal) -> None:
    with hold_idle_states(journal) as idle:
        assert idle == IdleStates.LOOPED
        assert max(idle_s().values()) < WATCHED_S / 10
    with hold_idle_states(journal):
        pass  # Again, in the same control group: a slot after a slot.


@pytest.mark.usefixtures("no_driver")
def test_the_loops_are_in_a_group_that_gets_what_no_other_wants(journal: Journal) -> None:
    with hold_idle_states(journal):
        [group] = CGROUP_ROOT.glob(f"**/bench-{journal.run_id}-awake")
        assert (group / "cpu.idle").read_text().strip() == "1"
        assert len((group / "cgroup.procs").read_text().split()) == len(os.sched_getaffinity(0))
    assert not (group / "cgroup.procs").read_text().split()


@pytest.mark.usefixtures("no_driver")
def test_a_loop_leaves_its_core_to_an_equal_and_does_not_share_it(journal: Journal) -> None:
    core = min(os.sched_getaffinity(0))
    with hold_idle_states(journal):
        [group] = CGROUP_ROOT.glob(f"**/bench-{journal.run_id}-awake")
        loops = [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
        [loop] = [pid for pid in loops if os.sched_getaffinity(pid) == {core}]
        greedy = command.start(
            ["nice", "-n", "19", "taskset", "-c", str(core), "sh", "-c", "while :; do :; done"]
        )
        try:
            (group / "cgroup.procs").write_text(str(greedy.pid))
            before = [run_ns(pid) for pid in (loop, greedy.pid)]
            time.sleep(WATCHED_S)
            of_loop, of_greedy = (
                run_ns(pid) - was for pid, was in zip((loop, greedy.pid), before, strict=True)
            )
        finally:
            command.stop(greedy)
    assert of_loop < of_greedy / 3  # One that does not give way has half.


@pytest.mark.usefixtures("no_driver")
def test_without_leave_for_loops_the_cores_are_said_to_be_free() -> None:
    with hold_idle_states(None) as idle:
        assert idle == IdleStates.FREE


@pytest.mark.usefixtures("no_driver")
def test_where_no_group_can_be_had_the_cores_are_said_to_be_free(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_states, "CGROUP_ROOT", tmp_path / "absent")
    with hold_idle_states(journal) as idle:
        assert idle == IdleStates.FREE
