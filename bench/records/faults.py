"""What of a stored run, suite or walkthrough does not go together, each by itself as it may be.

A line a fault, all at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import prod

from bench.errors import ExitCode
from bench.records.findings import EngineWalk, WalkthroughRecord, Word
from bench.records.run import CaptureRecord, RunRecord, SlotRecord, Status
from bench.records.suite import ENDED, SEVERITY, Entry, SuiteRecord
from bench.scenario.metric import Metric
from bench.scenario.plan import digest_plan
from bench.slots.starts import STAGES, StartsRecord

LARGEST = 1e12
SMALLEST = 1e-6
"""No metric is nearer to nothing, or farther from it, in its unit: logarithms and sums stay numbers."""


def find_faults(record: RunRecord) -> list[str]:
    """Every fault of `record`, by dotted field."""
    return [
        *_faults_of_plan(record),
        *_faults_of_registration(record),
        *_faults_of_gaps(record),
        *_faults_of_slots(record),
    ]


def _faults_of_plan(record: RunRecord) -> Iterator[str]:
    arms, conditions = {arm.name for arm in record.scenario.arms}, _count_conditions(record)
    sessions: dict[int, int] = {}
    for place, slot in enumerate(record.planned):
        at = f"planned.{place}"
        if slot.index != place:
            yield f"{at}.index: is {slot.index}, and it stands at {place}"
        if slot.arm not in arms:
            yield f"{at}.arm: the scenario has no arm {slot.arm:.60}"
        if slot.condition >= conditions:
            yield f"{at}.condition: is {slot.condition}, and the scenario has {conditions}"
        if slot.repeat >= record.scenario.schedule.slots_per_arm:
            yield f"{at}.repeat: is {slot.repeat}, and a block has {record.scenario.schedule.slots_per_arm}"
        if sessions.setdefault(slot.block, slot.session) != slot.session:
            yield f"{at}.session: block {slot.block} is in session {sessions[slot.block]} already"
    cells = Counter((slot.block, slot.arm, slot.condition, slot.repeat) for slot in record.planned)
    for (block, arm, condition, repeat), number in cells.items():
        if number > 1:
            yield (
                f"planned: {number} slots are of arm {arm:.60} in block {block}, condition {condition},"
                f" repeat {repeat}"
            )


def _faults_of_registration(record: RunRecord) -> Iterator[str]:
    found = digest_plan(record.scenario, record.seed, record.planned, as_read=True)
    if record.plan_sha256 not in ("", found):
        yield "plan_sha256: scenario, seed or planned slots are not those that were registered"


def _faults_of_gaps(record: RunRecord) -> Iterator[str]:
    """Of what is said not to be had here."""
    arms, conditions = {arm.name for arm in record.scenario.arms}, _count_conditions(record)
    named = {"unavailable": record.unavailable} | {
        f"unavailable_under.{index}": found for index, found in record.unavailable_under.items()
    }
    for field, found in named.items():
        yield from (f"{field}: the scenario has no arm {arm:.60}" for arm in found if arm not in arms)
    for field, indices in (
        ("unavailable_conditions", record.unavailable_conditions),
        ("unavailable_under", record.unavailable_under),
    ):
        yield from (
            f"{field}: there is no condition {index}, the scenario has {conditions}"
            for index in indices
            if not 0 <= index < conditions
        )


def _faults_of_slots(record: RunRecord) -> Iterator[str]:
    planned = {slot.index: slot for slot in record.planned}
    for index, number in Counter(slot.slot.index for slot in record.slots).items():
        if number > 1:
            yield f"slots: slot {index} is there {number} times"
    for slot in record.slots:
        at = f"slots.{slot.slot.index}"
        if slot.slot.index not in planned:
            yield f"{at}: was not planned"
        elif slot.slot != planned[slot.slot.index]:
            was = dict(planned[slot.slot.index])
            changed = [name for name, value in slot.slot if was[name] != value]
            yield f"{at}.slot: is not as it was planned ({', '.join(changed)})"
        if slot.surroundings and slot.surroundings not in record.surroundings:
            yield f"{at}.surroundings: the run has none of the name {slot.surroundings:.60}"
        yield from find_slot_faults(slot, at)


def find_slot_faults(slot: SlotRecord, at: str) -> Iterator[str]:
    """Faults of one slot by itself, whose place is `at`."""
    for metric, value in slot.values.items():
        if value is not None and not _is_plausible(metric, value):
            yield f"{at}.values.{metric}: {value:g} {metric.unit} is nothing that can be measured"
    names = Counter(gate.name for gate in slot.gates)
    yield from (f"{at}.gates: {name} is there {number} times" for name, number in names.items() if number > 1)
    for gate in slot.gates:
        if not gate.agrees:
            word = "passed" if gate.passed else "failed"
            yield f"{at}.gates.{gate.name}: {word}, and saw {gate.seen:g} of a limit of {gate.limit:g}"
    if slot.window_end_ns < slot.window_start_ns:
        yield f"{at}.window_end_ns: is before the window's start"
    if slot.errors + slot.unfinished > slot.requests:
        failed = f"{slot.errors} failed and {slot.unfinished} unfinished"
        yield f"{at}.errors: {failed} are more than {slot.requests}"
    if slot.starts:
        yield from _faults_of_starts(slot.starts, f"{at}.starts")
    if slot.capture:
        yield from _faults_of_capture(slot.capture, f"{at}.capture")


def _faults_of_starts(starts: StartsRecord, at: str) -> Iterator[str]:
    for place, container in enumerate(starts.containers):
        stamps = [getattr(container, stage) for stage in STAGES]
        listens = container.start_asked_ns <= container.listening_ns <= container.first_answer_ns
        if stamps != sorted(stamps) or not stamps[0] < container.created_ns or not listens:
            yield f"{at}.containers.{place}: its stages are not one after another"


def _faults_of_capture(capture: CaptureRecord, at: str) -> Iterator[str]:
    names = [tap.name for tap in capture.taps]
    yield from (f"{at}.taps: {name} is there twice" for name in _repeated(names))
    if capture.matched > capture.expected:
        yield f"{at}.matched: {capture.matched} of {capture.expected} requests"


def find_suite_faults(record: SuiteRecord) -> list[str]:
    """Every fault of a suite. A scenario may be asked for twice; times are not compared: clocks are set."""
    faults = [f"entries: {run} is the run of two" for run in _repeated(_list_runs(record))]
    if (record.finished_at is None) != (record.status is Status.RUNNING):
        faults.append(f"finished_at: is {record.finished_at}, and the status {record.status}")
    if record.status in ENDED and record.status is not Status.COMPLETE:
        faults.append(f"status: {record.status} is how a run ends, no suite")
    if record.status is Status.COMPLETE and not all(entry.has_ended for entry in record.entries):
        faults.append("status: complete, and not every entry has ended")
    for place, entry in enumerate(record.entries):
        faults += [f"entries.{place}.{fault}" for fault in _faults_of_entry(entry, record.budget_s)]
    return faults


def _list_runs(record: SuiteRecord) -> list[str]:
    return [entry.run for entry in record.entries if entry.run]


def _faults_of_entry(entry: Entry, budget_s: float | None) -> Iterator[str]:
    if (entry.run is None) != (entry.status is None):
        yield f"status: is {entry.status}, and its run {entry.run}"
    if entry.run and entry.run.split("/")[2] != entry.scenario.name:
        yield f"run: {entry.run} is no place of the scenario {entry.scenario.name}"
    if entry.status is None and entry.exit_code is not None:
        yield f"exit_code: is {entry.exit_code}, and it has not begun"
    if entry.fault and entry.exit_code in (None, ExitCode.DONE):
        yield f"fault: there is one, and the exit code is {entry.exit_code}"
    if entry.exit_code not in (None, *SEVERITY):
        yield f"exit_code: no run ends with {entry.exit_code}"
    if (entry.budget_s is None) != (budget_s is None):
        yield f"budget_s: is {entry.budget_s}, of the suite's {budget_s}"


def find_walkthrough_faults(record: WalkthroughRecord) -> list[str]:
    """Every fault of a walkthrough."""
    engines = [walk.engine for walk in record.walks]
    faults = [f"walks: the engine {engine:.60} is there twice" for engine in _repeated(engines)]
    faults += [
        f"unavailable: {engine:.60} could not be had, and was walked"
        for engine in record.unavailable
        if engine in engines
    ]
    for place, walk in enumerate(record.walks):
        faults += [f"walks.{place}.{fault}" for fault in _faults_of_walk(walk)]
    return faults


def _faults_of_walk(walk: EngineWalk) -> Iterator[str]:
    ids = [finding.id for finding in walk.findings]
    yield from (f"findings: {name:.60} is there twice" for name in _repeated(ids))
    for place, finding in enumerate(walk.findings):
        failed = [what for what, held in finding.checks.items() if not held]
        if finding.word is Word.CONFIRMED and failed:
            yield f"findings.{place}.word: CONFIRMED, and not seen: {'; '.join(failed):.200}"
        if finding.word is Word.REFUTED and finding.checks and not failed:
            yield f"findings.{place}.word: REFUTED, and all of its checks held"


def _is_plausible(metric: Metric, value: float) -> bool:
    least = metric.about.least
    return (value == 0 or SMALLEST <= abs(value) <= LARGEST) and (least is None or value >= least)


def _count_conditions(record: RunRecord) -> int:
    return prod(len(levels) for levels in record.scenario.factors.values())


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number > 1]
