"""Runs a scenario: composes lab, engine, image, load and store, slot by slot, and judges the result."""

import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import bench
from bench.errors import ExitCode, InputError
from bench.judgement.comparison import Compared, Word
from bench.judgement.precision import extend
from bench.lab.hosts import command, machine, requirements
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.instruments.idle_states import IdleStates
from bench.lab.servers.own_image import Own
from bench.measure import provision, recording
from bench.measure.bed_description import describe_bed
from bench.measure.health import Health
from bench.measure.interleaving import measure_set
from bench.measure.measured import Measured, is_enough
from bench.measure.progress import Watch
from bench.measure.real_testbed import require_possible
from bench.measure.slot import Found, measure_slot
from bench.measure.starting import measure_start
from bench.measure.testbed import Bed
from bench.records.environment import MachineFacts
from bench.records.run import SCHEMA_VERSION, RunRecord, SlotRecord, Status
from bench.records.suite import ENDED
from bench.results import files, store
from bench.results.derived import write_results
from bench.results.run import Run, load
from bench.results.verification import find_faults
from bench.scenario.conditions import Condition, conditions
from bench.scenario.hosts import HostsFile
from bench.scenario.plan import Slot, digest_plan, lives, plan_slots, publishes, slot_seconds, turns
from bench.scenario.scenario import Scenario
from bench.walkthrough.walk import walk, write_walkthrough


@dataclass(frozen=True)
class Wanted:
    """What a run is asked for."""

    scenario: Scenario
    seed: int
    budget_s: float | None = None
    """Begin no block that would end later."""
    precision: float | None = None
    """End once every p50 ratio is known to this, a fraction."""
    decide: bool = False
    """End once every p50 ratio is told to be beyond its margin or inside it."""
    hosts: HostsFile | None = None
    """Machines to measure on; None: in the lab."""
    sources: Path | None = None
    """The scenario's own folder: where its images and files are, of a service of a person's own."""


def begin_run(wanted: Wanted, results: Path, watch: Watch) -> Run:
    """Register a run below `results` before there is data, and measure it.

    Returns it, once it is complete, as precise as was asked, or its budget spent. Interrupted or failed,
    run.json says so, what was measured has its report, and the exception goes on.
    """
    scenario = wanted.scenario
    if scenario.capacity is not None:
        raise InputError(
            f"Running {scenario.name}",
            "it has a table [capacity]: its rates are not given, but found",
            f"`bench capacity {scenario.name}` finds them.",
        )
    if wanted.hosts:
        require_possible(scenario)
    else:
        requirements.require_all(scenario)
    provision.require_sources(scenario, wanted.sources)  # What is missing is told before anything is begun.
    run_id = recording.new_id()
    with machine_lock(f"bench run {run_id} ({scenario.name})"):
        return begin_locked(run_id, wanted, results, watch)


def begin_locked(run_id: str, wanted: Wanted, results: Path, watch: Watch) -> Run:
    """`begin_run` for who holds the machine's lock, as a run of a name that is known beforehand."""
    scenario, is_real = wanted.scenario, wanted.hosts is not None
    # Of real hosts nothing is known before they are reached, and no calibration is of them.
    here = MachineFacts() if is_real else machine.describe_machine()
    calibration = None if is_real else store.read_calibration()
    grows = wanted.decide or wanted.precision is not None
    planned = plan_slots(extend(scenario) if grows else scenario, wanted.seed)
    record = RunRecord(
        schema_version=SCHEMA_VERSION,
        id=run_id,
        bench_version=bench.__version__,
        status=Status.RUNNING,
        started_at=recording.say_time(),
        scenario=scenario,
        seed=wanted.seed,
        budget_s=wanted.budget_s,
        precision=wanted.precision,
        decide=wanted.decide,
        planned=planned,
        plan_sha256=digest_plan(scenario, wanted.seed, planned),
        machine=here,
        calibration=calibration if calibration and calibration.is_of(here) else None,
        tools={} if is_real else machine.tool_versions(command.run),
        lab={},
        engines={},
        image={},
        on_real_hosts=is_real,
    )
    folder = files.create_run_folder(results, scenario.name, run_id)
    provision.keep(scenario, wanted.sources, folder / files.INPUTS_FOLDER)
    store.write_run(folder, record)
    watch.progress.stage(f"plan: {len(planned)} slots, seed {wanted.seed}, SHA-256 {record.plan_sha256}")
    return _execute(folder, record, watch, wanted.hosts, wanted.sources)


