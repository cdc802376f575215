import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import paths
from bench.errors import EnvironmentLacks, ExitCode
from bench.lab.hosts import command, journal
from bench.lab.hosts.journal import (
    Journal,
    dead_runs,
    noted,
    parse_entries,
    start_time,
    undo,
    undo_dead_runs,
)
from bench.lab.hosts.lock import machine_lock
from bench.measure import settings

RUN = "20250102T030405Z-00ff"
PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and control groups of these tests are folders of their own."""
    for module, name, folder in ((paths, "STATE", "state"), (journal, "CGROUP_ROOT", "cgroup")):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(module, name, tmp_path / folder)


@contextmanager
def sleeping(program: str = "sleep") -> Iterator[command.Process]:
    """A process of this test's own, that sleeps until it is ended."""
    process = command.start([program, "60"])
    try:
        await_program(process.pid, Path(program).name[:15])
        yield process
    finally:
        command.stop(process)


def await_program(pid: int, name: str) -> None:
    """Wait until `pid` has become the program `name`: it starts by way of setpriv."""
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/comm").read_text().rstrip("\n") != name and time.monotonic() < deadline:
        time.sleep(0.001)


def lives(process: command.Process) -> bool:
    return process.poll() is None


def test_undo_ends_the_process_that_the_journal_names_and_removes_the_folder() -> None:
    written = Journal(RUN)
    with sleeping() as process:
        written.write_process(process.pid, "engine")
        removed = undo(RUN)

        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert removed == [f"process {process.pid} (engine)", f"folder {written.folder}"]
    assert not written.folder.exists()


@pytest.mark.parametrize("off", [-1, 1, None], ids=["earlier", "later", "unknown"])
def test_undo_leaves_a_process_alone_that_started_at_another_time(off: int | None) -> None:
    written = Journal(RUN)
    with sleeping() as process:
        started = start_time(process.pid)
        assert started is not None
        written.write("process", pid=process.pid, started=0 if off is None else started + off, what="engine")

        assert undo(RUN) == [f"folder {written.folder}"]
        time.sleep(0.05)
        assert lives(process)


def test_a_process_that_had_ended_when_it_was_written_is_nobodys() -> None:
    written = Journal(RUN)
    with sleeping() as process:
        pid = process.pid
    written.write_process(pid, "engine")

    assert undo(RUN) == [f"folder {written.folder}"]


def test_undo_twice_does_nothing_the_second_time() -> None:
    Journal(RUN)

    assert undo(RUN)
    assert undo(RUN) == []


def test_undo_of_a_run_that_never_was_does_nothing() -> None:
    assert undo("20250102T030405Z-ffff") == []


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_undo_reads_a_journal_whose_last_line_is_half_written(kept: int) -> None:
    written = Journal(RUN)
    with sleeping() as process, sleeping() as other:
        written.write_process(process.pid, "engine")
        lines = written.folder / "journal.jsonl"
        whole = lines.read_text()
        written.write_process(other.pid, "generator, with a name of some length")
        lines.write_text(lines.read_text()[: len(whole) + kept])

        assert f"process {process.pid} (engine)" in undo(RUN)
        assert lives(other)


def test_undo_reads_a_journal_whose_end_the_disk_lost() -> None:
    written = Journal(RUN)
    with (written.folder / "journal.jsonl").open("ab") as lines:
        lines.write(b"\0" * 100)

    assert undo(RUN) == [f"folder {written.folder}"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[" * 100_000,
        b"7",
        b"[]",
        b"{}",
        b'{"kind": "path"}',
        b'{"kind": ["path"]}',
        b'{"kind": "path", "path": 7}',
        b'{"kind": "setting", "path": "/dev/null"}',
        b'{"kind": "cgroup"}',
    ],
)
def test_undo_does_nothing_for_a_line_that_is_no_entry_and_all_for_the_others(line: bytes) -> None:
    written = Journal(RUN)
    with (written.folder / "journal.jsonl").open("ab") as lines:
        lines.write(line + b"\n")
    other = paths.STATE / "other"
    other.mkdir()
    written.write("path", path=str(other))

    assert undo(RUN) == [f"folder {other}", f"folder {written.folder}"]


