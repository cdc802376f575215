"""A run's folder: written atomically, a slot at a time; read again without root or Docker."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from bench.errors import InputError
from bench.judgement.capacity.faults import find_capacity_faults
from bench.judgement.capacity.record import SCHEMA_VERSION as CAPACITY_SCHEMA_VERSION
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.verdict import Verdict
from bench.paths import STATE
from bench.records.calibration import Calibration
from bench.records.earlier import complete_run, complete_slot
from bench.records.faults import find_faults
from bench.records.findings import WalkthroughRecord
from bench.records.run import READABLE_VERSIONS, RunRecord
from bench.records.suite import SUITE_SCHEMA_VERSION, SuiteRecord
from bench.results.files import (
    CAPACITY_FILE,
    RUN_FILE,
    SUITE_FILE,
    SUITES,
    SUMS_FILE,
    VERDICT_FILE,
    WALKTHROUGH_FILE,
    make_folder,
    write_atomically,
)
from bench.results.reading import read_record, refuse

CALIBRATION_FILE = STATE / "calibration.json"


def create_suite_folder(results: Path, suite_id: str) -> Path:
    """Make `results/suite/<suite id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / SUITES / suite_id
    make_folder(folder, f"Making the suite's folder {folder}")
    return folder


def write_suite(folder: Path, record: SuiteRecord) -> None:
    """Replace suite.json whole."""
    write_atomically(folder / SUITE_FILE, record.model_dump_json(indent=1).encode())


def read_suite(folder: Path) -> SuiteRecord:
    """Read suite.json of the suite in `folder`. Raises InputError where there is none that can be read."""
    advice = "Give the folder of a suite, results/suite/<time>-<id>/."
    doing = f"Opening the suite {folder}"
    return read_record(SuiteRecord, folder / SUITE_FILE, doing, advice, (SUITE_SCHEMA_VERSION,))


def write_run(folder: Path, record: RunRecord) -> None:
    """Replace run.json whole, so that a reader sees the old one or the new one."""
    write_atomically(folder / RUN_FILE, record.model_dump_json(indent=1).encode())


def read_run(folder: Path) -> RunRecord:
    """Read run.json of the run in `folder`. Raises InputError where there is none that can be read."""
    doing, path = f"Opening the run {folder}", folder / RUN_FILE
    advice = "Give the folder of a run: results/<scenario>/<time>-<id>/."
    record = read_record(RunRecord, path, doing, advice, READABLE_VERSIONS)
    try:
        record = complete_run(record)
    except ValueError as fault:
        raise refuse(doing, path, [str(fault), *find_faults(record)]) from fault
    if faults := find_faults(record):
        raise refuse(doing, path, faults)
    return record


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
    return read_record(WalkthroughRecord, path, f"Reading {path}", "Delete it.")


def write_calibration(calibration: Calibration) -> None:
    """Replace this machine's calibration."""
    write_atomically(CALIBRATION_FILE, calibration.model_dump_json(indent=1).encode())


def read_calibration() -> Calibration | None:
    """This machine's calibration; None where there is none that this version can read."""
    try:
        return Calibration.parse(CALIBRATION_FILE.read_text())
    except (OSError, ValueError):
        return None


def write_capacity(folder: Path, record: CapacityRecord) -> None:
    """Replace capacity.json whole."""
    write_atomically(folder / CAPACITY_FILE, record.model_dump_json(indent=1).encode())


def read_capacity(folder: Path) -> CapacityRecord:
    """Read capacity.json. Raises InputError where there is none that can be read."""
    doing = f"Opening the capacity measurement {folder}"
    advice = "Give the folder of a capacity measurement: results/<scenario>/<time>-<id>/."
    path = folder / CAPACITY_FILE
    record = read_record(CapacityRecord, path, doing, advice, (CAPACITY_SCHEMA_VERSION,))
    try:
        probes = tuple(
            probe.model_copy(update={"slot": complete_slot(probe.slot)}) if probe.slot else probe
            for probe in record.probes
        )
    except ValueError as fault:
        raise refuse(doing, path, [str(fault)]) from fault
    record = record.model_copy(update={"probes": probes})
    if faults := find_capacity_faults(record):
        raise refuse(doing, path, faults)
    return record


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of every other file of the run, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_FILE)
    lines = []
    for path in files:
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    write_atomically(folder / SUMS_FILE, "".join(lines).encode())
