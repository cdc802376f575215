"""Requests, hops and packets of a slot as Parquet columns."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import InputError
from bench.results.files import RUN_FILE, SUMS_FILE, write_atomically
from bench.slots.requests import Outcome
from bench.wire.pcap import FILE_HEADER_BYTES, read_records

KEPT_PACKETS = 64
"""Of each capture: the handshakes and a dozen requests. All of them would be megabytes a slot."""


def write_requests(
    folder: Path, slot_directory: str, records: np.ndarray, cell: np.ndarray | None = None
) -> None:
    """Write a slot's requests.parquet from RECORD_DTYPE, warm-up included, in order of ending.

    `cell`, of a slot that took turns: the number of the cell that each counts in, -1 of none.
    """
    target = folder / slot_directory / "requests.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    names = pa.array([outcome.name.lower() for outcome in Outcome])
    columns = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
    outcome = pa.DictionaryArray.from_arrays(pa.array(columns.pop("outcome").astype(np.int8)), names)
    cells = {} if cell is None else {"cell": pa.array(cell)}
    table = pa.table({**columns, "outcome": outcome, **cells})
    _write_parquet(target, table)


def write_hops(folder: Path, slot_directory: str, rows: np.ndarray) -> None:
    """Write a capture slot's hops.parquet: `Hops.rows`, a row a matched request."""
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    _write_parquet(folder / slot_directory / "hops.parquet", pa.table(columns))


def write_turns(folder: Path, slot_directory: str, turns: np.ndarray) -> None:
    """Write turns.parquet of a slot that took turns: TURN_DTYPE, a row a turn."""
    columns = {name: np.ascontiguousarray(turns[name]) for name in turns.dtype.names or ()}
    _write_parquet(folder / slot_directory / "turns.parquet", pa.table(columns))


def write_packets(folder: Path, slot_directory: str, tap: str, capture: Path) -> None:
    """Keep the first packets of a tap's `capture` as `<tap>.pcap` in the slot's folder."""
    with capture.open("rb", buffering=0) as stream:
        records = next(read_records(stream, tap))
        stream.seek(0)
        last = min(KEPT_PACKETS, len(records.starts)) - 1
        kept = 0 if last < 0 else int(records.starts[last]) + int(records.captured_bytes[last])
        write_atomically(folder / slot_directory / f"{tap}.pcap", stream.read(FILE_HEADER_BYTES + kept))


def _write_parquet(target: Path, table: pa.Table) -> None:
    sink = io.BytesIO()
    stamps = [name for name in table.column_names if name.endswith("_ns")]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        # Stamps never repeat, and lie close together: their differences take half of the room.
        use_dictionary=[name for name in table.column_names if name not in stamps],
        column_encoding=dict.fromkeys(stamps, "DELTA_BINARY_PACKED"),
    )
    write_atomically(target, sink.getvalue())


def read_requests(folder: Path, slot_directory: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a slot's requests.parquet, warm-up included; some of its `columns`, or all.

    Raises InputError where it cannot be read.
    """
    return _read_parquet(folder / slot_directory / "requests.parquet", columns)


def read_hops(folder: Path, slot_directory: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a capture slot's hops.parquet, as `read_requests` does."""
    return _read_parquet(folder / slot_directory / "hops.parquet", columns)


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns and list(columns))
    except (OSError, pa.ArrowException) as fault:
        raise InputError(
            f"Reading {path}",
            str(fault).splitlines()[0],
            f"The slot's metrics are in {RUN_FILE} all the same. `sha256sum -c {SUMS_FILE}` says which files"
            " are not as they were written.",
        ) from fault
