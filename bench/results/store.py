"""A run's folder: written atomically, a slot at a time; read again without root or Docker."""

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from bench.errors import EnvironmentLacks, InputError
from bench.generator.closed_loop import Outcome
from bench.judgement.capacity.record import SCHEMA_VERSION as CAPACITY_SCHEMA_VERSION
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.verdict import Verdict
from bench.lab.hosts.journal import STATE
from bench.records.calibration import Calibration
from bench.records.findings import WalkthroughRecord
from bench.records.run import READABLE_VERSIONS, SCHEMA_VERSION, RunRecord, SlotRecord
from bench.records.suite import SUITE_SCHEMA_VERSION, SuiteRecord
from bench.scenario.model import Metric
from bench.slots.cpu import CpuRecord, Share
from bench.wire.pcap import FILE_HEADER_BYTES, read_records

RUN_FILE, VERDICT_FILE, SLOTS_FILE, SUMS_FILE = "run.json", "verdict.json", "slots.csv", "SHA256SUMS"
SUITE_FILE, SUITES = "suite.json", "suite"
CPU_COLUMNS = (
    "cpu_containers_us",
    "cpu_docker_proxy_us",
    "cpu_generator_us",
    "context_switches_per_request",
    "net_rx_per_request",
    "idle_cores",
)
WALKTHROUGH_FILE, WALKTHROUGH_PAGE = "walkthrough.json", "walkthrough.md"
CAPACITY_FILE = "capacity.json"

KEPT_PACKETS = 64
"""Of each capture: the handshakes and a dozen requests. All of them would be megabytes a slot."""

CALIBRATION_FILE = STATE / "calibration.json"


def new_run_id(now: datetime) -> str:
    """`<YYYYMMDDThhmmssZ>-<4 hex>`: sorts by time, and no two are alike."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def create_run_folder(results: Path, scenario_name: str, run_id: str) -> Path:
    """Make `results/<scenario>/<run id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / scenario_name / run_id
    _make(folder / "slots", f"Making the run's folder {folder}")
    return folder


def create_suite_folder(results: Path, suite_id: str) -> Path:
    """Make `results/suite/<suite id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / SUITES / suite_id
    _make(folder, f"Making the suite's folder {folder}")
    return folder


def _make(folder: Path, doing: str) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        raise EnvironmentLacks(
            doing, str(fault), "Give a folder that can be written with --results."
        ) from fault


def write_suite(folder: Path, record: SuiteRecord) -> None:
    """Replace suite.json whole."""
    write_atomically(folder / SUITE_FILE, record.model_dump_json(indent=1).encode())


def is_suite(folder: Path) -> bool:
    """Whether `folder` is a suite's, rather than a run's."""
    return (folder / SUITE_FILE).exists()


def read_suite(folder: Path) -> SuiteRecord:
    """Read suite.json of the suite in `folder`. Raises InputError where there is none that can be read."""
    advice = "Give the folder of a suite, results/suite/<time>-<id>/."
    try:
        return SuiteRecord.model_validate_json((folder / SUITE_FILE).read_text())
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"Opening the suite {folder}", str(fault), advice) from fault
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"Opening the suite {folder}",
            f"its suite.json is not of schema version {SUITE_SCHEMA_VERSION} ({place}: {first['msg']})",
            "Read it with the version of bench that wrote it.",
        ) from fault


def write_run(folder: Path, record: RunRecord) -> None:
    """Replace run.json whole, so that a reader sees the old one or the new one."""
    write_atomically(folder / RUN_FILE, record.model_dump_json(indent=1).encode())


def read_run(folder: Path) -> RunRecord:
    """Read run.json of the run in `folder`. Raises InputError where there is none that can be read."""
    doing = f"Opening the run {folder}"
    try:
        text = (folder / RUN_FILE).read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(
            doing, str(fault), "Give the folder of a run: results/<scenario>/<time>-<id>/."
        ) from fault
    try:
        _refuse_other_versions(_Version.model_validate_json(text), doing)
        return RunRecord.model_validate_json(text)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            doing,
            f"its run.json is not of schema version {SCHEMA_VERSION} ({place}: {first['msg']})",
            "Read it with the version of bench that wrote it.",
        ) from fault


class _Version(BaseModel):
    """What every version of run.json says of itself, whatever else is in it."""

    schema_version: int
    bench_version: str = "unknown"


def _refuse_other_versions(found: _Version, doing: str) -> None:
    if found.schema_version in READABLE_VERSIONS:
        return
    age = "older" if found.schema_version < READABLE_VERSIONS[0] else "newer"
    raise InputError(
        doing,
        f"its run.json is of schema version {found.schema_version}, {age} than those that this bench"
        f" reads: {', '.join(map(str, READABLE_VERSIONS))}",
        f"Read it with the version of bench that wrote it: {found.bench_version}.",
    )


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Folders with a run.json at or below `paths`, each once. Raises InputError for a path that is none."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(
                f"Looking for runs in {path}", "it is not a folder", "Give results/, or folders of runs."
            )
        for file in sorted(path.rglob(RUN_FILE)):
            found.setdefault(file.parent.resolve(), file.parent)
    return list(found.values())


def write_requests(folder: Path, slot_directory: str, records: np.ndarray) -> None:
    """Write a slot's requests.parquet from RECORD_DTYPE, warm-up included, in order of ending."""
    target = folder / slot_directory / "requests.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    names = pa.array([outcome.name.lower() for outcome in Outcome])
    columns = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
    outcome = pa.DictionaryArray.from_arrays(pa.array(columns.pop("outcome").astype(np.int8)), names)
    table = pa.table({**columns, "outcome": outcome})
    _write_parquet(target, table)


