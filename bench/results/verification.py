"""Whether a stored run is as it was written, and whether its slots' values follow from their requests."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import InputError
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.capacity.search import judge_slot
from bench.judgement.verdict import Verdict
from bench.records.earlier import MEASURED_BY, complete_slot
from bench.records.run import SLOTS_OF_THEIR_OWN, WHOLE_TAILS, RunRecord, SlotRecord, Status, digest_slot
from bench.records.suite import SuiteRecord
from bench.results import columns, files, store, sums
from bench.results.files import RUN_FILE, SLOT_FILE, SLOTS_FOLDER, SUITE_FILE, SUMS_FILE, describe_fault
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.slots.gates.load import usable_metrics
from bench.slots.metrics import measure_requests, measure_turns, sum_settled_s
from bench.slots.requests import RECORD_DTYPE, Outcome
from bench.slots.stalls import find_stalls
from bench.slots.starts import measure_starts
from bench.slots.surroundings import digest

if TYPE_CHECKING:
    from bench.results.run import Run

RAW = re.compile(rf"{SLOTS_FOLDER}/[^/]+/((requests|hops|turns)\.parquet|[^/]+\.pcap)")
TOLERANCE = 1e-9
"""Relative. Another version of numpy may sum in another order, and nothing else may differ."""


OF_ITS_SLOT = ("achieved_share", "error_share", "p99_ms", "generator_busy", "outcome")
"""What a probe of a capacity measurement takes from its slot. Not its reasons: words change with versions."""


@dataclass(frozen=True)
class Checked:
    """What a look at everything in a folder found."""

    folder: Path
    summed: int
    """That have a sum."""
    findings: dict[str, tuple[str, ...]]
    """`faults`: of what was measured; `tables`: of what follows from it, which `bench report` writes again;
    `differences`: of stored values from those that the requests have. A clause each."""

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it was written."""
        return not any(self.findings.values())


def verify_all(folder: Path, *, deep: bool = False) -> list[Checked]:
    """Check the run, the capacity measurement, or the suite with its runs in `folder`.

    Raises InputError where it is none of them, or its record cannot be read.
    """
    if files.is_suite(folder):
        suite = store.read_suite(folder)
        ended = suite.status is not Status.RUNNING
        own = find_changed_files(folder, SUITE_FILE, (), ended=ended)
        checked = [_check_all(folder, (*own, *_find_strangers(folder, suite)), ())]
        for entry in suite.entries:
            if entry.run and (entry.has_ended or (folder / entry.run / RUN_FILE).exists()):
                checked += _verify_one_of_many(folder / entry.run, deep=deep)
        return checked
    if files.is_capacity(folder):
        record = store.read_capacity(folder)
        differences = find_capacity_differences(folder, record) if deep else ()
        return [_check_all(folder, find_capacity_faults(folder, record), differences)]
    run = store.read_run(folder)
    return [_check_all(folder, find_faults(folder, run), find_differences(folder, run) if deep else ())]


def _find_strangers(folder: Path, suite: SuiteRecord) -> Iterator[str]:
    """A clause for each run in a place of the suite's that is not the one that was registered for it."""
    for entry in suite.entries:
        with suppress(InputError):  # Told of the run itself, where it is to be there.
            run = store.read_run(folder / (entry.run or ""))
            if (run.scenario, run.seed) != (entry.scenario, entry.seed):
                yield f"{entry.run} is of another scenario or seed than {SUITE_FILE} registered"


def _verify_one_of_many(folder: Path, *, deep: bool) -> list[Checked]:
    """As `verify_all`; a run that is gone or cannot be read is a fault, and hides none of the others."""
    try:
        return verify_all(folder, deep=deep)
    except InputError as fault:
        return [Checked(folder, 0, {"faults": (str(fault),), "tables": (), "differences": ()})]


def _check_all(folder: Path, faults: Iterable[str], differences: Iterable[str]) -> Checked:
    findings = {
        "faults": tuple(faults),
        "tables": tuple(f"{fault} (`bench report` writes it again)" for fault in find_changed_tables(folder)),
        "differences": tuple(differences),
    }
    return Checked(folder, len(sums.read_sums(folder)), findings)


def attest(run: "Run") -> Verdict:
    """The run's verdict, with what is not as it was written."""
    return run.verdict.model_copy(update={"faults": run.faults})


