"""One case: who is struck by which signals, when, and what must hold however it ended."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bench as api
from bench import paths
from bench.errors import EnvironmentLacks
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.records.run import Status
from bench.results.verification import find_faults
from bench.scenario.plan import Slot
from tests.lab.world import World, snapshot

SILENCE_S = 60.0
"""Within which a struck run ends, or says that a slot is done: others may be using the machine's cores."""
PATIENCE_S = 1800.0
"""For the lab, while somebody else's run has it."""
STEP_S = 0.005
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
LOCKED = "Taking the lock of this machine's lab"

BEGINNING = """
name = "chaos"
question = "What is left when it breaks?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}]
claims = [{id = "article", text = "host is better", better = "host", than = "bridge"}]
"""
SCENARIOS = {
    "slots": """
load = {warm_up_s = 0.1, measure_s = 0.3}
schedule = {blocks = 2}
""",
    "sessions": """
load = {warm_up_s = 0.1, measure_s = 0.3}
schedule = {blocks = 2, sessions = 2}
""",
    "turns": """
load = {warm_up_s = 0.3}
schedule = {blocks = 3, interleave = {cell_ms = 20, settle_ms = 2, life_s = 0.2}}
""",
    "taps": """
load = {model = "open", rate_rps = 500, connections = 4, warm_up_s = 0.1, measure_s = 0.3}
schedule = {blocks = 2}
factors = {"lab.taps" = [false, true]}
""",
}

LINES = {
    "begin": ("plan:", 18.0),
    "lab": ("lab:", 0.4),
    "engine": ("engine:", 0.6),
    "image": ("image:", 3.5),
    "modes": ("modes:", 0.8),
    "slot": ("slot NUMBER/", 1.5),
    "restart": ("engine: restarted", 0.8),
    "removal": ("slot NUMBER/", 0.15),
    "teardown": ("slot LAST/", 1.5),
    "report": ("report", 2.0),
}
"""Moment -> how the line begins that a run says when it comes, and how many seconds later it may be.

`begin` is any time at all; `removal` counts from when the container of the next slot has ended."""
WHILE_ENGINE = ("begin", "engine", "image", "modes", "slot", "removal", "restart", "teardown")
VICTIMS: dict[str, tuple[int, tuple[str, ...]]] = {
    "controller": (30, tuple(LINES)),
    "clean": (10, tuple(LINES)),
    "load generator": (15, WHILE_ENGINE),
    "dockerd": (18, WHILE_ENGINE),
    "containerd": (12, WHILE_ENGINE),
    "Apache": (8, ("begin", "modes", "slot", "removal")),
    "capture": (7, ("slot",)),
}
"""Each with its weight among all, and the moments at which it may be alive."""
SIGNALS: dict[str, tuple[signal.Signals, ...]] = {
    "KILL": (signal.SIGKILL,),
    "TERM TERM": (signal.SIGTERM, signal.SIGTERM),
    "INT INT": (signal.SIGINT, signal.SIGINT),
    "HUP": (signal.SIGHUP,),
    "STOP CONT": (signal.SIGSTOP, signal.SIGCONT),
}
PAUSES_S = {signal.SIGTERM: (0.05, 1.5), signal.SIGINT: (0.05, 1.5), signal.SIGCONT: (1.0, 2.5)}
"""Before a signal that follows another."""
EXITS = {0, 3, 4, 130}


@dataclass(frozen=True)
class Case:
    """What is done to which run; all of it follows from the seed."""

    seed: int
    victim: str
    moment: str
    signals: str
    scenario: str
    delay_s: float
    part: float
    """Which of the slots (0: the first, 1: the last), where the moment is one of a slot."""
    pause_s: float
    """Between two signals; of a `clean`, from where it begins to where it is killed."""

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.victim}, {self.signals}, at {self.moment} + {self.delay_s:.2f} s"
            f" ({self.scenario}, {self.part:.2f} of the slots, pause {self.pause_s:.2f} s)"
        )


def draw(seed: int) -> Case:
    """The case of this seed."""
    dice = random.Random(seed)
    [victim] = dice.choices(list(VICTIMS), [weight for weight, _ in VICTIMS.values()])
    moment = dice.choice(VICTIMS[victim][1])
    signals = "KILL" if victim == "clean" else dice.choice(list(SIGNALS))
    scenario = dice.choice(list(SCENARIOS))
    if moment == "restart":
        scenario = "sessions"
    if victim == "capture":
        scenario = "taps"
    pause_s = dice.uniform(*PAUSES_S.get(SIGNALS[signals][-1], (0.0, 0.4)))
    return Case(
        seed, victim, moment, signals, scenario, dice.uniform(0, LINES[moment][1]), dice.random(), pause_s
    )


