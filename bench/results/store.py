"""What lies in a run's folder, written and read: its record, its slots one by one, verdict, walkthrough."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.errors import InputError
from bench.judgement.capacity.faults import find_capacity_faults
from bench.judgement.capacity.record import SCHEMA_VERSION as CAPACITY_SCHEMA_VERSION
from bench.judgement.capacity.record import CapacityRecord
from bench.judgement.verdict import Verdict
from bench.paths import STATE
from bench.records.calibration import Calibration
from bench.records.earlier import complete_run, complete_slot
from bench.records.faults import find_faults, find_suite_faults, find_walkthrough_faults
from bench.records.findings import WALKTHROUGH_SCHEMA_VERSION, WalkthroughRecord
from bench.records.run import (
    READABLE_VERSIONS,
    SLOTS_OF_THEIR_OWN,
    RunRecord,
    SlotRecord,
    Status,
    digest_slot,
)
from bench.records.suite import SUITE_SCHEMA_VERSION, SuiteRecord
from bench.results import sums
from bench.results.files import (
    CAPACITY_FILE,
    PARTIAL,
    RUN_FILE,
    SLOT_FILE,
    SLOTS_FOLDER,
    SUITE_FILE,
    SUITES,
    SURROUNDINGS_FOLDER,
    VERDICT_FILE,
    WALKTHROUGH_FILE,
    make_folder,
    make_subfolder,
    write_atomically,
)
from bench.results.reading import read_record, read_text, refuse
from bench.scenario.plan import Slot, digest_plan
from bench.slots.surroundings import Facts

CALIBRATION_FILE = STATE / "calibration.json"
MEASURED_AGAIN = "`bench resume` measures a slot without this file again."
FACTS = TypeAdapter[Facts](Facts)


# Runs.


def write_run(folder: Path, record: RunRecord) -> None:
    """Replace run.json whole, so that a reader sees the old one or the new one."""
    write_atomically(folder / RUN_FILE, _dump(record))


def write_slot(folder: Path, record: SlotRecord, facts: Facts) -> SlotRecord:
    """Write a measured slot's slot.json, with the sums of the slot's files in it; returns it so.

    `facts`, which it found around its server, are written before it where no slot had found them. What is
    written for a slot does not grow with the slots before it.
    """
    place = make_subfolder(folder, record.slot.directory)
    if record.surroundings:
        known = make_subfolder(folder, SURROUNDINGS_FOLDER) / f"{record.surroundings}.json"
        if not known.exists():
            write_atomically(known, FACTS.dump_json(facts, indent=1))
    sealed = seal_slot(folder, record)
    write_atomically(place / SLOT_FILE, _dump(sealed))
    return sealed


def seal_slot(folder: Path, record: SlotRecord, known: Mapping[str, str] = {}) -> SlotRecord:
    """The record with the sums of its folder's files, and its own; what is `known` is not taken anew."""
    place = folder / record.slot.directory
    sealed = {
        path.name: known.get(f"{record.slot.directory}/{path.name}") or sums.digest_file(path)
        for path in sorted(place.glob("*"))
        if path.name != SLOT_FILE and not path.name.endswith(PARTIAL) and path.is_file()
    }
    whole = record.model_copy(update={"sealed": sealed, "own_sha256": ""})
    return whole.model_copy(update={"own_sha256": digest_slot(whole)})


