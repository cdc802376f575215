"""Whether a stored run is as it was written, and whether its slots' values follow from their requests."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bench.errors import InputError
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.verdict import Verdict
from bench.records.run import RunRecord, SlotRecord, Status
from bench.results import columns, store, sums
from bench.results.files import RUN_FILE, SLOT_FILE, SLOTS_FOLDER, SUMS_FILE, describe_fault
from bench.scenario.model import Load
from bench.slots.gates.load import usable_metrics
from bench.slots.metrics import measure_requests
from bench.slots.requests import RECORD_DTYPE, Outcome

if TYPE_CHECKING:
    from bench.results.run import Run

SLOTS_OF_THEIR_OWN = 5
"""Schema version since which every slot has a slot.json."""
RAW = re.compile(rf"{SLOTS_FOLDER}/[^/]+/(requests\.parquet|hops\.parquet|[^/]+\.pcap)")
TOLERANCE = 1e-9
"""Relative. Another version of numpy may sum in another order, and nothing else may differ."""


def attest(run: "Run") -> Verdict:
    """The run's verdict, with what is not as it was written."""
    return run.verdict.model_copy(update={"faults": run.faults})


def find_faults(folder: Path, record: RunRecord) -> Iterator[str]:
    """A clause for everything of the run in `folder` that was measured and is not as it was written."""
    ended = record.status is not Status.RUNNING
    yield from find_changed_files(folder, RUN_FILE, record.slots, ended=ended)
    if ended and record.schema_version >= SLOTS_OF_THEIR_OWN:
        yield from _compare_slots(folder, record.slots)


def find_capacity_faults(folder: Path, record: CapacityRecord) -> Iterator[str]:
    """The same of a capacity measurement."""
    slots = [probe.slot for probe in record.probes if probe.slot]
    yield from find_changed_files(
        folder, store.CAPACITY_FILE, slots, ended=record.status is not Status.RUNNING
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


def find_differences(folder: Path, slot: SlotRecord, load: Load) -> Iterator[str]:
    """A clause for each stored value of `slot` that does not follow from its requests and hops.

    Raises InputError where these cannot be read.
    """
    records = _to_records(columns.read_requests(folder, slot.slot.directory))
    found = measure_requests(records, slot.window_start_ns, slot.window_end_ns, load)
    usable = usable_metrics(found.values, found.requests, list(slot.gates))
    pairs: dict[str, tuple[float | None, float | None]] = {
        "requests": (slot.requests, found.requests),
        "errors": (slot.errors, found.errors),
        "unfinished": (slot.unfinished, found.unfinished),
        "p999_latency_us": (slot.p999_latency_us, found.p999_latency_us),
        "mean_latency_us": (slot.mean_latency_us, found.mean_latency_us),
        "service_p50_us": (slot.service_p50_us, found.service_p50_us),
        "service_p99_us": (slot.service_p99_us, found.service_p99_us),
        **{str(metric): (slot.values.get(metric), usable.get(metric)) for metric in found.values},
    }
    if slot.capture:
        hops = columns.read_hops(folder, slot.slot.directory, ["id"])
        pairs["matched"] = (slot.capture.matched, len(hops))
        most = max(hops["id"].to_pylist(), default=-1)
        if most >= len(records):
            yield f"slot {slot.slot.index}: hops.parquet has a request {most} of {len(records)}"
    for name, (stored, measured) in pairs.items():
        if not _is_same(stored, measured):
            yield f"slot {slot.slot.index}: {name} is stored as {stored}, and its requests say {measured}"


def _compare_slots(folder: Path, slots: Iterable[SlotRecord]) -> Iterator[str]:
    for slot in slots:
        name = f"{slot.slot.directory}/{SLOT_FILE}"
        try:
            stored = store.read_slot(folder, slot.slot)
        except InputError as fault:
            yield fault.seen
            continue
        if stored != slot:
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
    for name in RECORD_DTYPE.names or ():
        column = table[name]
        records[name] = (
            [numbers[word] for word in column.to_pylist()] if name == "outcome" else column.to_numpy()
        )
    return records


def _is_same(stored: float | None, measured: float | None) -> bool:
    if stored is None or measured is None:
        return stored is measured
    return abs(stored - measured) <= TOLERANCE * abs(measured)
