"""Do what the README says on an empty Debian, in a smallest root file system of each suite: `make quick`.

    python -m tests.distributions [--suites bookworm trixie forky] [--minutes 40]

It prints a line a suite, and ends with 1 where one came to no verdict or left something on the machine.
"""

import argparse
import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bench import paths
from bench.errors import EnvironmentLacks, ExitCode
from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.engine_root import SUITES
from tests.lab.world import World, snapshot

from .root import REPOSITORY, make_root, put_repository, run_inside

FOLDER = paths.STATE.with_name("bench-distributions")
"""Everything that is made here. Whoever has it next removes what a killed one left."""
MAKE_ROOT_S = 600.0
CLEAN_S = 120.0
LOCK_S = 1200.0
"""For how long others may measure before this gives up."""
VERDICT = {ExitCode.DONE, ExitCode.INVALID_MEASUREMENT}
"""A neighbour may make a measurement INVALID; it came to its end, and says so."""


@dataclass
class Outcome:
    """What a suite came to."""

    suite: str
    python: str = "-"
    docker: str = "-"
    code: int | None = None
    """Of bench, or of what failed before it; None: it had no end in time."""
    said: str = ""
    """The line of p50 and the claim's word, or the reason."""
    minutes: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return self.code in VERDICT and not self.left

    def line(self) -> str:
        code = "no end" if self.code is None else f"exit {self.code}"
        left = f"LEFT: {'; '.join(self.left)}" if self.left else "nothing left"
        return (
            f"{self.suite:<9} Python {self.python:<8} Docker {self.docker:<9} Linux {platform.release()}"
            f"  {code}  {self.minutes:.1f} min  {self.said}  {left}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.distributions")
    parser.add_argument("--suites", nargs="+", default=list(SUITES))
    parser.add_argument("--minutes", type=float, default=40.0, help="the most that a suite may take")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("Root file systems and labs are root's to make: run it as root (sudo).", file=sys.stderr)
        sys.exit(ExitCode.ENVIRONMENT)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda number, _: sys.exit(128 + number))
    outcomes = []
    for suite in given.suites:
        outcome = try_suite(suite, given.minutes * 60)
        print(outcome.line(), flush=True)
        outcomes.append(outcome)
    sys.exit(not all(outcome.is_good for outcome in outcomes))


def try_suite(suite: str, seconds: float) -> Outcome:
    """`make quick` in a root of `suite`, of which nothing is left afterwards."""
    outcome = Outcome(suite)
    with machine():
        before = snapshot()
    with own_folder() as folder:
        try:
            try_in(folder, outcome, seconds)
        except EnvironmentLacks as lack:
            outcome.code, outcome.said = lack.exit_code, str(lack)
    with machine():
        outcome.left = additions(before, snapshot())
    return outcome


def try_in(folder: Path, outcome: Outcome, seconds: float) -> None:
    root, log = folder / outcome.suite, folder / f"{outcome.suite}.log"
    began_s = time.monotonic()
    tell(f"{outcome.suite}: a root file system; its messages are in {log}")
    said, outcome.code = "", make_root(outcome.suite, root, log, MAKE_ROOT_S)
    if outcome.code == 0:
        put_repository(root)
        # Installing goes on beside whatever others measure; the measuring does not.
        for target, place in (("setup", nullcontext()), ("quick", machine())):
            tell(f"{outcome.suite}: make {target}")
            waits_s = time.monotonic()
            with place:
                began_s += time.monotonic() - waits_s
                start = log.stat().st_size
                status = run_inside(root, ["make", target], log, began_s + seconds - time.monotonic())
            said = log.read_bytes()[start:].decode(errors="replace")
            outcome.code = exit_code(said, status)
            if outcome.code != 0:
                break
        outcome.python, outcome.docker = version(root, "python3"), version(root, "dockerd")
    outcome.minutes = (time.monotonic() - began_s) / 60
    outcome.said = verdict(said) if outcome.code in VERDICT else reason(said or log.read_text())
    if outcome.code not in VERDICT:
        tell("\n".join(log.read_text(errors="replace").splitlines()[-30:]))


@contextmanager
def own_folder() -> Iterator[Path]:
    """FOLDER, empty; removed at the end, with what runs in it made on the machine. Of one at a time."""
    paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    holder = os.open(paths.STATE, os.O_RDONLY | os.O_DIRECTORY)  # The folder itself: `lock` in it is bench's.
    try:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another one is at work in {FOLDER}: wait for its end.")
        FOLDER.mkdir(mode=0o711, exist_ok=True)  # apt downloads as a user of its own.
        try:
            empty()
            yield FOLDER
        finally:
            empty()
            FOLDER.rmdir()
    finally:
        os.close(holder)


def empty() -> None:
    """Remove all that is in FOLDER; first what runs that were killed in its roots left outside of them."""
    for place in FOLDER.iterdir():
        state = place / str(paths.STATE).lstrip("/")
        if state.is_dir() and any(each.is_dir() for each in state.iterdir()):
            run_inside(place, [f"{REPOSITORY}/.venv/bin/bench", "clean"], place.with_suffix(".log"), CLEAN_S)
    for place in FOLDER.iterdir():
        shutil.rmtree(place) if place.is_dir() else place.unlink()


@contextmanager
def machine() -> Iterator[None]:
    """The machine while nobody else measures on it, waited for. What runs in a root has a lock of its own."""
    until_s = time.monotonic() + LOCK_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(machine_lock("tests.distributions"))
                break
            except EnvironmentLacks:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.05)
        yield


def additions(before: World, after: World) -> list[str]:
    return [f"{kind}: {line}" for kind, lines in after.items() for line in lines if line not in before[kind]]


def exit_code(said: str, status: int | None) -> int | None:
    """Of the command that `make` ran last: `make` itself ends with 2, whatever that ended with."""
    of_recipes = re.findall(r"^make(?:\[\d+\])?: \*\*\* .* Error (\d+)$", said, re.MULTILINE)
    return status if status is None or not of_recipes else int(of_recipes[0])


def verdict(said: str) -> str:
    found = re.findall(r"^(?:p50 latency|claim) .*", said, re.MULTILINE)
    return "; ".join(" ".join(line.split()) for line in found) or f"no verdict: {reason(said)}"


def reason(said: str) -> str:
    """The line that says why, without addresses: a line of a table is something that people share."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("make")]
    of_apt = [line for line in lines if line.startswith("E: ")]
    of_pip = [line for line in lines if line.startswith("ERROR: ")]
    [why] = of_apt[:1] or of_pip[-1:] or lines[-1:] or ["nothing was said"]
    return re.sub(r"\S+://\S+ *", "", why).strip()


def version(root: Path, program: str) -> str:
    done = subprocess.run(
        ["chroot", str(root), program, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found else "-"


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
