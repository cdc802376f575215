"""Runs a scenario: composes lab, engine, image, load and store, slot by slot, and judges the result."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import bench
from bench.errors import EnvironmentLacks, ExitCode, InputError, Interrupted, MeasurementInvalid
from bench.judgement.comparison import Compared, Word
from bench.judgement.precision import extend, is_reached, predict_blocks
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.measure.availability import find_gaps
from bench.measure.interleaving import measure_set
from bench.measure.progress import Progress
from bench.measure.slot import Measured, measure_slot
from bench.measure.testbed import Bed, prepare_bed
from bench.records.calibration import SAME_MACHINE
from bench.records.run import SCHEMA_VERSION, RunRecord, SlotRecord, Status
from bench.report.run.page import write_report
from bench.results import files, slot_table, store
from bench.results.run import load
from bench.scenario.conditions import Condition, conditions
from bench.scenario.placement import docker_hosts
from bench.scenario.plan import Slot, lives, plan_slots, slot_seconds, turns
from bench.scenario.scenario import Scenario
from bench.walkthrough.walk import walk, write_walkthrough

MAX_FAILED_IN_A_ROW = 3
"""Slots (sets, where arms take turns) that fail to start, one after another, before the run gives up."""


def begin_run(
    scenario: Scenario,
    seed: int,
    budget_s: float | None,
    results: Path,
    progress: Progress,
    web_ui_port: int | None = None,
    precision: float | None = None,
) -> Path:
    """Register a run of `scenario` below `results` before there is data, and measure it.

    Returns its folder, once it is complete, as precise as `precision` asks (a fraction), or its
    budget spent. Interrupted or failed, run.json says
    so, what was measured has its report, and the exception goes on.
    """
    if scenario.capacity is not None:
        raise InputError(
            f"Running {scenario.name}",
            "it has a table [capacity]: its rates are not given, but found",
            f"`bench capacity {scenario.name}` finds them.",
        )
    requirements.require_all()
    run_id = files.new_run_id(datetime.now(UTC))
    with machine_lock(f"bench run {run_id} ({scenario.name})"):
        return begin_locked(run_id, scenario, seed, budget_s, results, progress, web_ui_port, precision)


def begin_locked(
    run_id: str,
    scenario: Scenario,
    seed: int,
    budget_s: float | None,
    results: Path,
    progress: Progress,
    web_ui_port: int | None = None,
    precision: float | None = None,
) -> Path:
    """`begin_run` for who holds the machine's lock, as a run of a name that is known beforehand."""
    here, calibration = machine.describe_machine(), store.read_calibration()
    record = RunRecord(
        schema_version=SCHEMA_VERSION,
        id=run_id,
        bench_version=bench.__version__,
        status=Status.RUNNING,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        scenario=scenario,
        seed=seed,
        budget_s=budget_s,
        precision=precision,
        planned=plan_slots(extend(scenario) if precision else scenario, seed),
        machine=here,
        calibration=calibration if calibration and calibration.is_of(here) else None,
        tools=machine.tool_versions(),
        lab={},
        engines={},
        image={},
    )
    folder = files.create_run_folder(results, scenario.name, run_id)
    store.write_run(folder, record)
    _execute(folder, record, progress, web_ui_port)
    return folder


def resume_run(folder: Path, progress: Progress, web_ui_port: int | None = None) -> None:
    """Measure what remains of the run in `folder`, in its planned order and without a budget.

    Slots that could not be measured (an engine died, a disk was full) are tried again.
    """
    requirements.require_all()
    record = store.read_run(folder)
    with machine_lock(f"bench resume {record.id} ({record.scenario.name})"):
        resume_locked(folder, progress, web_ui_port)


def resume_locked(folder: Path, progress: Progress, web_ui_port: int | None = None) -> None:
    """`resume_run` for who holds the machine's lock."""
    record = store.read_run(folder)
    record = record.model_copy(update={"slots": record.kept()})
    if not record.remaining() or _is_precise(record):
        raise InputError(
            f"Resuming the run {record.id}",
            f"it has ended ({record.status})",
            f"`bench report {folder}` writes its report.",
        )
    _require_same_machine(record)
    _execute(folder, record.model_copy(update={"budget_s": None}), progress, web_ui_port)