def resume_run(folder: Path, watch: Watch, hosts: HostsFile | None = None) -> Run:
    """Measure what remains of the run in `folder`, in its planned order and without a budget.

    Slots that could not be measured (an engine died, a disk was full) are tried again. One that died with
    all of its slots measured is finished.
    """
    record = store.read_run(folder)
    if _remains(_without_unmeasured(record)) and not hosts:
        requirements.require_all(record.scenario)
    with machine_lock(f"bench resume {record.id} ({record.scenario.name})"):
        return resume_locked(folder, watch, hosts)


def require_same_place(doing: str, on_real_hosts: bool, hosts: HostsFile | None) -> None:
    """Raise InputError where what was begun in the lab would go on on real hosts, or the other way round."""
    if on_real_hosts is (hosts is not None):
        return
    seen, advice = "it was begun in the lab", "Leave --hosts out."
    if on_real_hosts:
        seen, advice = "it was begun on real hosts", "Give their file again: --hosts FILE."
    raise InputError(doing, seen, advice)


def resume_locked(folder: Path, watch: Watch, hosts: HostsFile | None = None) -> Run:
    """`resume_run` for who holds the machine's lock."""
    stored = store.read_run(folder)
    doing = f"Resuming the run {stored.id}"
    record = _without_unmeasured(stored)
    remains = _remains(record)
    if not remains and stored.status in ENDED:
        raise recording.refuse_ended(doing, f"it has ended ({stored.status})", folder)
    recording.require_unchanged(doing, tuple(find_faults(folder, stored)))
    if remains:
        require_same_place(doing, record.on_real_hosts, hosts)
    if remains and not hosts:
        recording.require_same_machine(doing, record.machine)
    files.remove_partials(folder)
    return _execute(folder, record.model_copy(update={"budget_s": None}), watch, hosts)


def exit_code_of(run: Run) -> ExitCode:
    """Done where the run has a comparison of arms that can be used."""
    compared = [found for found in run.verdict.comparisons if found.kind is Compared.ARMS]
    usable = any(comparison.word is not Word.INVALID for comparison in compared)
    return ExitCode.DONE if usable else ExitCode.INVALID_MEASUREMENT


def _execute(
    folder: Path,
    record: RunRecord,
    watch: Watch,
    hosts: HostsFile | None = None,
    sources: Path | None = None,
) -> Run:
    """Measure the slots that remain; every one is on the disk before the next begins."""
    measured = Measured(folder, record)
    ended: list[Run] = []

    def finish(status: Status, finished_at: str) -> None:
        changes = {"status": status, "finished_at": finished_at}
        store.finish_run(folder, measured.whole().model_copy(update=changes))
        watch.progress.stage("report")
        ended.append(load(folder))
        write_results(ended[-1], watch.publish)

    with recording.recording(finish) as ending:
        measured.reopen(record)
        undo_dead_runs()
        if _remains(record):
            if not hosts:  # Its statements are tried in the lab.
                _walk_through(folder, record, watch)
            own = _find_own(folder, record, sources)
            bed_of_run = recording.lay_bed(
                record.scenario, record.id, watch.progress, watch.web_ui_port, hosts, own
            )
            with bed_of_run as bed:
                measured.reopen(describe_bed(measured.record, bed))
                watch.progress.stage("slots")
                _measure(bed, measured, watch)
                bed.generator.write_report(folder / "locust.html")
        ending.status = _status_of(measured.whole())
    return ended[-1]


def _find_own(folder: Path, record: RunRecord, sources: Path | None) -> Own:
    """Where a person's own things are; of a run that goes on, the very images that it began with."""
    scenario = record.scenario
    containers = {scenario.served.source: record.image.id}
    for companion in scenario.companions:
        if companion.name in record.companion_images:
            containers[companion.source] = record.companion_images[companion.name].id
    known = {source: identity for source, identity in containers.items() if identity}
    return Own(folder / files.INPUTS_FOLDER, sources, known)


