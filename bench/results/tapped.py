"""A run's slots with taps: their hops, what they say of the microseconds, one request followed."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.errors import InputError
from bench.records.run import CaptureRecord, SlotRecord
from bench.results import columns, decoding
from bench.wire.anatomy.dissection import dissect
from bench.wire.anatomy.model import Anatomy, Captured
from bench.wire.hops import Hops, Place, tap_columns
from bench.wire.trace import follow

if TYPE_CHECKING:
    from bench.results.run import Run

TRACE_COLUMNS = (
    "id",
    "direction",
    "tap",
    "host",
    "link",
    "source",
    "destination",
    "source_mac",
    "destination_mac",
    "ttl",
    "rewritten",
)


def read_hops(run: "Run", slot: int) -> pd.DataFrame:
    """As `Run.hops`."""
    record = run.slot_record(slot)
    capture = _capture(run, record)
    wanted = ["id", *tap_columns([tap.name for tap in capture.taps])]
    sealed = run.sum_of(record, columns.HOPS_FILE)
    return columns.to_frame(columns.read_hops(run.path, record.slot.directory, wanted, sealed))


def find_anatomy(run: "Run") -> Anatomy:
    """As `Run.anatomy`."""
    valid, left_out = [], dict[str, int]()
    for record in run.tapped:
        if record.valid and record.capture:
            valid.append(_read_captured(run, record))
        else:
            left_out[record.slot.arm] = left_out.get(record.slot.arm, 0) + 1
    verdict = run.verdict
    return dissect(run.record.scenario, valid, verdict.comparisons, verdict.changes, left_out)


def trace(run: "Run", slot: int) -> pd.DataFrame:
    """As `Run.trace`."""
    record = run.slot_record(slot)
    taps = {tap.name: tap for tap in _capture(run, record).taps}
    samples = {name: run.path / record.slot.directory / f"{name}.pcap" for name in taps}
    found = follow({name: decoding.decode(path) for name, path in samples.items() if path.is_file()})
    rows = [
        (
            seen.number,
            str(seen.group),
            seen.tap,
            taps[seen.tap].host,
            taps[seen.tap].link,
            seen.packet.source,
            seen.packet.destination,
            seen.packet.source_mac,
            seen.packet.destination_mac,
            seen.packet.ttl,
            "; ".join(seen.rewritten),
        )
        for seen in found
    ]
    return pd.DataFrame(rows, columns=list(TRACE_COLUMNS))


def _capture(run: "Run", record: SlotRecord) -> CaptureRecord:
    if record.capture:
        return record.capture
    there = ", ".join(str(slot.slot.index) for slot in run.record.slots if slot.capture)
    raise InputError(
        f"Reading the captures of slot {record.slot.index} in {run.path}",
        "it was measured without taps",
        f"Ask for a slot with taps: {there}." if there else "No slot of this run has taps.",
    )


def _read_captured(run: "Run", record: SlotRecord) -> Captured:
    capture = _capture(run, record)
    rows = np.asarray(run.hops(record.slot.index).to_records(index=False))
    requests = run.requests(record.slot.index, warm_up=True).sort_values("intended_ns", kind="stable")
    service_ns = (requests["done_ns"] - requests["sent_ns"]).to_numpy()
    if len(rows) and rows["id"].max() >= len(service_ns):
        raise InputError(
            f"Reading the hops of slot {record.slot.index} in {run.path}",
            f"they have a request {rows['id'].max()}, and the slot has {len(service_ns)} from 0 on",
            f"`bench verify {run.path}` says which files are not as they were written.",
        )
    return Captured(
        arm=record.slot.arm,
        condition=record.slot.condition,
        hops=Hops(
            taps=tuple(tap.name for tap in capture.taps),
            rows=rows,
            expected=capture.expected,
            # Why requests are missing stands in the slot's gates.
            unmatched={},
            backwards={},
            place=Place(record.slot.session, record.slot.block),
        ),
        service_ns=service_ns[rows["id"]],
        taps=capture.taps,
    )
