"""Measures a scenario's capacity: each arm's knee, what bounds it, and all arms at equal service."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

import bench
from bench.errors import BenchError, EnvironmentLacks, InputError, Interrupted, MeasurementInvalid
from bench.generator.client import GeneratorDied, LoadResult
from bench.generator.wrk import measure_with_wrk
from bench.judgement.capacity.bound import name_workload, plan_comparisons
from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import (
    NULL_SERVER,
    PROBE_S,
    SCHEMA_VERSION,
    CapacityRecord,
    Probe,
    SecondWorker,
    Step,
    WrkReading,
)
from bench.judgement.capacity.search import judge_probe, next_step
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.host import parse_cpus
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.null_server import null_server
from bench.lab.servers.server import Apache
from bench.measure.availability import find_gaps
from bench.measure.progress import Progress
from bench.measure.run import begin_run
from bench.measure.settings import hold_idle_states
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed, prepare_bed
from bench.paths import CACHE
from bench.records.run import SlotRecord, Status
from bench.report.pages.capacity import write_capacity_report
from bench.results import files, store
from bench.scenario.conditions import Condition
from bench.scenario.metric import Metric
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.gates.gate import GateKind
from bench.slots.metrics import RequestMetrics, measure_requests

SECOND_WORKER_S = 3
"""Window of the generator, and time of wrk beside it."""
MAX_FAILED_IN_A_ROW = 4
"""Steps that fail, one after another, before the run gives up: a dead engine does not heal."""


def begin_capacity(scenario: Scenario, seed: int, results: Path, progress: Progress) -> Path:
    """Measure the capacity of `scenario` into a folder below `results`; returns the folder.

    Every probe is stored before the next begins. Interrupted or failed, capacity.json says so, what was
    measured has its report, and the exception goes on.
    """
    if scenario.capacity is None:
        raise InputError(
            f"Measuring the capacity of {scenario.name}",
            "the scenario has no table [capacity]",
            "Add one, as scenarios/capacity.toml has it; docs/scenarios.md says what it may hold.",
        )
    requirements.require_all(scenario)
    now = datetime.now(UTC)
    record = CapacityRecord(
        schema_version=SCHEMA_VERSION,
        id=files.new_run_id(now),
        bench_version=bench.__version__,
        status=Status.RUNNING,
        started_at=now.isoformat(timespec="seconds"),
        scenario=scenario,
        seed=seed,
        machine=machine.describe_machine(),
        tools=machine.tool_versions(),
    )
    with machine_lock(f"bench capacity {record.id} ({scenario.name})"):
        folder = files.create_run_folder(results, scenario.name, record.id)
        store.write_capacity(folder, record)
    _execute(folder, record, progress)
    return folder


def resume_capacity(folder: Path, progress: Progress) -> None:
    """Go on with the capacity measurement in `folder` where it stopped."""
    record = store.read_capacity(folder)
    requirements.require_all(record.scenario)
    if record.status is Status.COMPLETE:
        raise InputError(
            f"Resuming the capacity measurement {record.id}",
            "it is complete",
            f"`bench report {folder}` writes its report.",
        )
    here = machine.describe_machine()
    if changed := record.machine.differing(here):
        raise EnvironmentLacks(
            f"Resuming the capacity measurement {record.id}",
            f"this machine's {', '.join(changed)} is another than the one that it was begun on",
            "Begin a new one: probes of different machines cannot be compared.",
        )
    _execute(folder, record, progress)


def write_capacity_results(folder: Path) -> None:
    """Write all that follows from capacity.json: report and sums."""
    write_capacity_report(store.read_capacity(folder), folder)
    store.write_sums(folder)


def _execute(folder: Path, record: CapacityRecord, progress: Progress) -> None:
    status = Status.FAILED
    try:
        if next_step(record):
            with machine_lock(f"bench capacity {record.id} ({record.scenario.name})"):
                undo_dead_runs()
                with prepare_bed(record.scenario, record.id, progress.stage) as bed:
                    progress.stage("modes: each arm is tried")
                    record = _describe_bed(record, bed)
                    for measured in _measure(bed, record, folder, progress):
                        record = measured
                        store.write_capacity(folder, record)
        for scenario in plan_comparisons(record):
            if scenario.name not in record.comparisons:
                rates = ", ".join(f"{rate:,.0f}" for rate in scenario.factors["load.rate_rps"])
                progress.stage(f"equal service: {scenario.name}, all arms at {rates} requests/s")
                results = folder.parent.parent
                compared = begin_run(scenario, record.seed, None, results, progress)
                comparisons = {**record.comparisons, scenario.name: str(compared.relative_to(results))}
                record = record.model_copy(update={"comparisons": comparisons})
                store.write_capacity(folder, record)
        status = Status.COMPLETE
    except Interrupted:
        status = Status.INTERRUPTED
        raise
    finally:
        finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        record = record.model_copy(update={"status": status, "finished_at": finished_at})
        store.write_capacity(folder, record)
        write_capacity_results(folder)


def _describe_bed(record: CapacityRecord, bed: Bed) -> CapacityRecord:
    if record.image.id not in (None, bed.image.id):
        raise EnvironmentLacks(
            f"Resuming the capacity measurement {record.id}",
            f"it ran the image {record.image.id}, and this machine now has {bed.image.id}",
            "Begin a new one: probes of different images cannot be compared.",
        )
    gaps = find_gaps(bed)
    return record.model_copy(
        update={
            "lab": bed.lab.describe(),
            "engines": {name: living.describe() for name, living in bed.engines.items()},
            "image": bed.image.describe(),
            "unavailable": gaps.arms,
        }
    )


def _measure(bed: Bed, record: CapacityRecord, folder: Path, progress: Progress) -> Iterator[CapacityRecord]:
    """Yield the record anew after each step, until there is none."""
    failed_in_a_row = 0
    while step := next_step(record):
        if step.kind == "wrk":
            reading = _read_wrk(bed, record.scenario, step)
            record = record.model_copy(update={"wrk": (*record.wrk, reading)})
            said, failed = reading.reason or f"{reading.throughput_rps:,.0f}/s", bool(reading.reason)
        elif step.kind == "second worker":
            pair = _try_second_worker(bed, record, step)
            record = record.model_copy(update={"second_workers": (*record.second_workers, pair)})
            said, failed = pair.reason or f"{pair.added_share:+.1%}", bool(pair.reason)
        else:
            probe = _probe(bed, record, step, folder)
            record = record.model_copy(update={"probes": (*record.probes, probe)})
            said = "; ".join([probe.outcome, *probe.reasons])
            failed = probe.achieved_share is None
        yield record
        progress.stage(f"{_describe(step)}: {said}")
        bed.revive_engines()
        failed_in_a_row = failed_in_a_row + 1 if failed else 0
        if failed_in_a_row == MAX_FAILED_IN_A_ROW:
            raise MeasurementInvalid(
                f"Measuring the capacity of {record.scenario.name}",
                f"{failed_in_a_row} steps in a row could not be measured, the last because of {said}",
                f"Mend that, then `bench resume {folder}`.",
            )


def _describe(step: Step) -> str:
    what = f"{step.kind}: {step.workload.arm}, {name_workload(step.workload.keep_alive)}"
    return f"{what}, {step.rate_rps:,.0f}/s" if step.rate_rps else what


def _condition(scenario: Scenario, step: Step, measure_s: float = PROBE_S) -> Condition:
    changes = {
        "keep_alive": step.workload.keep_alive,
        "rate_rps": step.rate_rps or None,
        "measure_s": measure_s,
    }
    return Condition(label="", load=scenario.load.model_copy(update=changes), lab=scenario.lab)


def _probe(bed: Bed, record: CapacityRecord, step: Step, folder: Path) -> Probe:
    number = len(record.probes)
    probe = Probe(
        arm=step.workload.arm,
        keep_alive=step.workload.keep_alive,
        rate_rps=step.rate_rps,
        confirming=step.kind == "confirm",
        outcome=Outcome.VOID,
    )
    condition = _condition(record.scenario, step)
    # The same arrivals for all arms in one repeat: a sequence that is unlucky is so for all.
    seed = record.seed * 1_000 + step.repeat
    if step.workload.arm == NULL_SERVER:
        try:
            result, metrics = _load_null_server(bed, condition, seed)
        except GeneratorDied:
            raise
        except BenchError as fault:
            return probe.model_copy(update={"reasons": (str(fault),)})
        changes: dict[str, object] = {
            **_shares(metrics),
            "generator_busy": result.cpu_share,
            "server_busy": _server_busy(bed, result.core_busy),
        }
        return judge_probe(
            probe.model_copy(update=changes),
            {GateKind.PORTS_FOUND: f"{result.without_port}"} if result.without_port else {},
            metrics.lateness_p99_us,
            record.settings,
        )
    slot = Slot(
        index=number,
        session=0,
        block=0,
        arm=step.workload.arm,
        condition=0,
        repeat=step.repeat,
        arrival_seed=seed,
    )
    measured, _ = measure_slot(bed, slot, condition, folder)
    changes = {
        **_shares_of_slot(measured),
        "generator_busy": measured.generator_busy,
        "server_busy": _server_busy(bed, measured.core_busy),
        "slot": measured,
    }
    return judge_probe(
        probe.model_copy(update=changes),
        {gate.name: f"{gate.seen} {gate.detail}".strip() for gate in measured.failed_gates},
        measured.lateness_p99_us,
        record.settings,
    )


def _shares(metrics: RequestMetrics) -> dict[str, float | None]:
    """What a probe says of its requests."""
    if not metrics.achieved_share:
        return {}
    return {
        "achieved_share": metrics.achieved_share,
        "error_share": (metrics.errors + metrics.unfinished) / metrics.requests,
        "p99_ms": metrics.values[Metric.P99_LATENCY_US] / 1e3,
    }


def _shares_of_slot(slot: SlotRecord) -> dict[str, float | None]:
    if slot.p99_latency_us is None or not slot.requests:
        return {}
    return {
        "achieved_share": slot.achieved_share,
        "error_share": (slot.errors + slot.unfinished) / slot.requests,
        "p99_ms": slot.p99_latency_us / 1e3,
    }


def _server_busy(bed: Bed, core_busy: Mapping[int, float]) -> float | None:
    """Mean busy share of the Docker hosts' cores."""
    cores = parse_cpus(next(iter(bed.lab.docker.values())).cpus)
    shares = [core_busy[core] for core in cores if core in core_busy]
    return sum(shares) / len(shares) if shares else None