def find_faults(folder: Path, record: RunRecord) -> Iterator[str]:
    """A clause for everything of the run in `folder` that was measured and is not as it was written."""
    ended = record.status is not Status.RUNNING
    yield from find_changed_files(folder, RUN_FILE, record.slots, ended=ended)
    if record.schema_version >= SLOTS_OF_THEIR_OWN:
        yield from _compare_slots(folder, record.slots, ended=ended)
    for name, facts in record.surroundings.items():
        if digest(facts) != name:
            yield f"what is stored of the surroundings {name:.20} is not as it was written"


def find_capacity_faults(folder: Path, record: CapacityRecord) -> Iterator[str]:
    """The same of a capacity measurement."""
    slots = [probe.slot for probe in record.probes if probe.slot]
    yield from find_changed_files(
        folder, files.CAPACITY_FILE, slots, ended=record.status is not Status.RUNNING
    )


def find_changed_files(folder: Path, main: str, slots: Iterable[SlotRecord], *, ended: bool) -> Iterator[str]:
    """A clause for every file of a recording that was measured and is not as it was written.

    While it goes on, and after it was killed, only slots are sealed: the sums of the rest are written, and
    `main`, its record, after them, when it ends.
    """
    known = sums.read_sums(folder) if ended else {}
    if ended and main not in known:
        yield f"{SUMS_FILE} has no sum of {main}" if known else f"{SUMS_FILE} is not there"
    expected = [(name, line, SUMS_FILE) for name, line in known.items() if not sums.is_derived(name)]
    expected += [
        (f"{slot.slot.directory}/{name}", line, SLOT_FILE)
        for slot in slots
        for name, line in slot.sealed.items()
    ]
    yield from _check(folder, expected)
    if known:
        added = [name for name in sums.list_files(folder) if RAW.fullmatch(name) and name not in known]
        yield from (f"{name} was not there when the run ended" for name in added)


def find_changed_tables(folder: Path) -> Iterator[str]:
    """The same of what follows from what was measured: verdict, tables, report."""
    known = sums.read_sums(folder)
    yield from _check(
        folder, [(name, line, SUMS_FILE) for name, line in known.items() if sums.is_derived(name)]
    )


def describe_faults(what: str, faults: Sequence[str]) -> str:
    """What a reader has to know before any number of `what`; empty where there is nothing."""
    if not faults:
        return ""
    rest = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"NOT AS IT WAS MEASURED: of {what}, {faults[0]}{rest}. Its numbers are not to be used."


def find_differences(folder: Path, record: RunRecord) -> Iterator[str]:
    """A clause for each stored value of a slot that does not follow from its requests and hops."""
    loads = [condition.load for condition in conditions(record.scenario)]
    is_early = record.schema_version < WHOLE_TAILS
    for slot in record.slots:
        place = slot.slot.condition
        if place in range(len(loads)):
            yield from compare_slot(folder, slot, loads[place], is_early=is_early)
        else:
            yield f"slot {slot.slot.index} is under condition {place}, which the scenario has not"


def find_capacity_differences(folder: Path, record: CapacityRecord) -> Iterator[str]:
    """The same of the probes of a capacity measurement, and of what each says of its slot."""
    for number, probe in enumerate(record.probes):
        if probe.slot:
            yield from compare_slot(folder, probe.slot, record.scenario.load)
            bare = probe.model_copy(update=dict.fromkeys(OF_ITS_SLOT))
            again = judge_slot(bare, probe.slot, record.settings)
            for name in OF_ITS_SLOT:
                stored, found = getattr(probe, name), getattr(again, name)
                if stored != found:
                    yield f"probe {number}: {name} is stored as {stored}, and its slot says {found}"


def compare_slot(folder: Path, slot: SlotRecord, load: Load, *, is_early: bool = False) -> Iterator[str]:
    """The same of one slot; of an early schema a value that is not stored may be one that it did not know."""
    if slot.starts:
        for metric, value in measure_starts(slot.starts).items():
            if not _is_same(slot.values.get(metric), value):
                stored = slot.values.get(metric)
                yield f"slot {slot.slot.index}: {metric} is stored as {stored}, and its starts say {value}"
        return
    if not slot.requests and columns.REQUESTS_FILE not in slot.sealed:
        return  # It never came to a load.
    try:
        for name, (stored, measured) in _recompute(folder, slot, load).items():
            rounding = MEASURED_BY[name].rounding if is_early and name in MEASURED_BY else 0.0
            if not (_is_same(stored, measured, rounding) or (is_early and stored is None)):
                yield f"slot {slot.slot.index}: {name} is stored as {stored}, and its requests say {measured}"
    except InputError as fault:
        yield f"slot {slot.slot.index}: {fault.doing}: {fault.seen}"


