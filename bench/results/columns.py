"""Requests, hops and packets of a slot as Parquet columns."""

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import InputError
from bench.results.files import RUN_FILE, describe_fault, make_subfolder, read_stored, write_atomically
from bench.results.sums import NotAsWritten, digest
from bench.slots.requests import NO_CONNECTION, RECORD_DTYPE, TURN_DTYPE, Outcome
from bench.wire.pcap import FILE_HEADER_BYTES, read_records

if TYPE_CHECKING:
    import pandas as pd

REQUESTS_FILE, HOPS_FILE, TURNS_FILE = "requests.parquet", "hops.parquet", "turns.parquet"
REQUEST_COLUMNS = tuple(name for name in RECORD_DTYPE.names or () if name != "request")
"""Those that every slot's file has; `request` is there where a load had several."""
ROWS_AT_ONCE = 1_048_576
"""Of a file's groups of rows: what is held twice while it is written."""
KEPT_PACKETS = 64
"""Of each capture: the handshakes and a dozen requests. All of them would be megabytes a slot."""


def write_requests(
    folder: Path, slot_directory: str, records: np.ndarray, cell: np.ndarray | None = None
) -> None:
    """Write a slot's requests.parquet from RECORD_DTYPE, warm-up included, in order of ending.

    `cell`, of a slot that took turns: the number of the cell that each counts in, -1 of none. The column
    `request` is there where one is another than the load's first.
    """
    target = make_subfolder(folder, slot_directory) / REQUESTS_FILE
    names = pa.array([outcome.name.lower() for outcome in Outcome])
    kept = [*REQUEST_COLUMNS, *["request"] * bool(records["request"].any())]

    def tabulate(part: slice) -> pa.Table:
        columns = {name: _widen(name, records[name][part]) for name in kept}
        outcome = pa.DictionaryArray.from_arrays(pa.array(columns.pop("outcome").astype(np.int8)), names)
        cells = {} if cell is None else {"cell": pa.array(cell[part])}
        return pa.table({**columns, "outcome": outcome, **cells})

    # A part at a time: there may be tens of millions.
    begins = range(0, max(len(records), 1), ROWS_AT_ONCE)
    _write_parquet(target, (tabulate(slice(begin, begin + ROWS_AT_ONCE)) for begin in begins))


def _widen(name: str, values: np.ndarray) -> np.ndarray:
    """Values of a record as a file holds them: signed, and -1 for no connection."""
    if values.dtype != np.uint16:
        return np.ascontiguousarray(values)
    wide = values.astype(np.int32)
    if name == "connection":
        wide[values == NO_CONNECTION] = -1
    return wide


def write_hops(folder: Path, slot_directory: str, rows: np.ndarray) -> None:
    """Write a capture slot's hops.parquet: `Hops.rows`, a row a matched request."""
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    _write_parquet(make_subfolder(folder, slot_directory) / HOPS_FILE, [pa.table(columns)])


def write_turns(folder: Path, slot_directory: str, turns: np.ndarray) -> None:
    """Write turns.parquet of a slot that took turns: TURN_DTYPE, a row a turn."""
    columns = {name: np.ascontiguousarray(turns[name]) for name in turns.dtype.names or ()}
    _write_parquet(make_subfolder(folder, slot_directory) / TURNS_FILE, [pa.table(columns)])


def write_packets(folder: Path, slot_directory: str, tap: str, capture: Path) -> None:
    """Keep the first packets of a tap's `capture` as `<tap>.pcap` in the slot's folder."""
    with capture.open("rb", buffering=0) as stream:
        records = next(read_records(stream, tap))
        stream.seek(0)
        last = min(KEPT_PACKETS, len(records.starts)) - 1
        kept = 0 if last < 0 else int(records.starts[last]) + int(records.captured_bytes[last])
        place = make_subfolder(folder, slot_directory)
        write_atomically(place / f"{tap}.pcap", stream.read(FILE_HEADER_BYTES + kept))


def _write_parquet(target: Path, tables: Iterable[pa.Table]) -> None:
    """One file of `tables`, one or more of the same columns."""
    sink, writer = io.BytesIO(), None
    for table in tables:
        if writer is None:
            stamps = [name for name in table.column_names if name.endswith("_ns")]
            writer = pq.ParquetWriter(
                sink,
                table.schema,
                compression="zstd",
                compression_level=1,
                # Stamps never repeat, and lie close together: their differences take half of the room.
                use_dictionary=[name for name in table.column_names if name not in stamps],
                column_encoding=dict.fromkeys(stamps, "DELTA_BINARY_PACKED"),
            )
        writer.write_table(table)
    if writer:
        writer.close()
    write_atomically(target, sink.getvalue())