@dataclass
class Running:
    """A `bench` that was started, and what it says."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, *options: object) -> "Running":
        """`bench` with these options, what it prints and what it says in one."""
        argv = ["env", "--default-signal=HUP", sys.executable, "-m", "bench", *map(str, options)]
        return cls(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def said(self) -> str:
        """All that it said so far."""
        return "".join(self.lines)

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def waits_for(self, happened: Callable[[], object]) -> bool:
        """Whether it lived until `happened`."""
        while self.lives:
            if happened():
                return True
            time.sleep(STEP_S)
        return False

    def ends(self) -> int:
        """Its exit code; a failure where it neither ends nor says anything for too long."""
        said, until_s = 0, time.monotonic() + SILENCE_S
        while self.lives and time.monotonic() < until_s:
            if len(self.lines) > said:
                said, until_s = len(self.lines), time.monotonic() + SILENCE_S
            time.sleep(STEP_S)
        stuck = self.lives
        self.kill()
        assert not stuck, f"nothing came of it for {SILENCE_S:g} s:\n{self.said}"
        return self.process.wait()

    def kill(self) -> None:
        """Kill it, should it live, and read what it still said."""
        self.process.kill()
        self._reader.join(SILENCE_S)


def play(case: Case, folder: Path) -> str:
    """Play a case in `folder`, and tell how it ended; raises AssertionError where something does not hold."""
    scenario, results = folder / "chaos.toml", folder / "results"
    scenario.write_text(BEGINNING + SCENARIOS[case.scenario])
    before = look(results, undo=True)
    while True:
        run = Running.start("run", scenario, "--results", results, "--seed", case.seed)
        try:
            struck = _strike(run, case, results)
            code = run.ends()
        finally:
            run.kill()
        if LOCKED not in run.said:
            break
        look(results)  # Somebody else has it: when they have not, begin again.
    killed = case.signals == "KILL" and case.victim in ("controller", "clean")
    assert "Traceback" not in run.said, run.said
    assert code in (EXITS | {-signal.SIGKILL} if killed else EXITS), f"exit {code}:\n{run.said}"
    if killed:
        _clean(case, results)
    _require_same(before, look(results), run.said)
    outcome = f"exit {code}" if struck is not None else f"exit {code}, nobody to strike"
    found = sorted(results.glob("*/*/run.json"))
    if not found:
        return f"{outcome}, not registered"
    [file] = found
    _require_kept(struck or {}, stored_slots(file.parent))
    return f"{outcome}, {_go_on(file.parent, before)}"


def look(results: Path, *, undo: bool = False) -> World:
    """The machine when nobody has its lab; with `undo`, without what runs of before left.

    Runs whose folder is not in `results` are somebody else's, who may have killed them as well.
    """
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with machine_lock("tests.chaos"):
                if undo:
                    undo_dead_runs()
                found = snapshot()
        except EnvironmentLacks:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.5)
        else:
            own = {run.name for run in results.glob("*/*")}
            return {
                what: [line for line in lines if own.issuperset(RUN_ID.findall(line))]
                for what, lines in found.items()
            }


def bench_free(results: Path, *options: object) -> tuple[int, str]:
    """Run `bench` to its end when nobody else has the lab: exit code, and what it said."""
    while True:
        done = Running.start(*options)
        code = done.ends()
        if LOCKED not in done.said:
            return code, done.said
        look(results)


def stored_slots(run: Path) -> dict[str, bytes]:
    """Every slot.json of a run, byte for byte."""
    found = {}
    for path in run.glob("slots/*/slot.json"):
        found[path.parent.name] = path.read_bytes()
    return found


def _strike(run: Running, case: Case, results: Path) -> dict[str, bytes] | None:
    """Wait for the moment, strike; the slots that were stored then. None where there was nobody to strike."""
    if not run.waits_for(lambda: _has_come(run, case)):
        return None
    if case.moment == "removal":
        run.waits_for(lambda: _victim(run, "Apache"))
        run.waits_for(lambda: not _victim(run, "Apache"))
    time.sleep(case.delay_s)
    victim = -1

    def is_caught() -> bool:
        nonlocal victim
        with suppress(ProcessLookupError):
            victim = next((os.pidfd_open(pid) for pid in _victim(run, case.victim)), -1)
        return victim >= 0

    if not run.waits_for(is_caught):
        return None
    stored = {name: content for each in results.glob("*/*") for name, content in stored_slots(each).items()}
    try:
        for place, each in enumerate(SIGNALS[case.signals]):
            if place:
                time.sleep(case.pause_s)
            with suppress(ProcessLookupError):  # By a pidfd: it reaches the victim or nobody.
                signal.pidfd_send_signal(victim, each)
    finally:
        os.close(victim)
    return stored


def _has_come(run: Running, case: Case) -> bool:
    planned = re.match(r"plan: ([0-9]+) slots", run.said)
    if not planned:
        return False
    last = int(planned[1])
    number = round(case.part * (last - 1))
    begin = LINES[case.moment][0].replace("NUMBER", str(number)).replace("LAST", str(last))
    begin = begin.replace("slot 0/", "slots")
    return any(line.startswith(begin) for line in list(run.lines))


def _victim(run: Running, name: str) -> list[int]:
    """Living processes below a run that are such a victim, the first one first."""
    if name in ("controller", "clean"):
        return [run.process.pid]
    parents, names = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            head, _, tail = file.read_text().rpartition(")")
            state, parent = tail.split()[:2]
            parents[int(file.parent.name)] = int(parent)
            if state != "Z":
                names[int(file.parent.name)] = head.partition("(")[2]
    wanted = {"Apache": "apache2", "capture": "tcpdump"}.get(name, name)
    found = []
    for pid, comm in sorted(names.items()):
        if not _is_below(pid, run.process.pid, parents):
            continue
        if name == "load generator":
            with suppress(OSError):
                if b"bench.generator" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        elif comm == wanted and names.get(parents[pid]) != wanted:
            found.append(pid)
    return found


def _is_below(pid: int, top: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == top:
            return True
    return False


def _clean(case: Case, results: Path) -> None:
    if case.victim == "clean":  # Killed in the middle of it: when it has the lock, or before.
        first = Running.start("clean")
        holds = f"(pid {first.process.pid})"
        first.waits_for(lambda: holds in (paths.STATE / "lock").read_text())
        time.sleep(case.pause_s)
        first.process.kill()
        first.ends()
    code, said = bench_free(results, "clean")
    assert code == 0, f"bench clean: exit {code}:\n{said}"
    assert "Traceback" not in said, said


def _require_same(before: World, after: World, said: str) -> None:
    differing = {
        what: {
            "gone": sorted(set(before[what]) - set(after[what])),
            "new": sorted(set(after[what]) - set(before[what])),
        }
        for what in before
        if before[what] != after[what]
    }
    assert not differing, f"the machine is another: {differing}; it had said:\n{said}"


def _require_kept(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    changed = [name for name, content in before.items() if after.get(name) != content]
    assert not changed, f"slots that were stored are others, or gone: {changed}"


def _go_on(run: Path, before: World) -> str:
    """What became of a run; one that did not come to its end is resumed, and has then all that it planned."""
    record = _readable(run)
    said = str(record.status)
    if record.unavailable or record.unavailable_conditions or record.unavailable_under:
        said += ", an arm was given up"
    if record.status is Status.COMPLETE:
        if len(record.kept()) == len(record.slots):
            return said
        said += " with slots unmeasured"
    kept = {Path(slot.slot.directory).name: slot for slot in record.kept()}
    stored = {name: content for name, content in stored_slots(run).items() if name in kept}
    results = run.parents[1]
    code, words = bench_free(results, "resume", run)
    assert "Traceback" not in words, words
    assert code in (0, 4), f"bench resume: exit {code}:\n{words}"
    _require_same(before, look(results), words)
    resumed = _readable(run)
    assert resumed.status is Status.COMPLETE, f"resumed, and {resumed.status}:\n{words}"
    assert resumed.planned == record.planned
    assert _slots(resumed) == record.planned, f"{len(resumed.slots)} of {len(record.planned)} slots:\n{words}"
    _require_kept(stored, stored_slots(run))
    return f"{said}, resumed"


def _slots(record: "api.RunRecord") -> tuple[Slot, ...]:
    return tuple(slot.slot for slot in record.slots)


def _readable(run: Path) -> "api.RunRecord":
    """The record of a run, every slot of which can be read and is as it was written."""
    found = api.load(run)
    assert not (faults := list(find_faults(run, found.record))), faults
    for slot in found.record.slots:
        if slot.requests_recorded is not None:
            requests = found.requests(slot.slot.index, warm_up=True)
            assert len(requests) == slot.requests_recorded, slot.slot
    return found.record
