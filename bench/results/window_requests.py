"""The requests of a run's slot: those of its window, or all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.records.run import SlotRecord
from bench.results import columns
from bench.slots.requests import RECORD_DTYPE

if TYPE_CHECKING:
    from bench.results.run import Run


def read_requests(run: "Run", slot: int, *, warm_up: bool) -> pd.DataFrame:
    """As `Run.requests`."""
    record = run.slot_record(slot)
    frame = columns.to_frame(_read(run, record))
    load = run.conditions[record.slot.condition].load
    for name, begun in (("response_us", "intended_ns"), ("service_us", "sent_ns")):
        frame[name] = ((frame["done_ns"] - frame[begun]) / 1e3).where(frame["done_ns"] > 0)
    frame["latency_us"] = frame["response_us" if load.is_open else "service_us"]
    if warm_up:
        return frame
    inside = frame[load.begin_column].between(record.window_start_ns, record.window_end_ns, inclusive="left")
    if record.turns:
        inside &= frame["cell"] >= 0
    return frame[inside].reset_index(drop=True)


def read_latencies_us(run: "Run", slot: int, *, service: bool) -> np.ndarray:
    """As `Run.latencies_us`."""
    record = run.slot_record(slot)
    begun = run.conditions[record.slot.condition].load.begin_column
    sent = "sent_ns" if service else begun
    wanted = list(dict.fromkeys((begun, sent, "done_ns", "outcome")))
    frame = columns.to_frame(_read(run, record, wanted))
    begun_ns = frame[begun].to_numpy()
    inside = (begun_ns >= record.window_start_ns) & (begun_ns < record.window_end_ns)
    if record.turns:
        inside &= frame["cell"].to_numpy() >= 0
    counted = inside & (frame["outcome"] == "ok").to_numpy()
    sent_ns = frame[sent].to_numpy()[counted]
    latencies_us: np.ndarray = (frame["done_ns"].to_numpy()[counted] - sent_ns) / 1e3
    return latencies_us


def _read(run: "Run", record: SlotRecord, wanted: Sequence[str] = RECORD_DTYPE.names or ()) -> pa.Table:
    """The `wanted` columns of a slot's requests; and `cell`, of one that took turns."""
    sealed = run.sum_of(record, columns.REQUESTS_FILE)
    wanted = [*wanted, "cell"] if record.turns else wanted
    return columns.read_requests(run.path, record.slot.directory, wanted, sealed)