def write_hops(folder: Path, slot_directory: str, rows: np.ndarray) -> None:
    """Write a capture slot's hops.parquet: `Hops.rows`, a row a matched request."""
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    _write_parquet(folder / slot_directory / "hops.parquet", pa.table(columns))


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


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Replace verdict.json."""
    write_atomically(folder / VERDICT_FILE, verdict.model_dump_json(indent=1).encode())


def read_verdict(folder: Path) -> Verdict:
    """Read verdict.json. Raises InputError where there is none that can be read."""
    try:
        return Verdict.model_validate_json((folder / VERDICT_FILE).read_text())
    except (OSError, UnicodeDecodeError, ValidationError) as fault:
        raise InputError(
            f"Reading the verdict of {folder}",
            str(fault).splitlines()[0],
            f"`bench report {folder}` makes it.",
        ) from fault


def read_walkthrough(folder: Path) -> WalkthroughRecord | None:
    """What a walkthrough found, of the run or walkthrough in `folder`; None where there was none.

    Raises InputError where it cannot be read.
    """
    path = folder / WALKTHROUGH_FILE
    if not path.exists():
        return None
    try:
        return WalkthroughRecord.model_validate_json(path.read_text())
    except (OSError, UnicodeDecodeError, ValidationError) as fault:
        raise InputError(
            f"Reading {path}",
            str(fault).splitlines()[0],
            "Read it with the version of bench that wrote it, or delete it.",
        ) from fault


def write_calibration(calibration: Calibration) -> None:
    """Replace this machine's calibration."""
    write_atomically(CALIBRATION_FILE, calibration.model_dump_json(indent=1).encode())


def read_calibration() -> Calibration | None:
    """This machine's calibration; None where there is none that this version can read."""
    try:
        return Calibration.model_validate_json(CALIBRATION_FILE.read_text())
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def write_capacity(folder: Path, record: CapacityRecord) -> None:
    """Replace capacity.json whole."""
    write_atomically(folder / CAPACITY_FILE, record.model_dump_json(indent=1).encode())


def read_capacity(folder: Path) -> CapacityRecord:
    """Read capacity.json. Raises InputError where there is none that can be read."""
    doing = f"Opening the capacity measurement {folder}"
    try:
        record = CapacityRecord.model_validate_json((folder / CAPACITY_FILE).read_text())
    except (OSError, UnicodeDecodeError, ValidationError) as fault:
        raise InputError(
            doing, str(fault).splitlines()[0], "Read it with the version of bench that wrote it."
        ) from fault
    if record.schema_version != CAPACITY_SCHEMA_VERSION:
        raise InputError(
            doing,
            f"its {CAPACITY_FILE} is of schema version {record.schema_version}, not"
            f" {CAPACITY_SCHEMA_VERSION}",
            "Read it with the version of bench that wrote it.",
        )
    return record


def write_slots_csv(folder: Path, slots: tuple[SlotRecord, ...]) -> None:
    """Write slots.csv: one row a slot, every metric, for a spreadsheet."""
    text = io.StringIO()
    rows = [slot_row(slot) for slot in slots]
    table = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["slot"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(folder / SLOTS_FILE, text.getvalue().encode())


def slot_row(record: SlotRecord) -> dict[str, object]:
    """A slot as one flat row; the columns of slots.csv and of `Run.slots`."""
    slot = record.slot
    return {
        "slot": slot.index,
        "session": slot.session,
        "block": slot.block,
        "arm": slot.arm,
        "condition": slot.condition,
        "repeat": slot.repeat,
        "started_at": record.started_at,
        "valid": record.valid,
        "failed_gates": "; ".join(gate.name for gate in record.failed_gates),
        "requests": record.requests,
        "errors": record.errors,
        "unfinished": record.unfinished,
        **{metric.value: record.values.get(metric) for metric in Metric},
        "p999_latency_us": record.p999_latency_us,
        "mean_latency_us": record.mean_latency_us,
        "service_p50_us": record.service_p50_us,
        "service_p99_us": record.service_p99_us,
        "start_to_first_200_ms": record.start_to_first_200_ms,
        "wrk_witness_rps": record.wrk_witness_rps,
        "fixed_work_us": record.fixed_work_us,
        "seconds": record.seconds,
        "overhead_s": record.overhead_s,
        "window_start_ns": record.window_start_ns,
        "window_end_ns": record.window_end_ns,
        **_cpu_columns(record.cpu),
    }


def _cpu_columns(cpu: CpuRecord | None) -> dict[str, float | None]:
    """What can be attributed of the CPU per request, and events a request; the whole is a metric."""
    if cpu is None:
        return dict.fromkeys(CPU_COLUMNS)
    shares = cpu.attributed_us_per_request
    values = (
        shares.get(Share.CONTAINERS),
        shares.get(Share.DOCKER_PROXY),
        shares.get(Share.GENERATOR),
        cpu.context_switches_per_request,
        cpu.net_rx_per_request,
        cpu.idle_cores,
    )
    return dict(zip(CPU_COLUMNS, values, strict=True))


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of every other file of the run, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_FILE)
    lines = []
    for path in files:
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    write_atomically(folder / SUMS_FILE, "".join(lines).encode())


def write_atomically(target: Path, content: bytes) -> None:
    """Write `content` so that `target` is the whole of it or what it was before."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except OSError as fault:
        with suppress(OSError):
            partial.unlink()
        raise EnvironmentLacks(
            f"Writing {target}",
            str(fault),
            "What was written before is whole. Make room or give another folder with --results.",
        ) from fault