def exit_code_of(folder: Path) -> ExitCode:
    """Done where the run in `folder` has a comparison of arms that can be used."""
    compared = [found for found in load(folder).verdict.comparisons if found.kind is Compared.ARMS]
    usable = any(comparison.word is not Word.INVALID for comparison in compared)
    return ExitCode.DONE if usable else ExitCode.INVALID_MEASUREMENT


def write_results(folder: Path) -> None:
    """Write all that follows from run.json and the slots: verdict, table, report, sums."""
    found = load(folder)
    slot_table.write_slots_csv(folder, found.record.slots)
    store.write_verdict(folder, found.verdict)
    write_report(found, folder)
    store.write_sums(folder)


def _execute(folder: Path, record: RunRecord, progress: Progress, web_ui_port: int | None) -> None:
    """Measure the slots that remain; every one is on the disk before the next begins."""
    undo_dead_runs()
    status = Status.FAILED
    try:
        if record.scenario.walkthrough and not (folder / files.WALKTHROUGH_FILE).exists():
            engines = [condition.lab.engine for condition in conditions(record.scenario)]
            write_walkthrough(folder, walk(engines, progress.stage))
        with prepare_bed(record.scenario, record.id, progress.stage, web_ui_port) as bed:
            progress.stage("modes: each arm is tried")
            record = _describe_bed(record, bed)
            store.write_run(folder, record)
            progress.stage("slots")
            for measured in _measure(bed, record, folder, progress):
                record = measured
                store.write_run(folder, record)
            bed.generator.write_report(folder / "locust.html")
        if not record.remaining():
            status = Status.COMPLETE
        else:
            status = Status.PRECISE if _is_precise(record) else Status.BUDGET_SPENT
    except Interrupted:
        status = Status.INTERRUPTED
        raise
    finally:
        finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        store.write_run(folder, record.model_copy(update={"status": status, "finished_at": finished_at}))
        progress.stage("report")
        write_results(folder)


def _require_same_machine(record: RunRecord) -> None:
    """Slots of one run are compared with one another, so all are measured on one machine."""
    here = machine.describe_machine()
    changed = [key for key in SAME_MACHINE if record.machine.get(key) != here.get(key)]
    if changed:
        raise EnvironmentLacks(
            f"Resuming the run {record.id}",
            "; ".join(
                f"its {key} was {record.machine.get(key)} and is {here.get(key)} here" for key in changed
            ),
            "Begin a new run: slots of different machines cannot be compared.",
        )


def _describe_bed(record: RunRecord, bed: Bed) -> RunRecord:
    if record.image and record.image["id"] != bed.image.id:
        raise EnvironmentLacks(
            f"Resuming the run {record.id}",
            f"its slots ran the image {record.image['id']}, and this machine now has {bed.image.id}",
            "Begin a new run: slots of different images cannot be compared.",
        )
    places = {place.name: place for place in docker_hosts(record.scenario)}
    gaps = find_gaps(bed)
    return record.model_copy(
        update={
            "lab": {
                **{
                    host.name: f"{', '.join(host.addresses) or 'no address'}; cores {host.cpus}"
                    for host in bed.lab.hosts
                },
                "vantage": "same-kernel lab",
            },
            "engines": {
                name: {"what": places[name].description, **living.describe()}
                for name, living in bed.engines.items()
            },
            "image": {
                "id": bed.image.id,
                "suite": bed.image.suite,
                "base_sha256": bed.image.base_sha256,
                "recipe_sha256": bed.image.recipe_sha256,
            },
            "unavailable": gaps.arms,
            "unavailable_conditions": gaps.conditions,
            "unavailable_under": gaps.cells,
            "status": Status.RUNNING,
        }
    )