@pytest.mark.parametrize(
    ("pid", "started"),
    [("-1", "null"), ("7", "true"), ("7", "1.0"), ("true", "7"), ("null", "7"), ('"7"', "7")],
)
def test_a_process_without_number_and_start_is_no_entry(pid: str, started: str) -> None:
    # Read alone: undone, a process -1 that started never would be every process of the machine.
    written = Journal(RUN)
    with (written.folder / "journal.jsonl").open("a") as lines:
        lines.write(f'{{"kind": "process", "pid": {pid}, "started": {started}, "what": "engine"}}\n')

    entries = parse_entries((written.folder / "journal.jsonl").read_bytes())
    assert [entry["kind"] for entry in entries] == ["folder"]


def test_a_run_that_was_killed_before_its_first_line_leaves_a_folder_that_undo_removes() -> None:
    folder = paths.STATE / RUN
    folder.mkdir()

    assert undo(RUN) == [f"folder {folder}"]


def test_what_was_made_last_is_removed_first() -> None:
    written = Journal(RUN)
    with sleeping() as first, sleeping() as second:
        written.write_process(first.pid, "first")
        written.write_process(second.pid, "second")
        removed = undo(RUN)

    assert [line.split()[-1] for line in removed[:2]] == ["(second)", "(first)"]
    assert removed[-1].startswith("folder")


def test_control_groups_of_the_run_are_removed_from_every_hierarchy_and_no_others() -> None:
    ours = [journal.CGROUP_ROOT / "bench-00ff", journal.CGROUP_ROOT / "cpu" / "bench-00ff"]
    others = [journal.CGROUP_ROOT / "cpu" / "bench-00fe", journal.CGROUP_ROOT / "docker"]
    for folder in (*ours, *others):
        (folder / "container" / "init").mkdir(parents=True)
    Journal(RUN).write("cgroup", name="bench-00ff")
    removed = undo(RUN)

    assert removed[:-1] == [f"control group {folder}" for folder in ours]
    assert [folder.exists() for folder in (*ours, *others)] == [False, False, True, True]


def test_a_journal_is_on_the_disk_as_soon_as_it_is_written() -> None:
    written = Journal(RUN)
    written.write("cgroup", name="bench-00ff")
    lines = (written.folder / "journal.jsonl").read_text().splitlines()

    assert len(lines) == 2
    assert "bench-00ff" in lines[1]


def test_a_journal_is_nobody_elses_to_read() -> None:
    assert Journal(RUN).folder.stat().st_mode & 0o777 == 0o700


def test_a_second_run_of_the_same_id_is_refused() -> None:
    Journal(RUN)

    with pytest.raises(EnvironmentLacks, match="exists"):
        Journal(RUN)


def test_dead_runs_are_those_with_a_folder() -> None:
    for run_id in (RUN, "20240102T030405Z-00aa"):
        Journal(run_id)
    with machine_lock("this test"):
        assert dead_runs() == ["20240102T030405Z-00aa", RUN]
        undo(RUN)
        assert dead_runs() == ["20240102T030405Z-00aa"]


def test_a_second_holder_of_the_lock_is_told_who_holds_it() -> None:
    with (
        machine_lock("bench run 1 (quick)"),
        pytest.raises(EnvironmentLacks, match=r"bench run 1 \(quick\)") as caught,
        machine_lock("bench run 2"),
    ):
        pass

    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert f"pid {os.getpid()}" in str(caught.value)