def _load_null_server(bed: Bed, condition: Condition, seed: int) -> tuple[LoadResult, RequestMetrics]:
    host = next(iter(bed.lab.docker.values()))
    bed.arrange(condition.lab)
    with (
        null_server(host, CACHE) as endpoint,
        hold_idle_states(condition.lab.hold_idle_states),
    ):
        if bed.generator.first_200_ns(endpoint, "/") is None:
            raise MeasurementInvalid("Starting the null server", "no answer came", "Try again.")
        result = bed.generator.load(condition.load, endpoint, NULL_SERVER, seed)
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, condition.load)
    return result, metrics


@contextmanager
def _served(bed: Bed, scenario: Scenario, step: Step, condition: Condition) -> Iterator[Apache]:
    """An arm's fresh container that answers, with the cores held awake as in a slot."""
    arm = scenario.arm(step.workload.arm)
    bed.arrange(condition.lab)
    with (
        hold_idle_states(condition.lab.hold_idle_states),
        bed.serve(arm, condition, f"bench-{step.kind.replace(' ', '-')}-{arm.name}") as server,
    ):
        if bed.generator.first_200_ns(server.endpoint, f"/{condition.load.page_bytes}") is None:
            raise MeasurementInvalid(
                f"Waiting for {arm.name}", f"no answer came; {server.last_words()}", "See Apache's messages."
            )
        yield server


