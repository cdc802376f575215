"""Runs the scenarios of a suite one after another; one that fails does not lose the others."""

import secrets
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.errors import BenchError, ExitCode, Interrupted, explain_scarcity
from bench.lab.hosts import requirements
from bench.lab.hosts.lock import machine_lock
from bench.measure import recording
from bench.measure.budget import divide_budget
from bench.measure.progress import Progress, Watch
from bench.measure.real_testbed import require_possible
from bench.measure.run import Wanted, begin_locked, exit_code_of, require_same_place, resume_locked
from bench.records.run import Status
from bench.records.suite import ENDED, SUITE_SCHEMA_VERSION, Entry, SuiteRecord
from bench.results import files, store, sums
from bench.results.derived import write_results
from bench.results.run import Run, load
from bench.scenario.hosts import HostsFile
from bench.scenario.plan import expected_seconds, plan_slots
from bench.scenario.scenario import Scenario
from bench.scenario.suite import Asked


@dataclass(frozen=True)
class Watcher:
    """Who looks on, and what becomes of each run and of the suite."""

    say: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Progress]]
    """Entered once a run."""
    ended: Callable[[Entry, Run | None], None]
    """Told of every run that ends, judged; None where it did not come so far."""
    publish: Callable[[Run], None]
    """As a `Watch`'s, of each run."""
    publish_index: Callable[[Path, SuiteRecord, Run | None], None]
    """Writes what a person reads of the suite into its folder, after every step; given the run that the
    step ended, if it did."""
    web_ui_port: int | None = None
    hosts: HostsFile | None = None
    """Machines to measure on; None: in the lab."""


def begin_suite(
    asked: Asked,
    seed: int | None,
    budget_s: float | None,
    precision: float | None,
    results: Path,
    watcher: Watcher,
) -> Path:
    """Register a suite of `asked` below `results` before there is data, and run it.

    Every scenario takes `seed` where one is given, and draws its own otherwise. Returns the suite's
    folder once no scenario is left to begin; `suite.json` says how each ended. Interrupted, the
    index tells what there is, and the exception goes on.
    """
    scenarios = [scenario for _, scenario in asked.scenarios]
    shares = divide_budget(scenarios, budget_s) if budget_s else [None] * len(scenarios)
    _require(scenarios, watcher.hosts)
    record = SuiteRecord(
        schema_version=SUITE_SCHEMA_VERSION,
        id=recording.new_id(),
        bench_version=bench.__version__,
        name=asked.name,
        question=asked.question,
        status=Status.RUNNING,
        started_at=recording.say_time(),
        budget_s=budget_s,
        precision=precision,
        on_real_hosts=watcher.hosts is not None,
        entries=tuple(
            Entry(
                source=source,
                scenario=scenario,
                seed=secrets.randbelow(2**31) if seed is None else seed,
                budget_s=share_s,
            )
            for (source, scenario), share_s in zip(asked.scenarios, shares, strict=True)
        ),
    )
    with machine_lock(f"bench run, suite {record.id} ({record.name})"):
        folder = store.create_suite_folder(results, record.id)
        store.write_suite(folder, record)
        _run_entries(folder, record, watcher)
    return folder


def resume_suite(folder: Path, watcher: Watcher) -> None:
    """Go on with the suite in `folder`: the interrupted run, those that failed, those not begun."""
    record = store.read_suite(folder)
    remains = not all(entry.has_ended for entry in record.entries)
    if not remains and record.status is Status.COMPLETE:
        raise recording.refuse_ended(f"Resuming the suite {record.id}", "all of its runs have ended", folder)
    if remains:
        require_same_place(f"Resuming the suite {record.id}", record.on_real_hosts, watcher.hosts)
        _require([entry.scenario for entry in record.entries if not entry.has_ended], watcher.hosts)
    with machine_lock(f"bench resume, suite {record.id} ({record.name})"):
        _run_entries(folder, record, watcher)


def _require(scenarios: Sequence[Scenario], hosts: HostsFile | None) -> None:
    """Raise EnvironmentLacks where what is to be measured cannot be, there or here."""
    if not hosts:
        requirements.require_all(*scenarios)
    for scenario in scenarios if hosts else ():
        require_possible(scenario)