def _measure(bed: Bed, record: RunRecord, folder: Path, progress: Progress) -> Iterator[RunRecord]:
    """Yield the record anew after each slot or set, until none remains or the budget is spent."""
    begun = time.monotonic()
    failed_in_a_row = 0
    session: int | None = None
    block: int | None = None
    for life in lives(record.remaining()):
        slot = life[0]
        if slot.block != block and _is_precise(record):
            return
        block_s = _expected_seconds(record, range(slot.block, slot.block + 1))
        spent_s = time.monotonic() - begun
        if slot.block != block and record.budget_s and spent_s + block_s > record.budget_s and record.slots:
            return  # Only whole blocks are comparable, so a block that does not fit is not begun.
        if session not in (None, slot.session):
            progress.stage(f"engine: restarted for session {slot.session + 1}")
            bed.restart_engines()
        session, block = slot.session, slot.block
        found = _measure_life(bed, record, life, folder)
        for name in bed.revive_engines():
            progress.stage(f"engine: {name}'s had ended, and is started again")
        measured = [each for each, _ in found]
        came_far = any(each.valid or each.requests for each in measured)
        failed_in_a_row = 0 if came_far else failed_in_a_row + 1
        record = _add(record, found)
        yield record
        remaining_s = _expected_seconds(record, range(_expected_blocks(record)))
        if record.budget_s:
            remaining_s = min(remaining_s, record.budget_s - (time.monotonic() - begun))
        done = len(record.slots) - len(measured)
        for number, each in enumerate(measured, done + 1):
            progress.slot(each, number, len(record.planned), max(remaining_s, 0))
        if failed_in_a_row == MAX_FAILED_IN_A_ROW:
            raise MeasurementInvalid(
                f"Measuring the run {record.id}",
                f"{failed_in_a_row} {'slots' if len(life) == 1 else 'sets'} in a row could not be measured,"
                f" the last because of {'; '.join(gate.detail for gate in measured[-1].failed_gates)}",
                f"Mend that, then `bench resume {folder}`.",
            )


def _measure_life(bed: Bed, record: RunRecord, life: list[Slot], folder: Path) -> list[Measured]:
    """A slot by itself, or a set that takes turns."""
    condition = conditions(record.scenario)[life[0].condition]
    if life[0].life is None:
        return [measure_slot(bed, life[0], condition, folder)]
    return measure_set(
        bed, life, condition, turns(record.scenario, record.seed, record.planned, life), folder
    )


def _expected_seconds(record: RunRecord, blocks: range) -> float:
    """Of the slots of `blocks` that remain."""
    settings, interleave = conditions(record.scenario), record.scenario.schedule.interleave
    return sum(
        slot_seconds(settings[slot.condition], interleave)
        for slot in record.remaining()
        if slot.block in blocks
    )


def _add(record: RunRecord, found: list[Measured]) -> RunRecord:
    """The record with what was measured."""
    settings = conditions(record.scenario)
    for measured, facts in found:
        surroundings = {measured.surroundings: facts} if measured.surroundings else {}
        record = record.model_copy(
            update={
                "slots": tuple(sorted((*record.slots, measured), key=lambda slot: slot.slot.index)),
                "surroundings": {**record.surroundings, **surroundings},
                "warnings": _warnings(record, measured, settings[measured.slot.condition]),
            }
        )
    return record


def _is_precise(record: RunRecord) -> bool:
    """Whether the precision that was asked for is reached; never where none was."""
    if record.precision is None:
        return False
    metrics = [slot.metrics() for slot in record.slots]
    return is_reached(record.scenario, metrics, record.precision, list(record.unavailable))


def _expected_blocks(record: RunRecord) -> int:
    """Blocks that the run will probably have: its plan's, or fewer where a precision ends it."""
    planned = record.planned[-1].block + 1
    if record.precision is None:
        return planned
    metrics = [slot.metrics() for slot in record.slots]
    return min(planned, predict_blocks(record.scenario, metrics, record.precision) or planned)


def _warnings(record: RunRecord, measured: SlotRecord, condition: Condition) -> tuple[str, ...]:
    found = list(record.warnings)
    if condition.lab.hold_idle_states and measured.evidence.get("idle states") == "free":
        found.append(
            "Idle states could not be held (/dev/cpu_dma_latency): latency includes cores waking up,"
            " and is noisier."
        )
    return tuple(dict.fromkeys(found))