def reopen_run(folder: Path, record: RunRecord) -> RunRecord:
    """Write `record` as that of a run that goes on: without its slots, each of which has a file of its own.

    A run of an earlier schema gets those files here; a slot that is not in `record` any more, to be
    measured anew, loses its own. Returns the record as it is from now on.
    """
    if record.schema_version < SLOTS_OF_THEIR_OWN:
        known = sums.read_sums(folder)
        for slot in record.slots:
            sealed = seal_slot(folder, slot, known)
            write_atomically(make_subfolder(folder, slot.slot.directory) / SLOT_FILE, _dump(sealed))
        changes = {"schema_version": SLOTS_OF_THEIR_OWN, "slots": tuple(read_slots(folder, record).values())}
        record = record.model_copy(update=changes)
    record = record.model_copy(update={"status": Status.RUNNING, "finished_at": None})
    if record.plan_sha256:  # Of the same plan as this version writes it, with settings that the first lacked.
        plan_sha256 = digest_plan(record.scenario, record.seed, record.planned)
        record = record.model_copy(update={"plan_sha256": plan_sha256})
    write_run(folder, record.model_copy(update={"slots": ()}))
    kept = {folder / slot.slot.directory / SLOT_FILE for slot in record.slots}
    for path in set((folder / SLOTS_FOLDER).glob(f"*/{SLOT_FILE}")) - kept:
        path.unlink()
    return record


def finish_run(folder: Path, record: RunRecord) -> None:
    """Write the record of a run that has ended, with all of its slots, and the sums of what was measured.

    The sums come first: whenever it is killed, a run that says that it ended has them.
    """
    _finish(folder, RUN_FILE, record, record.slots)


def read_run(folder: Path) -> RunRecord:
    """Read the run in `folder`; of one that has not ended, the slots that it has so far.

    What earlier schemas did not store is derived here. Raises InputError where there is no run that can be
    read, or one that does not hold together.
    """
    doing, path = f"Opening the run {folder}", folder / RUN_FILE
    advice = "Give the folder of a run: results/<scenario>/<time>-<id>/."
    record = read_record(RunRecord, path, doing, advice, READABLE_VERSIONS)
    if record.status is Status.RUNNING:
        record = _collect_slots(folder, record)
    try:
        record = complete_run(record)
    except ValueError as fault:
        raise refuse(doing, path, [str(fault), *find_faults(record)]) from fault
    if faults := find_faults(record):
        raise refuse(doing, path, faults)
    return record


def _collect_slots(folder: Path, record: RunRecord) -> RunRecord:
    slots = {slot.slot.index: slot for slot in record.slots} | read_slots(folder, record)
    found = {slot.surroundings for slot in slots.values() if slot.surroundings} - set(record.surroundings)
    surroundings = {name: _read_facts(folder, name) for name in sorted(found)}
    return record.model_copy(
        update={
            "slots": tuple(slots[index] for index in sorted(slots)),
            "surroundings": {**record.surroundings, **surroundings},
        }
    )


def read_slots(folder: Path, record: RunRecord) -> dict[int, SlotRecord]:
    """Index -> slot, of every planned slot that has a slot.json. Raises InputError for a damaged one."""
    there = {path.parent.name for path in (folder / SLOTS_FOLDER).glob(f"*/{SLOT_FILE}")}
    planned = [slot for slot in record.planned if Path(slot.directory).name in there]
    return {slot.index: read_slot(folder, slot) for slot in planned}


def read_slot(folder: Path, slot: Slot) -> SlotRecord:
    """Read a slot's slot.json. Raises InputError where it is absent, damaged, or of another slot."""
    measured = read_slot_as_written(folder, slot)
    try:
        return complete_slot(measured)  # As those of run.json are: the same slot is the same in both.
    except ValueError as fault:
        doing = f"Opening {slot.directory} of the run {folder}"
        raise InputError(doing, f"its {SLOT_FILE}: {fault}", MEASURED_AGAIN) from fault


def read_slot_as_written(folder: Path, slot: Slot) -> SlotRecord:
    """The same, without what earlier schemas did not store: what its own digest is of."""
    doing = f"Opening {slot.directory} of the run {folder}"
    measured = read_record(SlotRecord, folder / slot.directory / SLOT_FILE, doing, MEASURED_AGAIN)
    if measured.slot != slot:
        raise InputError(doing, f"its {SLOT_FILE} is of another slot than the plan has there", "Remove it.")
    return measured


