"""Programs that lead a process group of their own, with their process id in a file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.lab.hosts import command
from bench.lab.hosts.waiting import wait_until

READY_S = 10.0
STARTED = 'echo $$ > "$0"; exec "$@"'


def start_leader(
    argv: Sequence[str], started: Path, log: Path, enter: Callable[[list[str]], list[str]] = list
) -> command.Process:
    """Start `argv`, where and as what `enter` makes a command line for; its id is then in `started`.

    What is started here leads a session already; where `enter` forks, it must lead one there (setsid).
    """
    for old in (started, log):
        old.unlink(missing_ok=True)
    outer = command.start(enter(["sh", "-c", STARTED, str(started), *argv]), log=log)
    # `echo` and `exec` take a moment: nobody shall find the file absent or empty.
    wait_until(lambda: (started.exists() and started.read_text()) or outer.poll() is not None, READY_S)
    return outer
