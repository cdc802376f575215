"""A run's folder: written atomically, a slot at a time; read again without root or Docker."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bench.errors import InputError
from bench.judgement.capacity.record import SCHEMA_VERSION as CAPACITY_SCHEMA_VERSION
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.verdict import Verdict
from bench.paths import STATE
from bench.records.calibration import Calibration
from bench.records.findings import WalkthroughRecord
from bench.records.run import READABLE_VERSIONS, SCHEMA_VERSION, RunRecord
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


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of every other file of the run, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_FILE)
    lines = []
    for path in files:
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    write_atomically(folder / SUMS_FILE, "".join(lines).encode())