def test_the_lock_is_free_again_after_a_run_that_failed() -> None:
    def fail() -> None:
        with machine_lock("a run with a much longer name than the next one has"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with (
        machine_lock("next"),
        pytest.raises(EnvironmentLacks, match=rf"held by next \(pid {os.getpid()}\)\."),
        machine_lock("third"),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(paths, "STATE", tmp_path / "file" / "state")

    with pytest.raises(EnvironmentLacks, match="Not a directory") as caught, machine_lock("this test"):
        pass
    assert str(tmp_path) in str(caught.value)


def test_what_cannot_be_written_down_is_not_done_and_says_so(tmp_path: Path) -> None:
    written = Journal(RUN)
    (written.folder / "journal.jsonl").unlink()
    (written.folder / "journal.jsonl").symlink_to("/dev/full")

    with pytest.raises(EnvironmentLacks, match="No space left"):
        written.write("cgroup", name="bench-00ff")


def test_a_living_process_has_a_start_time_that_does_not_change() -> None:
    with sleeping() as process:
        first = start_time(process.pid)

        assert first is not None
        assert start_time(process.pid) == first
        # Later than this process, whose child it is.
        assert first >= (start_time(os.getpid()) or 0) > 0


def test_a_program_whose_name_looks_like_the_kernels_fields_has_its_own_start_time(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 1 1 1 1"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with sleeping(str(program)) as process:
        assert (start_time(process.pid) or 0) >= (start_time(os.getpid()) or 0)


def test_a_process_that_has_ended_has_no_start_time_though_nobody_has_waited_for_it() -> None:
    process = command.start(["true"])
    deadline = time.monotonic() + PATIENCE_S
    while (seen := start_time(process.pid)) is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    is_there = Path(f"/proc/{process.pid}").exists()
    command.stop(process)

    assert is_there
    assert seen is None
    assert start_time(process.pid) is None


def test_undo_puts_a_setting_back_to_what_it_was(tmp_path: Path) -> None:
    setting = tmp_path / "netdev_tstamp_prequeue"
    setting.write_text("1\n")
    written = Journal(RUN)
    written.write_setting(setting)
    setting.write_text("0")

    assert undo(RUN) == [f"value of {setting}, 1 as before", f"folder {written.folder}"]
    assert setting.read_text() == "1"


def test_undo_leaves_a_setting_alone_that_is_as_it_was(tmp_path: Path) -> None:
    setting = tmp_path / "netdev_tstamp_prequeue"
    setting.write_text("1\n")
    written = Journal(RUN)
    written.write_setting(setting)

    assert undo(RUN) == [f"folder {written.folder}"]
    assert setting.read_text() == "1\n"


def test_room_for_packets_is_made_where_it_is_missing_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "netdev_max_backlog"
    room.write_text("1000\n")
    monkeypatch.setattr(settings, "QUEUE_ROOM", room)
    written = Journal(RUN)
    settings.make_queue_room(1000, written)
    assert room.read_text() == "1000\n"
    settings.make_queue_room(32_768, written)
    assert room.read_text() == "32768"
    undo(RUN)
    assert room.read_text().strip() == "1000"


def test_what_a_dead_process_had_half_compiled_is_removed_and_a_living_ones_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    paths.CACHE.mkdir()
    with sleeping() as process:
        dead = process.pid
    ours, others = (paths.CACHE / f"loop-0-0.{pid}.partial" for pid in (dead, os.getpid()))
    for path in (ours, others):
        path.touch()

    assert undo_dead_runs() == [f"file {ours}"]
    assert list(paths.CACHE.iterdir()) == [others]


def test_what_was_compiled_without_a_cache_by_who_was_killed_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    source, in_the_way = tmp_path / "program.c", tmp_path / "file"
    source.write_text("int main(void) { return 0; }")
    in_the_way.touch()
    program = (
        "import os; from pathlib import Path; from bench.lab.hosts.compiler import compile_once;"
        f"compile_once(Path({str(source)!r}), [], Path({str(in_the_way / 'cache')!r}));"
        f"os.kill(os.getpid(), {signal.SIGKILL:d})"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    [left] = temporary.iterdir()
    living = temporary / f"bench-of-this.{os.getpid()}.partial"
    living.mkdir()

    assert undo_dead_runs() == [f"folder {left}"]
    assert list(temporary.iterdir()) == [living]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "nothing"])
def test_what_was_noted_is_removed_at_the_end_of_the_act_whatever_it_is_by_then(
    kind: str, tmp_path: Path
) -> None:
    path, kept = tmp_path / "partial", tmp_path / "kept"
    kept.mkdir()
    with noted(path):
        assert str(path) in next(paths.STATE.glob("*/journal.jsonl")).read_text()
        if kind == "file":
            path.touch()
        elif kind == "folder":
            (path / "more").mkdir(parents=True)
        elif kind == "link":
            path.symlink_to(kept)

    assert not path.is_symlink()
    assert not path.exists()
    assert kept.exists()
    assert list(paths.STATE.iterdir()) == []
