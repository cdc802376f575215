"""Runs foreign programs: the only module that starts a process.

Every program that outlives its call dies with this process, SIGKILL included (setpriv sets the
kernel's parent-death signal), so that nothing of a run survives its controller.
"""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.errors import EnvironmentLacks

Process = subprocess.Popen[str]
"""A program that was started and may still run."""
STOP_S = 10.0
"""Seconds that a program has to end after SIGTERM, before SIGKILL."""


class CommandFailed(EnvironmentLacks):
    """A program ended with an error or not at all; `seen` holds what it said."""


def run(argv: Sequence[str], *, timeout_s: float = 60.0, text_in: str | None = None) -> str:
    """Standard output of `argv`. Raises CommandFailed on a non-zero exit or after `timeout_s`."""
    try:
        done = subprocess.run(
            argv, input=text_in, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as fault:
        raise CommandFailed(
            f"Running {argv[0]}", "it is not installed", "`make setup` installs what bench needs."
        ) from fault
    except subprocess.TimeoutExpired as fault:
        raise CommandFailed(
            f"Running `{' '.join(argv)}`", f"no end after {timeout_s:g} s", "Run it by hand to see why."
        ) from fault
    if done.returncode != 0:
        raise CommandFailed(
            f"Running `{' '.join(argv)}`",
            f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}",
            "Run it by hand to see why.",
        )
    return done.stdout


@dataclass(frozen=True)
class Done:
    """A program that was let fail: its exit status, and all that a terminal would show of it."""

    status: int
    output: str


def attempt(
    argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str], text_in: str | None = None
) -> Done:
    """Run `argv` whose failure is as good an answer as its success.

    Raises CommandFailed where it did not end within `timeout_s`, or is not there.
    """
    try:
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=text_in or "",
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as fault:
        raise CommandFailed(
            f"Running `{' '.join(argv)}`", str(fault), "Run it by hand to see why."
        ) from fault
    return Done(done.returncode, done.stdout)


def start(
    argv: Sequence[str],
    *,
    log: Path | None = None,
    pipes: bool = False,
) -> Process:
    """Start `argv` so that it dies with this process; its messages go to `log`.

    With `pipes`, its standard input and output are text pipes, a line at a time.
    """
    messages: IO[str] | int = log.open("a") if log else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else messages,
            stderr=messages,
            text=True,
            bufsize=1,
            # A group of its own: Ctrl-C is the controller's to handle, not its children's.
            start_new_session=True,
        )
    finally:
        if not isinstance(messages, int):
            messages.close()


def has_ended(process: Process, timeout_s: float) -> bool:
    """Wait for a program of `start` to end by itself; whether it did within `timeout_s`."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(process: Process, timeout_s: float = STOP_S) -> None:
    """End a program of `start`: SIGTERM, then SIGKILL after `timeout_s`. Idempotent."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):  # It ended by itself; what it had not read is lost.
                pipe.close()
    if process.poll() is None:
        process.terminate()
        if not has_ended(process, timeout_s):
            process.kill()
    process.wait()
