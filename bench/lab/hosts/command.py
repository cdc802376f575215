"""Runs foreign programs: the only module that starts a process.

Every program dies with this process, SIGKILL included (setpriv sets the kernel's parent-death signal), so
that nothing of a run survives its controller: nor works on what the next run makes. Every wait for a program
can be interrupted (`bench.interrupts`), and none is in the terminal's group: Ctrl-C is the controller's.
"""

import io
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.errors import EnvironmentLacks
from bench.lab.hosts import waiting

Process = subprocess.Popen[str]
"""A program that was started and may still run."""
STOP_S = 10.0
"""Seconds that a program has to end after SIGTERM, before SIGKILL."""
SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where programs of root lie; not in everybody's PATH, nor in root's after a plain `su`."""


class CommandFailed(EnvironmentLacks):
    """A program ended with an error or not at all; `seen` holds what it said."""


@dataclass(frozen=True)
class Done:
    """A program that was let fail: its exit status, and all that a terminal would show of it."""

    status: int
    output: str


def search_path() -> str:
    """PATH as programs are looked for, here and by those that are started."""
    known = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*known, *(folder for folder in SYSTEM if folder not in known)])


def find(program: str) -> str | None:
    """Where `program` is; None where this machine has none."""
    return shutil.which(program, path=search_path())


def _mortal(argv: Sequence[str]) -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv]


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": search_path()}


def run(argv: Sequence[str], *, timeout_s: float = 60.0, text_in: str | None = None) -> str:
    """Standard output of `argv`. Raises CommandFailed on a non-zero exit or after `timeout_s`."""
    with ExitStack() as stack:
        output, messages = (stack.enter_context(_memory()) for _ in range(2))
        status = _run_to_end(argv, timeout_s, text_in, (output, messages), _environment())
        said, complaint = _read(output), _read(messages)
    if status != 0:
        raise CommandFailed(
            f"Running `{' '.join(argv)}`",
            f"exit {status}: {(complaint or said).strip()[-2000:]}",
            "Run it by hand to see why.",
        )
    return said


def attempt(
    argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str], text_in: str | None = None
) -> Done:
    """Run `argv` whose failure is as good an answer as its success.

    Raises CommandFailed where it did not end within `timeout_s`, or is not there.
    """
    with _memory() as output:
        status = _run_to_end(argv, timeout_s, text_in, (output, output), environment)
        return Done(status, _read(output))


@contextmanager
def _explained(program: str) -> Iterator[None]:
    """What keeps `program` from being started, as a known failure."""
    try:
        yield
    except FileNotFoundError as fault:
        raise CommandFailed(
            f"Running {program}", "it is not installed", "`make setup` installs what bench needs."
        ) from fault
    except OSError as fault:
        raise CommandFailed(f"Running {program}", str(fault), "Run it by hand to see why.") from fault


def _memory() -> IO[str]:
    """A file in memory: unlike a pipe it takes all that is said, however late it is read."""
    return os.fdopen(os.memfd_create("bench"), "w+", encoding="utf-8", errors="replace")


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _run_to_end(
    argv: Sequence[str],
    timeout_s: float,
    text_in: str | None,
    outputs: tuple[IO[str], IO[str]],
    environment: Mapping[str, str],
) -> int:
    """Exit status of `argv`. Whatever ends this wait ends the program and all of its group first."""
    with _memory() as given:
        given.write(text_in or "")
        given.seek(0)
        with _explained(argv[0]):
            if not shutil.which(argv[0], path=environment.get("PATH")):
                raise FileNotFoundError  # Which setpriv would say in words of its own.
            process = subprocess.Popen(
                _mortal(argv),
                stdin=given,
                stdout=outputs[0],
                stderr=outputs[1],
                env=environment,
                text=True,
                start_new_session=True,
            )
    try:
        if has_ended(process, timeout_s):
            return process.returncode
        raise CommandFailed(
            f"Running `{' '.join(argv)}`", f"no end after {timeout_s:g} s", "Run it by hand to see why."
        )
    finally:
        if process.returncode is None:
            _end_group(process)


def _end_group(process: Process) -> None:
    """SIGTERM, so that it removes what it made; SIGKILL after STOP_S or by a second interrupt."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        has_ended(process, STOP_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Answers(io.FileIO):
    """The reading end of a pipe, whose reader can be interrupted."""

    def readinto(self, buffer: "bytearray | memoryview", /) -> int | None:  # type: ignore[override]
        waiting.wait_readable(self.fileno())
        return super().readinto(buffer)


def start(
    argv: Sequence[str],
    *,
    log: Path | None = None,
    pipes: bool = False,
) -> Process:
    """Start `argv` so that it dies with this process; its messages go to `log`.

    With `pipes`, its standard input and output are text pipes, a line at a time.
    """
    with _explained(argv[0]), ExitStack() as stack:
        messages = stack.enter_context(log.open("a")) if log else subprocess.DEVNULL
        output: IO[str] | int = messages
        if pipes:
            reading, output = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, output)
            answers = io.TextIOWrapper(io.BufferedReader(_Answers(reading)))
        process = subprocess.Popen(
            _mortal(argv),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=output,
            stderr=messages,
            text=True,
            bufsize=1,
            env=_environment(),
            start_new_session=True,
        )
        if pipes:
            process.stdout = answers
        return process


def has_ended(process: Process, timeout_s: float) -> bool:
    """Wait for a program to end by itself; whether it did within `timeout_s`. Raises Interrupted."""
    if process.poll() is not None:
        return True
    ending = os.pidfd_open(process.pid)
    try:
        ended = waiting.wait_readable(ending, timeout_s)
    finally:
        os.close(ending)
    return ended and process.poll() is not None


def stop(process: Process, timeout_s: float = STOP_S) -> None:
    """End a program of `start`: SIGTERM, then SIGKILL after `timeout_s`. Idempotent.

    A second interrupt shortens the wait, and is raised when the program has ended.
    """
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):  # It ended by itself; what it had not read is lost.
                pipe.close()
    try:
        if process.poll() is None:
            process.terminate()
            has_ended(process, timeout_s)
    finally:
        process.kill()
        process.wait()