def _run_entries(folder: Path, record: SuiteRecord, watcher: Watcher) -> None:
    """Run each entry that has not ended; suite.json and the index follow every step."""
    record = record.model_copy(update={"status": Status.RUNNING, "finished_at": None})
    store.write_suite(folder, record)

    def write(changed: SuiteRecord, run: Run | None = None) -> None:
        nonlocal record
        record = changed
        store.write_suite(folder, record)
        watcher.publish_index(folder, record, run)

    def finish(status: Status, finished_at: str) -> None:
        if status is Status.INTERRUPTED:
            watcher.say(f"`bench resume {folder}` goes on with the suite.")
        ended = record.model_copy(update={"status": status, "finished_at": finished_at})
        store.finish_suite(folder, ended)
        watcher.publish_index(folder, ended, None)
        sums.write_sums(folder)

    with recording.recording(finish) as ending:
        for index, entry in enumerate(record.entries):
            if entry.has_ended:
                continue
            watcher.say(f"[{index + 1}/{len(record.entries)}] {_announce(entry)}")
            begun = _begin_entry(folder, entry)
            write(record.with_entry(index, begun))
            try:
                ended, run = _run_entry(folder, begun, record.precision, watcher)
            except Interrupted:
                record = record.with_entry(index, begun.model_copy(update={"status": Status.INTERRUPTED}))
                raise
            write(record.with_entry(index, ended), run)
            watcher.ended(ended, run)
        if all(entry.has_ended for entry in record.entries):
            ending.status = Status.COMPLETE


def _announce(entry: Entry) -> str:
    scenario = entry.scenario
    expected_s = expected_seconds(scenario, plan_slots(scenario, entry.seed))
    lasting = f"about {expected_s / 60:.1f} minutes" if not entry.run else "goes on"
    return f"{scenario.name}: {scenario.question} ({lasting})"


def _begin_entry(folder: Path, entry: Entry) -> Entry:
    """The entry as one that runs; its run is known to the suite before it exists: no kill makes an orphan."""
    begun = entry.model_copy(update={"status": Status.RUNNING, "exit_code": None, "fault": ""})
    if entry.run and (folder / entry.run / files.RUN_FILE).exists():
        return begun
    return begun.model_copy(update={"run": f"../../{entry.scenario.name}/{recording.new_id()}"})


def _run_entry(
    folder: Path, entry: Entry, precision: float | None, watcher: Watcher
) -> tuple[Entry, Run | None]:
    """Begin or go on with one run; whatever goes wrong is told in the entry that is returned."""
    assert entry.run is not None
    # As the shell would write it, and not by way of the suite's own folder.
    place = folder.parents[1] / Path(entry.run).relative_to("../..")
    run, fault, code = None, "", ExitCode.DONE
    try:
        run = _measure(place, entry, precision, watcher)
        code = exit_code_of(run)
    except BenchError as known:
        fault, code = str(known), known.exit_code
    except MemoryError:  # The other scenarios want some too.
        raise
    except Exception as bug:  # noqa: BLE001 - the other scenarios are not to be lost to it
        if lack := explain_scarcity(bug):
            fault, code = str(lack), lack.exit_code
        else:
            watcher.say(traceback.format_exc())
            fault, code = f"A bug of bench: {bug!r}. Please report it.", ExitCode.INTERNAL_ERROR
    status = run.record.status if run else _status_of(place)
    return entry.model_copy(update={"status": status, "exit_code": code, "fault": fault}), run


def _status_of(place: Path) -> Status:
    """How far a run came that did not come to its end."""
    try:
        stored = store.read_run(place).status
    except BenchError:
        return Status.FAILED
    # It does not run any more: of what stopped it no word could be written, as on a full disk.
    return Status.FAILED if stored is Status.RUNNING else stored


def _measure(place: Path, entry: Entry, precision: float | None, watcher: Watcher) -> Run:
    with watcher.progress() as progress:
        watch = Watch(progress, watcher.publish, watcher.web_ui_port)
        if not (place / files.RUN_FILE).exists():
            sources = Path(entry.source).parent
            wanted = Wanted(
                entry.scenario, entry.seed, entry.budget_s, precision, hosts=watcher.hosts, sources=sources
            )
            return begin_locked(place.name, wanted, place.parents[1], watch)
        if store.read_run(place).status in ENDED:
            # Killed after its last slot, or resumed by itself in the meantime.
            run = load(place)
            write_results(run, watcher.publish)
            return run
        return resume_locked(place, watch, watcher.hosts)