def _read_facts(folder: Path, name: str) -> Facts:
    doing, file = f"Opening the run {folder}", f"{SURROUNDINGS_FOLDER}/{name}.json"
    advice = "Take it from a copy of the run."
    try:
        return FACTS.validate_json(read_text(folder / file, doing, advice))
    except ValidationError as fault:
        raise InputError(doing, f"its {file} is damaged", advice) from fault


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
    write_atomically(folder / VERDICT_FILE, _dump(verdict))


def read_verdict(folder: Path) -> Verdict:
    """Read verdict.json. Raises InputError where there is none that can be read."""
    doing, advice = f"Reading the verdict of {folder}", f"`bench report {folder}` makes it."
    try:
        return Verdict.parse(read_text(folder / VERDICT_FILE, doing, advice))
    except (ValueError, RecursionError) as fault:
        raise InputError(doing, f"its {VERDICT_FILE} is damaged, or of another version", advice) from fault


# Suites, walkthroughs, capacity measurements.


def create_suite_folder(results: Path, suite_id: str) -> Path:
    """Make `results/suite/<suite id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / SUITES / suite_id
    make_folder(folder, f"Making the suite's folder {folder}")
    return folder


def write_suite(folder: Path, record: SuiteRecord) -> None:
    """Replace suite.json whole."""
    write_atomically(folder / SUITE_FILE, _dump(record))


def finish_suite(folder: Path, record: SuiteRecord) -> None:
    """Write the record of a suite that has ended, and its sum, as `finish_run` does."""
    _finish(folder, SUITE_FILE, record, ())


def read_suite(folder: Path) -> SuiteRecord:
    """Read suite.json of the suite in `folder`.

    Raises InputError where there is none that can be read, or one that does not hold together.
    """
    advice = "Give the folder of a suite, results/suite/<time>-<id>/."
    doing, path = f"Opening the suite {folder}", folder / SUITE_FILE
    record = read_record(SuiteRecord, path, doing, advice, (SUITE_SCHEMA_VERSION,))
    if faults := find_suite_faults(record):
        raise refuse(doing, path, faults)
    return record


def read_walkthrough(folder: Path) -> WalkthroughRecord | None:
    """What a walkthrough found, of the run or walkthrough in `folder`; None where there was none.

    Raises InputError where it cannot be read, or does not hold together.
    """
    path = folder / WALKTHROUGH_FILE
    doing = f"Reading {path}"
    if not path.exists():
        return None
    record = read_record(WalkthroughRecord, path, doing, "Delete it.", (WALKTHROUGH_SCHEMA_VERSION,))
    if faults := find_walkthrough_faults(record):
        raise refuse(doing, path, faults)
    return record


def write_capacity(folder: Path, record: CapacityRecord) -> None:
    """Replace capacity.json whole."""
    write_atomically(folder / CAPACITY_FILE, _dump(record))


def finish_capacity(folder: Path, record: CapacityRecord) -> None:
    """Write the record of a measurement that has ended, and all sums, as `finish_run` does."""
    _finish(folder, CAPACITY_FILE, record, [probe.slot for probe in record.probes if probe.slot])


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


# This machine's calibration.


def write_calibration(calibration: Calibration) -> None:
    """Replace this machine's calibration."""
    write_atomically(CALIBRATION_FILE, _dump(calibration))


def read_calibration() -> Calibration | None:
    """This machine's calibration; None where there is none that this version can read."""
    try:
        return Calibration.parse(CALIBRATION_FILE.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _dump(record: BaseModel) -> bytes:
    return record.model_dump_json(indent=1).encode()


def _finish(folder: Path, file: str, record: BaseModel, slots: Iterable[SlotRecord]) -> None:
    content = _dump(record)
    sealed = {f"{slot.slot.directory}/{name}": line for slot in slots for name, line in slot.sealed.items()}
    sums.seal(folder, sealed | {file: sums.digest(content)})
    write_atomically(folder / file, content)
