"""Strikes at a run on real hosts while it goes on: afterwards nothing of it is left there, and it goes on.

python -m tests.chaos.real_hosts [--count N] [--seed S]
"""

import argparse
import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import paths
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.namespaces import NamespaceHost
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.image import provide_host_image, provide_image
from tests.lab.machines import Machine, MachinePlan, Machines, Running, machines
from tests.lab.real_hosts.conftest import Desk, differences

AGENT = "bench-agent"
GONE_S = 120.0
"""For what a struck run made to be gone: an agent's lease, its cleaning, and a machine that is slow."""
BLOCKS = 3
ENDED = (0, 3, 4, 130, -9, -15, -2, -1)
"""Exit codes of a run that was struck: done, the machine lacks something, invalid, interrupted; signals."""
Strike = Callable[[Machines, Running], None]


def _nothing(_: Machines, __: Running) -> None:
    return


@dataclass(frozen=True)
class Case:
    """What is done to a run, and how it is made good, some time after."""

    name: str
    strike: Strike
    mend: Strike = _nothing
    after_s: float = 3.0
    """Between the two."""
    own: str = "(?!)"
    """Lines of a machine that the strike itself alters, whoever runs there: a regular expression."""


def _signal(number: signal.Signals) -> Strike:
    return lambda _, running: running.signal(number)


def _on(host: str, act: Callable[[Machine], Any]) -> Strike:
    return lambda living, _: act(living[host])


def _kill_agent(machine: Machine) -> None:
    for container in machine.docker.containers.list(filters={"name": AGENT}):
        container.kill()


def _kill_program(host: NamespaceHost, word: str) -> None:
    """Processes there in whose command line `word` stands."""
    for path, text in host.read("/proc/[0-9]*/cmdline").items():
        if word in text.split("\0"):
            with suppress(CommandFailed):
                host.run(["kill", "-9", path.split("/")[2]])


def kill_worker(machine: Machine) -> None:
    _kill_program(machine.host, "bench.generator.worker")


def _kill_server(machine: Machine) -> None:
    for container in machine.docker.containers.list(filters={"label": "bench.run"}):
        if container.name != AGENT:
            container.kill()


def _kill_ssh(living: Machines, _: Running) -> None:
    _kill_program(living.desk, "ssh")


def _start_engine(machine: Machine) -> None:
    machine.start_dockerd()


NEW_BRIDGE = r": docker0|bridge bridge$"
"""dockerd that was killed makes its bridge anew."""
CASES = (
    Case("controller: kill -9", _signal(signal.SIGKILL)),
    Case("controller: SIGTERM", _signal(signal.SIGTERM)),
    Case("controller: SIGINT", _signal(signal.SIGINT)),
    Case("controller: stopped for 60 s", _signal(signal.SIGSTOP), _signal(signal.SIGCONT), 60.0),
    Case("controller: its ssh killed", _kill_ssh),
    Case("agent of docker1: killed", _on("docker1", _kill_agent)),
    Case("agent of load1: killed", _on("load1", _kill_agent)),
    Case("sshd of docker1: killed", _on("docker1", Machine.kill_sshd), _on("docker1", Machine.start_sshd)),
    Case("sshd of load1: killed", _on("load1", Machine.kill_sshd), _on("load1", Machine.start_sshd)),
    Case(
        "connection of docker1: hangs for 25 s",
        _on("docker1", Machine.stop_sessions),
        _on("docker1", Machine.continue_sessions),
        25.0,
    ),
    Case(
        "connection of load1: hangs for 25 s",
        _on("load1", Machine.stop_sessions),
        _on("load1", Machine.continue_sessions),
        25.0,
    ),
    Case(
        "link of docker1: down for 30 s",
        _on("docker1", lambda machine: machine.link(up=False)),
        _on("docker1", lambda machine: machine.link(up=True)),
        30.0,
    ),
    Case(
        "link of load1: down for 5 s",
        _on("load1", lambda machine: machine.link(up=False)),
        _on("load1", lambda machine: machine.link(up=True)),
        5.0,
    ),
    Case(
        "dockerd of docker1: killed",
        _on("docker1", Machine.kill_dockerd),
        _on("docker1", _start_engine),
        own=NEW_BRIDGE,
    ),
    Case(
        "dockerd of load1: killed",
        _on("load1", Machine.kill_dockerd),
        _on("load1", _start_engine),
        own=NEW_BRIDGE,
    ),
    Case("worker of load1: killed", _on("load1", kill_worker)),
    Case("container of docker1: killed", _on("docker1", _kill_server)),
)


