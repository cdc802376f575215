"""What of a stored run does not go together, each by itself as it may be: a line a fault, all at once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import prod

from bench.records.run import CaptureRecord, RunRecord, SlotRecord
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


def _is_plausible(metric: Metric, value: float) -> bool:
    least = metric.about.least
    return (value == 0 or SMALLEST <= abs(value) <= LARGEST) and (least is None or value >= least)


def _count_conditions(record: RunRecord) -> int:
    return prod(len(levels) for levels in record.scenario.factors.values())


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number > 1]