def list_columns(folder: Path, slot_directory: str) -> list[str]:
    """Names of the columns of a slot's requests.parquet. Raises InputError where it cannot be read."""
    path = folder / slot_directory / REQUESTS_FILE
    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise _refuse(path, str(fault).split("\n")[0]) from fault


def read_requests(
    folder: Path, slot_directory: str, columns: Sequence[str] | None = None, sealed: str | None = None
) -> pa.Table:
    """Read a slot's requests.parquet, warm-up included; some of its `columns`, or all.

    Without the column `request` where the file has none: the load had one request only. Warns NotAsWritten
    where its sum is not the `sealed` one. Raises InputError where it cannot be read, or holds something else
    than requests.
    """
    path = folder / slot_directory / REQUESTS_FILE
    wanted = list(columns or RECORD_DTYPE.names or ())
    table = _read_parquet(path, wanted, sealed, may_lack=["request"])
    if "outcome" in wanted:
        known = {outcome.name.lower() for outcome in Outcome}
        strange = set(_values(path, table["outcome"])) - known
        if strange:
            raise _refuse(path, f"it has outcomes that no request has: {', '.join(map(str, strange))}")
    _require_integers(path, table, [name for name in table.column_names if name != "outcome"])
    return table


def read_hops(
    folder: Path, slot_directory: str, columns: Sequence[str] | None = None, sealed: str | None = None
) -> pa.Table:
    """Read a capture slot's hops.parquet, as `read_requests` does; an `id` is a request's number, from 0."""
    path = folder / slot_directory / HOPS_FILE
    table = _read_parquet(path, columns, sealed)
    _require_integers(path, table, table.column_names)
    if "id" in table.column_names and len(table):
        ids = table["id"].to_numpy()
        if ids.min() < 0:
            raise _refuse(path, f"it has a request of the number {ids.min()}")
        if len(np.unique(ids)) < len(ids):
            raise _refuse(path, "it has a request twice")
    return table


def read_turns(folder: Path, slot_directory: str, sealed: str | None = None) -> np.ndarray:
    """Read turns.parquet of a slot that took turns (TURN_DTYPE), as `read_requests` does."""
    path = folder / slot_directory / TURNS_FILE
    names = TURN_DTYPE.names or ()
    table = _read_parquet(path, names, sealed)
    _require_integers(path, table, names)
    turns = np.zeros(len(table), TURN_DTYPE)
    for name in names:
        turns[name] = table[name].to_numpy()
    starts, ends = turns["settled_ns"], turns["end_ns"]
    if not len(turns) or (starts > ends).any() or (starts[1:] < ends[:-1]).any():
        raise _refuse(path, "its turns are none, or not one after another")
    return turns


def to_frame(table: pa.Table) -> "pd.DataFrame":
    """A table that was read, as pandas has it."""
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def _read_parquet(
    path: Path, columns: Sequence[str] | None, sealed: str | None, may_lack: Sequence[str] = ()
) -> pa.Table:
    try:
        # Whole and once, so that what is held against the sum is what is decoded.
        content = read_stored(path)
        if sealed and digest(content) != sealed:
            warnings.warn(NotAsWritten(f"{path} is not as it was written."), stacklevel=4)
        parquet = pq.ParquetFile(pa.BufferReader(content))
        missing = [name for name in columns or () if name not in parquet.schema_arrow.names]
        if set(missing) - set(may_lack):
            raise _refuse(path, f"it lacks {', '.join(missing)}")
        # Of one thread, as `to_frame`: one of Arrow's that lets go of Python's memory while Python ends takes
        # the process with it.
        table = parquet.read(
            columns=columns and [name for name in columns if name not in missing], use_threads=False
        )
    except (OSError, ValueError, MemoryError, pa.ArrowException) as fault:
        said = describe_fault(fault) if isinstance(fault, OSError) else str(fault)
        raise _refuse(path, said.split("\n")[0] or "it is no Parquet file") from fault
    # What pandas may have written of its index is none of a slot's, and makes another frame of the columns.
    return table.replace_schema_metadata()


def _values(path: Path, column: pa.ChunkedArray) -> list[object]:
    try:
        return list(column.unique().to_pylist())
    except (ValueError, IndexError, pa.ArrowException) as fault:
        raise _refuse(path, str(fault).split("\n")[0] or "its outcomes are no words") from fault


def _require_integers(path: Path, table: pa.Table, names: Sequence[str]) -> None:
    for name in names:
        column = table[name]
        if not pa.types.is_signed_integer(column.type):
            raise _refuse(path, f"its {name} is {column.type}, not a whole number")
        if column.null_count:
            raise _refuse(path, f"its {name} is missing in {column.null_count} rows")


def _refuse(path: Path, seen: str) -> InputError:
    return InputError(
        f"Reading {path}",
        seen,
        f"The slot's metrics are in {RUN_FILE} all the same. `bench verify {path.parents[2]}` says which"
        " files are not as they were written.",
    )
