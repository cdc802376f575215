"""Signals: a request that is seen wherever bench waits, never lost, and never left as a lock that hangs.

Each process waits for ever where its signal is lost; its deadline makes that a failure.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.generator.client import own_program
from bench.lab.hosts import command, waiting

pytestmark = pytest.mark.slow

PATIENCE_S = 60
DEADLINE_S = 300
"""Of a process: the longest takes seconds on a machine that has nothing else to do."""
SIGNALS = int(os.environ.get("BENCH_SIGNALS", "200"))
"""Sent at random moments; more of them for a thorough look."""
BEGIN = """
import os, socket, sys, threading, time
from pathlib import Path
from bench import interrupts
from bench.errors import Interrupted
from bench.lab.hosts import command, waiting

def say(text):
    print(text, flush=True)

interrupts.heed()
"""
EVERY_WAIT = """
interrupts.AT_ONCE, interrupts.ONE_WISH_S = 10**9, 0.0  # Here each signal is a wish of its own.
beside = command.start(["cat"], pipes=True)

def wait_in_every_way():
    command.run(["sleep", "0.002"])
    command.attempt(["sleep", "0.002"], timeout_s=60, environment={"PATH": command.search_path()})
    started = command.start(["sleep", "0.002"])
    try:
        command.has_ended(started, 60)
    finally:
        command.stop(started)
    waiting.sleep(0.002)
    waiting.wait_readable(quiet, 0.002)

quiet, _ = os.pipe()
seen = 0
files = len(os.listdir("/proc/self/fd"))
while seen < SIGNALS:
    try:
        with interrupts.held():
            say(seen)
            while True:
                wait_in_every_way()
    except Interrupted:
        seen += 1
