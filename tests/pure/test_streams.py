"""Output that is closed, full, or nobody's any more: no traceback, and the contract's exit code."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.errors import ExitCode

from .conftest import make_run, make_scenario, store_whole

pytestmark = pytest.mark.slow

PATIENCE_S = 60
COMMANDS = {
    "help": ["--help"],
    "a list": ["list"],
    "a plan": ["plan", "quick"],
    "a schema": ["scenario", "schema"],
    "a form of a report": ["report", "RUN", "--format", "json"],
    "a check": ["check", "RUN", "--max-cost", "9"],
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in its results."""
    folder = tmp_path_factory.mktemp("shelf")
    run = folder / "results" / "unit" / "20250102T030405Z-00aa"
    run.mkdir(parents=True)
    store_whole(run, make_run(make_scenario(blocks=4), id=run.name))
    return folder


def call(
    shelf: Path, arguments: list[str], redirection: str = "", output: int = subprocess.PIPE
) -> tuple[int, str]:
    """Exit code and standard error of `bench` as a shell starts it with `redirection`."""
    run = next((shelf / "results").glob("*/*"))
    argv = [str(run) if each == "RUN" else each for each in arguments]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", sys.executable, "-m", "bench", *argv],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=shelf,
        timeout=PATIENCE_S,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_under_the_output_is_one_paragraph_and_exit_code_3(command: str, shelf: Path) -> None:
    code, said = call(shelf, COMMANDS[command], "> /dev/full")
    assert code == ExitCode.ENVIRONMENT
    assert "No space left on device" in said
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_nobody_reads_changes_no_exit_code_and_is_not_mentioned(
    command: str, shelf: Path
) -> None:
    assert call(shelf, COMMANDS[command], ">&-") == (ExitCode.DONE, "")
    with unread_pipe() as pipe:
        assert call(shelf, COMMANDS[command], output=pipe) == (ExitCode.DONE, "")


@contextmanager
def unread_pipe() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


def test_a_judgement_that_nobody_reads_still_fails_the_gate(shelf: Path) -> None:
    with unread_pipe() as pipe:
        code, said = call(shelf, ["check", "RUN", "--max-cost", "0.5"], output=pipe)
    assert (code, said) == (ExitCode.GATE_FAILED, "")


def test_a_command_without_any_stream_goes_on(shelf: Path) -> None:
    assert call(shelf, ["list"], "<&- >&- 2>&-") == (ExitCode.DONE, "")


@pytest.mark.parametrize("arguments", [["list"], ["plan", "nowhere"], ["brun"]])
def test_full_messages_end_no_command(arguments: list[str], shelf: Path) -> None:
    code = ExitCode.DONE if arguments == ["list"] else ExitCode.BAD_INPUT
    assert call(shelf, arguments, "2> /dev/full") == (code, "")


REFUSED = {
    "a bad option": ["list", "--json", "--moon"],
    "a bad value": ["plan", "quick", "--seed", "-1", "--json"],
    "no such command": ["brun", "--json"],
    "no such scenario": ["run", "--json", "nowhere"],
    "no such run": ["compare", "nowhere", "nowhere", "--json"],
    "nothing to check": ["check", "RUN", "--json"],
    "nothing to resume": ["resume", "nowhere", "--json"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_json_as_well_where_json_was_asked_for(case: str, shelf: Path) -> None:
    run = next((shelf / "results").glob("*/*"))
    argv = [str(run) if each == "RUN" else each for each in REFUSED[case]]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *argv], capture_output=True, text=True, check=False, cwd=shelf
    )
    [(kind, said)] = json.loads(done.stdout).items()
    assert kind == "error"
    assert set(said) == {"doing", "seen", "to_do", "exit_code"}
    assert said["exit_code"] == done.returncode == ExitCode.BAD_INPUT
    assert f"{said['doing']}: {said['seen']}".rstrip(".") in " ".join(done.stderr.split())
    assert done.stderr.rstrip().endswith(said["to_do"])


def test_a_closed_terminal_ends_a_command_as_ctrl_c_does(tmp_path: Path) -> None:
    script = (
        "import sys; from bench import interrupts; from bench.cli import app, listing;"
        " from bench.lab.hosts import waiting\n"
        "def wait(_):\n"
        "    with interrupts.held():\n"
        "        print('waits', flush=True); waiting.sleep(600)\n"
        "listing.say_next = wait; sys.argv = ['bench']; app.main()"
    )
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # The tests may run under nohup.
        os.execv(sys.executable, [sys.executable, "-c", script])
    seen = b""
    while b"waits" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == ExitCode.INTERRUPTED


THREADS = """
import os, sys
import bench, pyarrow
from bench.report.run import page
pyarrow.array(range(100_000))  # Its memory has a thread of its own, which holds nothing of Python's.
run = bench.load(sys.argv[1])
before = os.listdir("/proc/self/task")
page.render_markdown(run)
assert os.listdir("/proc/self/task") == before
"""


@pytest.mark.parametrize("name", ["example-claim", "example-anatomy"])
def test_no_thread_that_reads_a_run_is_left_when_python_ends(name: str) -> None:
    # One of Arrow's that let go of Python's memory meanwhile ended a refused report by SIGABRT, at times.
    [run] = (Path(__file__).parents[2] / "results" / name).iterdir()
    done = subprocess.run(
        [sys.executable, "-c", THREADS, run], capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode == 0, done.stderr