@dataclass
class Outcome:
    """What came of one strike."""

    case: str
    slot: int
    status: int
    kept: int
    """Slots that were measured when it ended."""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _list_desk(living: Machines) -> set[Path]:
    """Folders where a run keeps what it must not leave."""
    return {path for top in ("/tmp", str(paths.STATE)) for path in living.path(top).glob("*/")}


def strike(desk: Desk, case: Case, slot: int) -> Outcome:
    """Strike a run after its `slot`-th, look at what is left, and resume it."""
    living, begun = desk.machines, time.monotonic()
    desk.forget("struck")
    before, lay_there = living.look(), _list_desk(living)
    scenario, hosts = desk.write_scenario(BLOCKS), desk.write_hosts("docker1", "load1")
    argv = ["bench", "run", scenario, "--hosts", hosts, "--results", f"{desk.home}/struck"]
    running = living.start(argv)
    if not running.says(f"slot {slot}/"):
        return Outcome(case.name, slot, running.wait().status, 0, [f"it never came so far: {running.stderr}"])
    case.strike(living, running)
    time.sleep(case.after_s)
    case.mend(living, running)
    done = running.wait()
    found = Outcome(case.name, slot, done.status, 0)
    if done.status not in ENDED or "Traceback" in done.stderr:
        found.faults.append(f"it ended with {done.status}: {done.stderr[-1500:]}")

    def left() -> list[str]:
        return [line for line in differences(before, living.look()) if not re.search(case.own, line)]

    wait_until(lambda: not left(), GONE_S, step_s=2.0)
    found.faults += left()
    [folder] = living.path(f"{desk.home}/struck").glob("*/*")
    planned = json.loads((folder / "run.json").read_text())["planned"]
    found.kept = len(list(folder.glob("slots/*/slot.json")))
    inside = f"{desk.home}/struck/small/{folder.name}"
    resumed = desk.bench("resume", inside, "--hosts", hosts)
    record = json.loads((folder / "run.json").read_text())
    if resumed.status == 2 and record["status"] == "complete":
        resumed = done  # It had come to its end.
    if resumed.status not in (0, 4):
        found.faults.append(f"resumed it ended with {resumed.status}: {resumed.stderr[-1500:]}")
    if [slot["slot"] for slot in record["slots"]] != planned:
        found.faults.append(
            f"{len(record['slots'])} slots of {len(planned)}, not those of the plan in its order"
        )
    found.faults += left()
    found.faults += [f"left at the desk: {path}" for path in _list_desk(living) - lay_there]
    found.seconds = time.monotonic() - begun
    return found


def main(arguments: Sequence[str]) -> int:
    """Strike so often; the number of strikes that left or lost something."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.real_hosts")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)
    dice = random.Random(options.seed)
    known = [case for case in CASES if options.only in case.name]
    failed = 0
    plans = [MachinePlan("docker1"), MachinePlan("load1")]
    with machine_lock("chaos on real hosts"), machines(*plans) as living:
        for name in ("docker1", "load1"):
            provide_host_image(living[name].docker)
        provide_image(living["docker1"].docker)
        desk = Desk(living)
        for number in range(options.count):
            case, slot = known[number % len(known)], dice.randint(1, 4 * BLOCKS - 4)
            found = strike(desk, case, slot)
            failed += bool(found.faults)
            told = f"exit {found.status}, {found.kept} slots kept, {found.seconds:.0f} s"
            lines = [f"{number + 1}: {found.case}, after slot {found.slot}: {told}", *found.faults]
            sys.stdout.write("\n    ".join(lines) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{options.count} strikes, {failed} of which left or lost something\n")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