def _read_wrk(bed: Bed, scenario: Scenario, step: Step) -> WrkReading:
    condition, settings = _condition(scenario, step), scenario.capacity
    assert settings
    arm, kept = step.workload
    try:
        with _served(bed, scenario, step, condition) as server:
            rate_rps = measure_with_wrk(
                bed.lab.client,
                server.endpoint,
                f"/{condition.load.page_bytes}",
                condition.load.connections,
                settings.wrk_s,
                keep_alive=kept,
            )
    except GeneratorDied:
        raise
    except (BenchError, DockerException, RequestException) as fault:
        return WrkReading(arm=arm, keep_alive=kept, throughput_rps=None, reason=str(fault))
    return WrkReading(arm=arm, keep_alive=kept, throughput_rps=rate_rps)


def _try_second_worker(bed: Bed, record: CapacityRecord, step: Step) -> SecondWorker:
    try:
        return _add_worker(bed, record, step)
    except GeneratorDied:
        raise
    except (BenchError, DockerException, RequestException) as fault:
        arm, kept = step.workload
        return SecondWorker(arm=arm, keep_alive=kept, rate_rps=step.rate_rps, reason=str(fault))


def _add_worker(bed: Bed, record: CapacityRecord, step: Step) -> SecondWorker:
    """The generator at a rate that the arm did not sustain, with wrk beside it on the client's cores.

    If a second program gets more out of the server, then it was not the server that was at its end.
    """
    condition = _condition(record.scenario, step, SECOND_WORKER_S)
    arm, kept = step.workload
    path = f"/{condition.load.page_bytes}"
    with _served(bed, record.scenario, step, condition) as server, ThreadPoolExecutor(1) as pool:

        def run_wrk() -> tuple[float, int, int]:
            begun_ns = time.monotonic_ns()
            rate_rps = measure_with_wrk(
                bed.lab.client,
                server.endpoint,
                path,
                condition.load.connections,
                SECOND_WORKER_S,
                keep_alive=kept,
            )
            return rate_rps, begun_ns, time.monotonic_ns()

        beside = pool.submit(run_wrk)
        result = bed.generator.load(condition.load, server.endpoint, arm, record.seed)
        wrk_rps, begun_ns, ended_ns = beside.result()
    done = result.records[result.records["outcome"] == 0]["done_ns"]
    ended_ns = min(ended_ns, result.window_end_ns)
    together_ns = max(begun_ns, result.window_start_ns), ended_ns
    done_rps = ((done >= together_ns[0]) & (done < together_ns[1])).sum() / (
        (together_ns[1] - together_ns[0]) / 1e9
    )
    alone_rps = [
        probe.achieved_share * probe.rate_rps
        for probe in record.probes
        if (probe.arm, probe.keep_alive) == step.workload
        and probe.rate_rps == step.rate_rps
        and probe.achieved_share is not None
    ]
    return SecondWorker(
        arm=arm,
        keep_alive=kept,
        rate_rps=step.rate_rps,
        generator_rps=float(done_rps),
        wrk_rps=wrk_rps,
        alone_rps=max([*alone_rps, *record.wrk_rps(step.workload)]),
    )
