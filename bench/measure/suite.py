"""Runs the scenarios of a suite one after another; one that fails does not lose the others."""

import secrets
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import bench
from bench.errors import BenchError, ExitCode, InputError, Interrupted
from bench.lab.hosts import requirements
from bench.lab.hosts.lock import machine_lock
from bench.measure.budget import divide_budget
from bench.measure.progress import Progress
from bench.measure.run import begin_locked, exit_code_of, resume_locked, write_results
from bench.records.run import Status
from bench.records.suite import ENDED, SUITE_SCHEMA_VERSION, Entry, SuiteRecord
from bench.report.pages.suite import write_index
from bench.results import files, store
from bench.scenario.plan import expected_seconds, plan_slots
from bench.scenario.suite import Asked


@dataclass(frozen=True)
class Watcher:
    """Who looks on: `progress` is entered once a run, and `ended` is told of every run that ends."""

    say: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Progress]]
    ended: Callable[[Path, Entry], None]
    web_ui_port: int | None = None


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
    requirements.require_all(*scenarios)
    now = datetime.now(UTC)
    record = SuiteRecord(
        schema_version=SUITE_SCHEMA_VERSION,
        id=files.new_run_id(now),
        bench_version=bench.__version__,
        name=asked.name,
        question=asked.question,
        status=Status.RUNNING,
        started_at=now.isoformat(timespec="seconds"),
        budget_s=budget_s,
        precision=precision,
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
    if all(entry.has_ended for entry in record.entries):
        raise InputError(
            f"Resuming the suite {record.id}",
            "all of its runs have ended",
            f"`bench report {folder}` writes its index.",
        )
    requirements.require_all(*(entry.scenario for entry in record.entries if not entry.has_ended))
    with machine_lock(f"bench resume, suite {record.id} ({record.name})"):
        _run_entries(folder, record, watcher)


def _run_entries(folder: Path, record: SuiteRecord, watcher: Watcher) -> None:
    """Run each entry that has not ended; suite.json and the index follow every step."""
    status = Status.FAILED
    record = record.model_copy(update={"status": Status.RUNNING, "finished_at": None})
    try:
        for index, entry in enumerate(record.entries):
            if entry.has_ended:
                continue
            scenario = entry.scenario
            expected_s = expected_seconds(scenario, plan_slots(scenario, entry.seed))
            minutes = f"about {expected_s / 60:.1f} minutes" if not entry.run else "goes on"
            watcher.say(
                f"[{index + 1}/{len(record.entries)}] {scenario.name}: {scenario.question} ({minutes})"
            )
            begun = entry.model_copy(update={"status": Status.RUNNING, "exit_code": None, "fault": ""})
            if not entry.run or not (folder / entry.run / files.RUN_FILE).exists():
                # Known to the suite before it exists, so that no kill can make an orphan of it.
                run_id = files.new_run_id(datetime.now(UTC))
                begun = begun.model_copy(update={"run": f"../../{scenario.name}/{run_id}"})
            record = record.with_entry(index, begun)
            _write(folder, record)
            try:
                ended = _run_entry(folder, begun, record.precision, watcher)
            except Interrupted:
                record = record.with_entry(index, begun.model_copy(update={"status": Status.INTERRUPTED}))
                raise
            record = record.with_entry(index, ended)
            _write(folder, record)
            watcher.ended(folder, ended)
        if all(entry.has_ended for entry in record.entries):
            status = Status.COMPLETE
    except Interrupted:
        status = Status.INTERRUPTED
        watcher.say(f"`bench resume {folder}` goes on with the suite.")
        raise
    finally:
        finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        _write(folder, record.model_copy(update={"status": status, "finished_at": finished_at}))


def _run_entry(folder: Path, entry: Entry, precision: float | None, watcher: Watcher) -> Entry:
    """Begin or go on with one run; whatever goes wrong is told in the entry that is returned."""
    assert entry.run is not None
    # As the shell would write it, and not by way of the suite's own folder.
    run = folder.parents[1] / Path(entry.run).relative_to("../..")
    fault, code = "", ExitCode.DONE
    try:
        _measure(run, entry, precision, watcher)
        code = exit_code_of(run)
    except BenchError as known:
        fault, code = str(known), known.exit_code
    except Exception as bug:  # noqa: BLE001 - the other scenarios are not to be lost to it
        watcher.say(traceback.format_exc())
        fault, code = f"A bug of bench: {bug!r}. Please report it.", ExitCode.INTERNAL_ERROR
    has_run = (run / files.RUN_FILE).exists()
    status = store.read_run(run).status if has_run else Status.FAILED
    return entry.model_copy(update={"status": status, "exit_code": code, "fault": fault})


def _measure(run: Path, entry: Entry, precision: float | None, watcher: Watcher) -> None:
    with watcher.progress() as progress:
        if not (run / files.RUN_FILE).exists():
            begin_locked(
                run.name,
                entry.scenario,
                entry.seed,
                entry.budget_s,
                run.parents[1],
                progress,
                watcher.web_ui_port,
                precision,
            )
        elif store.read_run(run).status in ENDED:
            write_results(run)  # Killed after its last slot, or resumed by itself in the meantime.
        else:
            resume_locked(run, progress, watcher.web_ui_port)


def _write(folder: Path, record: SuiteRecord) -> None:
    store.write_suite(folder, record)
    write_index(record, folder)
    store.write_sums(folder)