def _status_of(record: RunRecord) -> Status:
    """How a run ended that came to an end of its own."""
    if not record.remaining():
        return Status.COMPLETE
    if not is_enough(record):
        return Status.BUDGET_SPENT
    return Status.DECIDED if record.decide else Status.PRECISE


def _without_unmeasured(record: RunRecord) -> RunRecord:
    return record.model_copy(update={"slots": record.kept()})


def _remains(record: RunRecord) -> bool:
    return bool(record.remaining()) and not is_enough(record)


def _walk_through(folder: Path, record: RunRecord, watch: Watch) -> None:
    if record.scenario.walkthrough and not (folder / files.WALKTHROUGH_FILE).exists():
        engines = [condition.lab.engine for condition in conditions(record.scenario)]
        write_walkthrough(folder, walk(engines, watch.progress.stage))


def _measure(bed: Bed, measured: Measured, watch: Watch) -> None:
    """Measure a block after the other, until none remains, the precision is reached or the budget spent.

    What looks at all slots is done once a block; nothing that is done for a slot grows with their number.
    """
    record = measured.record
    settings, interleave = conditions(record.scenario), record.scenario.schedule.interleave
    blocks = [(block, list(slots)) for block, slots in groupby(record.remaining(), lambda slot: slot.block)]
    lasting_s = {
        block: sum(
            slot_seconds(settings[slot.condition], interleave, publishes=publishes(record.scenario, slot))
            for slot in slots
        )
        for block, slots in blocks
    }
    begun = time.monotonic()
    health = Health(record.id, measured.folder)
    session: int | None = None
    for block, slots in blocks:
        spent_s = time.monotonic() - begun
        if record.budget_s and spent_s + lasting_s[block] > record.budget_s and measured.slots:
            return  # Only whole blocks are comparable, so a block that does not fit is not begun.
        if measured.is_enough():
            return
        last = measured.expected_blocks()
        left_s = sum(s for other, s in lasting_s.items() if block <= other < max(last, block + 1))
        for life in lives(slots):
            if session not in (None, life[0].session):
                watch.progress.stage(f"engine: restarted for session {life[0].session + 1}")
                bed.restart_engines()
            session = life[0].session
            found = _measure_life(bed, record, life, measured.folder)
            for line in bed.revive():
                watch.progress.stage(line)
            for slot, facts in found:
                condition = settings[slot.slot.condition]
                measured.add(slot, facts, _warn(slot, condition))
                left_s -= slot_seconds(condition, interleave, publishes=publishes(record.scenario, slot.slot))
                within_s = record.budget_s - (time.monotonic() - begun) if record.budget_s else left_s
                done, planned = len(measured.slots), len(record.planned)
                watch.progress.slot(slot, done, planned, max(min(left_s, within_s), 0))
            health.check([slot for slot, _ in found])


def _measure_life(bed: Bed, record: RunRecord, life: list[Slot], folder: Path) -> list[Found]:
    """A slot by itself, or a set that takes turns."""
    condition = conditions(record.scenario)[life[0].condition]
    if life[0].life is None:
        is_reachable = record.scenario.network(record.scenario.arm(life[0].arm)).reachable
        if condition.load.is_start and is_reachable:
            return [measure_start(bed, life[0], condition)]
        return [measure_slot(bed, life[0], condition, folder)]
    cells = turns(record.scenario, record.seed, record.planned, life)
    return measure_set(bed, life, condition, cells, folder)


def _warn(slot: SlotRecord, condition: Condition) -> list[str]:
    """What a slot tells of the whole run."""
    if condition.lab.hold_idle_states and slot.evidence.get("idle states") == IdleStates.FREE:
        why = "nothing heeds /dev/cpu_dma_latency, or it cannot be written, and no loop can stand in"
        if condition.load.measures_cpu:
            why = "nothing heeds /dev/cpu_dma_latency, and where CPU is measured no loop may stand in"
        return [f"Idle states could not be held ({why}): latency includes cores waking up, and is noisier."]
    return []