def _recompute(folder: Path, slot: SlotRecord, load: Load) -> dict[str, tuple[float | None, float | None]]:
    """Name -> the value as stored, and as its requests have it."""
    records = _to_records(columns.read_requests(folder, slot.slot.directory))
    turns = columns.read_turns(folder, slot.slot.directory) if slot.turns else None
    if turns is None:
        found = measure_requests(records, slot.window_start_ns, slot.window_end_ns, load)
    else:
        found = measure_turns(records, turns)
    usable = usable_metrics(found.values, list(slot.gates))
    stalls = find_stalls(records, None)
    pairs: dict[str, tuple[float | None, float | None]] = {
        "requests": (slot.requests, found.requests),
        "errors": (slot.errors, found.errors),
        "unfinished": (slot.unfinished, found.unfinished),
        "requests_recorded": (slot.requests_recorded, len(records)),
        "stalled": (slot.stalls.stalled if slot.stalls else 0, stalls.stalled if stalls else 0),
        # Where nothing was answered the record has none, and its gate says 0.
        "achieved_share": (slot.achieved_share or None, found.achieved_share or None),
        "lateness_p99_us": (slot.lateness_p99_us, found.lateness_p99_us),
        "p99_latency_us": (slot.p99_latency_us, found.values.get(Metric.P99_LATENCY_US)),
        "p999_latency_us": (slot.p999_latency_us, found.p999_latency_us),
        "mean_latency_us": (slot.mean_latency_us, found.mean_latency_us),
        "service_p50_us": (slot.service_p50_us, found.service_p50_us),
        "service_p99_us": (slot.service_p99_us, found.service_p99_us),
        **{f"values.{metric}": (slot.values.get(metric), usable.get(metric)) for metric in found.values},
    }
    if slot.turns and turns is not None:
        pairs["turns"] = (slot.turns.turns, len(turns))
        pairs["settled_s"] = (slot.turns.settled_s, sum_settled_s(turns))
    if slot.capture:
        hops = columns.read_hops(folder, slot.slot.directory, ["id"])
        inside = pc.sum(pc.less(hops["id"], len(records))).as_py() or 0
        pairs["matched"] = (slot.capture.matched, inside)
    return pairs


def _compare_slots(folder: Path, slots: Iterable[SlotRecord], *, ended: bool) -> Iterator[str]:
    """Each slot.json with its own digest, and of a run that has ended with run.json."""
    for slot in slots:
        name = f"{slot.slot.directory}/{SLOT_FILE}"
        try:
            written = store.read_slot_as_written(folder, slot.slot)
            stored = complete_slot(written) if ended else slot
        except InputError as fault:
            yield f"{name}: {fault.seen}"
            continue
        except ValueError as fault:
            yield f"{name}: {fault}"
            continue
        if written.own_sha256 not in ("", digest_slot(written, as_read=True)):
            yield f"{name} is not as it was written"
        elif stored != slot:
            yield f"{name} says otherwise than {RUN_FILE}"


def _check(folder: Path, expected: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """A clause for each file that has another sum than the one that its source says."""
    found: dict[str, str] = {}
    wrong: dict[str, None] = {}
    for name, line, source in expected:
        if name not in found:
            found[name] = _sum_up(folder, name)
        if found[name] != line:
            reason = (
                found[name] if " " in found[name] else f"is not as it was written, by its sum in {source}"
            )
            wrong.setdefault(f"{name} {reason}")
    yield from wrong


def _sum_up(folder: Path, name: str) -> str:
    """The sum of a file, or a clause with blanks: why there is none."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return "is a place outside of the run"
    try:
        return sums.digest_file(path) if path.is_file() else "is not there"
    except OSError as fault:
        return f"cannot be read: {describe_fault(fault)}"


def _to_records(table: pa.Table) -> np.ndarray:
    records = np.zeros(len(table), RECORD_DTYPE)
    numbers: Mapping[str, int] = {outcome.name.lower(): outcome for outcome in Outcome}
    for name in table.column_names:
        column = table[name]
        records[name] = (
            [numbers[word] for word in column.to_pylist()]
            if name == "outcome"
            else column.to_numpy().astype(records.dtype[name])  # -1, no connection, is 65,535 of a record.
        )
    return records


def _is_same(stored: float | None, measured: float | None, rounding: float = 0.0) -> bool:
    if stored is None or measured is None:
        return stored is measured
    return abs(stored - measured) <= max(rounding, TOLERANCE * abs(measured))