command.stop(beside)
say(len(os.listdir("/proc/self/fd")) - files + 2)
say(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
"""


@contextmanager
def started(script: str, *, before: Sequence[str] = ()) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs `script` after BEGIN; killed at its deadline, and where it outlives its test.

    It hears SIGHUP, though the tests may run under nohup.
    """
    process = subprocess.Popen(
        ["env", "--default-signal=HUP", *before, sys.executable, "-c", BEGIN + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code, and what it still said."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out + err


def test_every_one_of_many_signals_at_any_moment_is_seen_and_none_leaves_a_lock_or_a_process() -> None:
    moments = random.Random(7)
    with started(EVERY_WAIT.replace("SIGNALS", str(SIGNALS))) as process:
        for number in range(SIGNALS):
            assert next_line(process) == str(number)
            try:
                process.wait(moments.uniform(0, 0.02))
            except subprocess.TimeoutExpired:
                process.send_signal(moments.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        code, said = end_of(process)
    assert (code, said.split()) == (0, ["0", "[]"])


WAITS = {
    "a program's end": "command.run(['sleep', '600'], timeout_s=600)",
    "a program that was started": "command.has_ended(command.start(['sleep', '600']), 600)",
    "an answer": "command.start(['sleep', '600'], pipes=True).stdout.readline()",
    "a pause": "waiting.sleep(600)",
    "something in another thread": (
        "pool = ThreadPoolExecutor(1); pool.submit(command.run, ['sleep', '600'], timeout_s=600).result()"
    ),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_long_wait_ends_by_one_signal(wait: str) -> None:
    script = f"""
from concurrent.futures import ThreadPoolExecutor
try:
    with interrupts.held():
        say("waits")
        {WAITS[wait]}
except Interrupted:
    say("interrupted")
"""
    with started(script) as process:
        assert next_line(process) == "waits"
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (0, "interrupted\n")


def test_a_program_that_is_waited_for_is_let_tidy_up_and_its_whole_group_ends(tmp_path: Path) -> None:
    shell = "sleep 600 & echo $! > pid; trap 'touch tidied; exit' TERM; wait"
    with started(
        f"os.chdir({str(tmp_path)!r})\nwith interrupts.held():\n    command.run(['sh', '-c', {shell!r}])\n"
    ) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        code, said = end_of(process)
    assert code == 1
    assert "Interrupted" in said
    assert (tmp_path / "tidied").exists()
    assert not Path("/proc", (tmp_path / "pid").read_text().strip(), "exe").exists()


TIDYING = """
interrupts.ONE_WISH_S = 0.0
try:
    with interrupts.held():
        try:
            say("works")
            waiting.sleep(600)
        finally:
            try:
                say("tidies")
                TIDY
            finally:
                say("tidied")
except Interrupted:
    sys.exit(130)
"""


def test_a_second_signal_cuts_short_what_tidies_up_and_nothing_of_it_is_left_out() -> None:
    with started(TIDYING.replace("TIDY", "waiting.sleep(600)")) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGTERM)
        assert next_line(process) == "tidies"
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (130, "tidied\n")


def test_a_second_signal_kills_a_program_that_does_not_end() -> None:
    stubborn = "trap '' TERM; echo $$; while :; do sleep 1; done"
    tidy = (
        f"stubborn = command.start(['sh', '-c', {stubborn!r}], pipes=True);"
        " say(stubborn.stdout.readline().strip()); command.stop(stubborn, timeout_s=600)"
    )
    with started(TIDYING.replace("TIDY", tidy)) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGTERM)
        assert next_line(process) == "tidies"
        pid = next_line(process)
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (130, "tidied\n")
        assert not Path("/proc", pid).exists()


def test_a_third_signal_ends_at_once_what_looks_at_none() -> None:
    with started(TIDYING.replace("TIDY", "time.sleep(600)")) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGTERM)
        assert next_line(process) == "tidies"
        for number in (signal.SIGINT, signal.SIGHUP):
            process.send_signal(number)
        code, said = end_of(process)
    assert code == 130
    assert "bench clean" in said
    assert "tidied" not in said


def test_signals_that_come_together_are_one_request() -> None:
    together = TIDYING.replace("TIDY", "waiting.sleep(0.01)").replace("ONE_WISH_S = 0.0", "ONE_WISH_S = 60.0")
    with started(together) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGSTOP)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        assert end_of(process) == (130, "tidies\ntidied\n")


def test_nothing_that_is_held_is_left_without_a_request_being_told() -> None:
    late = """
try:
    with interrupts.held():
        say("works")
        sys.stdin.readline()
except Interrupted:
    say("told")
"""
    with started(late) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (0, "told\n")


def test_where_nothing_is_held_a_signal_ends_the_process_at_once() -> None:
    with started("say('thinks')\nwhile True: pass\n") as process:
        assert next_line(process) == "thinks"
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (130, "Interrupted.\n")


def test_a_command_under_nohup_outlives_its_terminal_and_still_ends_by_other_signals(tmp_path: Path) -> None:
    echo = """
with interrupts.held():
    say("works")
    while True:
        waiting.wait_readable(0)
        say(sys.stdin.readline().strip())
"""
    with started(echo, before=["nohup"]) as process:
        assert next_line(process) == "works"
        process.send_signal(signal.SIGHUP)
        assert process.stdin
        print("still here", file=process.stdin, flush=True)
        assert next_line(process) == "still here"
        process.send_signal(signal.SIGTERM)
        code, said = end_of(process)
    assert code == 1
    assert "Interrupted" in said


def test_a_signal_while_the_interpreter_takes_itself_apart_is_not_the_exit_code() -> None:
    late = """
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)

last = Last()
HEED
sys.exit(4)
"""
    with started("import signal\n" + late.replace("HEED", "interrupts.heed_no_more()")) as process:
        assert end_of(process) == (4, "")
    with started("import signal\n" + late.replace("HEED", "")) as process:
        assert end_of(process) == (-signal.SIGTERM, "")  # What it is there for.


def test_a_program_of_bench_s_own_does_its_work_however_often_it_is_interrupted_while_it_starts() -> None:
    process = command.start(own_program("base64", "-e"), pipes=True)
    assert process.stdin
    assert process.stdout
    status = Path(f"/proc/{process.pid}/status")
    # setpriv and env are the same process before, for a moment in which nobody has anything to say.
    assert waiting.wait_until(lambda: status.read_text().startswith("Name:\tpython"), PATIENCE_S)
    for _ in range(100):
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    process.stdin.write("bench")
    process.stdin.close()

    assert process.stdout.read() == "YmVuY2g=\n"
    assert process.wait(PATIENCE_S) == 0
