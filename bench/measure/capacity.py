"""Measures a scenario's capacity: each arm's knee, what bounds it, and all arms at equal service."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import bench
from bench.errors import BenchError, InputError, MeasurementInvalid
from bench.generator.asks import page_asks
from bench.generator.failures import GeneratorDied
from bench.generator.results import LoadResult
from bench.judgement.capacity.bound import name_workload, plan_comparisons
from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import NULL_SERVER, SCHEMA_VERSION, CapacityRecord, Probe, Step
from bench.judgement.capacity.search import judge_probe, judge_slot, next_step
from bench.lab.hosts import command, machine, requirements
from bench.lab.hosts.host import parse_cpus
from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.null_server import null_server
from bench.measure import recording
from bench.measure.availability import find_gaps
from bench.measure.progress import Progress, Watch
from bench.measure.run import Wanted, begin_run
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed
from bench.measure.witnesses import find_condition, read_wrk, try_second_worker
from bench.paths import CACHE
from bench.records.run import Status
from bench.results import files, store, sums
from bench.results.verification import find_capacity_faults
from bench.scenario.conditions import Condition
from bench.scenario.metric import Metric
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.gates.gate import GateKind
from bench.slots.metrics import RequestMetrics, measure_requests

MAX_FAILED_IN_A_ROW = 4
"""Steps that fail, one after another, before the run gives up: a dead engine does not heal."""


Publish = Callable[[Path, CapacityRecord], None]
"""Writes what a person reads of a measurement into its folder."""


def begin_capacity(scenario: Scenario, seed: int, results: Path, watch: Watch, publish: Publish) -> Path:
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
    record = CapacityRecord(
        schema_version=SCHEMA_VERSION,
        id=recording.new_id(),
        bench_version=bench.__version__,
        status=Status.RUNNING,
        started_at=recording.say_time(),
        scenario=scenario,
        seed=seed,
        machine=machine.describe_machine(),
        tools=machine.tool_versions(command.run),
    )
    with machine_lock(f"bench capacity {record.id} ({scenario.name})"):
        folder = files.create_run_folder(results, scenario.name, record.id)
        store.write_capacity(folder, record)
    _execute(folder, record, watch, publish)
    return folder


def resume_capacity(folder: Path, watch: Watch, publish: Publish) -> None:
    """Go on with the capacity measurement in `folder` where it stopped."""
    record = store.read_capacity(folder)
    requirements.require_all(record.scenario)
    doing = f"Resuming the capacity measurement {record.id}"
    if record.status is Status.COMPLETE:
        raise recording.refuse_ended(doing, "it is complete", folder)
    recording.require_unchanged(doing, tuple(find_capacity_faults(folder, record)))
    recording.require_same_machine(doing, record.machine)
    files.remove_partials(folder)
    _execute(folder, record, watch, publish)


def write_capacity_results(folder: Path, publish: Publish) -> None:
    """Write all that follows from capacity.json: report and sums."""
    publish(folder, store.read_capacity(folder))
    sums.write_sums(folder)


def _execute(folder: Path, record: CapacityRecord, watch: Watch, publish: Publish) -> None:
    def write(changed: CapacityRecord) -> None:
        nonlocal record
        record = changed
        store.write_capacity(folder, record)

    def finish(status: Status, finished_at: str) -> None:
        ended = record.model_copy(update={"status": status, "finished_at": finished_at})
        store.finish_capacity(folder, ended)
        write_capacity_results(folder, publish)

    with recording.recording(finish) as ending:
        write(record.model_copy(update={"status": Status.RUNNING, "finished_at": None}))
        if next_step(record):
            with (
                machine_lock(f"bench capacity {record.id} ({record.scenario.name})"),
                recording.lay_bed(record.scenario, record.id, watch.progress) as bed,
            ):
                for measured in _measure(bed, _describe_bed(record, bed), folder, watch.progress):
                    write(measured)
        for scenario in plan_comparisons(record):
            if scenario.name not in record.comparisons:
                rates = ", ".join(f"{rate:,.0f}" for rate in scenario.factors["load.rate_rps"])
                watch.progress.stage(f"equal service: {scenario.name}, all arms at {rates} requests/s")
                results = folder.parent.parent
                compared = begin_run(Wanted(scenario, record.seed), results, watch)
                comparisons = {**record.comparisons, scenario.name: str(compared.path.relative_to(results))}
                write(record.model_copy(update={"comparisons": comparisons}))
        ending.status = Status.COMPLETE


def _describe_bed(record: CapacityRecord, bed: Bed) -> CapacityRecord:
    recording.require_same_image(f"Resuming the capacity measurement {record.id}", record.image, bed.image)
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
            reading = read_wrk(bed, record.scenario, step)
            record = record.model_copy(update={"wrk": (*record.wrk, reading)})
            said, failed = reading.reason or f"{reading.throughput_rps:,.0f}/s", bool(reading.reason)
        elif step.kind == "second worker":
            pair = try_second_worker(bed, record, step)
            record = record.model_copy(update={"second_workers": (*record.second_workers, pair)})
            said, failed = pair.reason or f"{pair.added_share:+.1%}", bool(pair.reason)
        else:
            probe = _probe(bed, record, step, folder)
            record = record.model_copy(update={"probes": (*record.probes, probe)})
            said = "; ".join([probe.outcome, *probe.reasons])
            failed = probe.achieved_share is None
        yield record
        progress.stage(f"{_describe(step)}: {said}")
        bed.revive()
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


def _probe(bed: Bed, record: CapacityRecord, step: Step, folder: Path) -> Probe:
    number = len(record.probes)
    probe = Probe(
        arm=step.workload.arm,
        keep_alive=step.workload.keep_alive,
        rate_rps=step.rate_rps,
        confirming=step.kind == "confirm",
        outcome=Outcome.VOID,
    )
    condition = find_condition(record.scenario, step)
    # The same arrivals for all arms in one repeat: a sequence that is unlucky is so for all.
    seed = record.seed * 1_000 + step.repeat
    if step.workload.arm == NULL_SERVER:
        try:
            result, metrics = _load_null_server(bed, condition, seed)
        except GeneratorDied:
            raise
        except BenchError as fault:
            return probe.model_copy(update={"reasons": (str(fault),)})
        changes = {
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
    measured = store.seal_slot(folder, measure_slot(bed, slot, condition, folder)[0])
    server_busy = _server_busy(bed, measured.core_busy)
    return judge_slot(probe.model_copy(update={"server_busy": server_busy}), measured, record.settings)


def _shares(metrics: RequestMetrics) -> dict[str, float | None]:
    """What a probe says of its requests."""
    if not metrics.achieved_share:
        return {}
    return {
        "achieved_share": metrics.achieved_share,
        "error_share": (metrics.errors + metrics.unfinished) / metrics.requests,
        "p99_ms": metrics.values[Metric.P99_LATENCY_US] / 1e3,
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
        bed.hold_idle_states(condition),
    ):
        if bed.generator.first_200_ns(endpoint, "/") is None:
            raise MeasurementInvalid("Starting the null server", "no answer came", "Try again.")
        result = bed.generator.load(condition.load, endpoint, NULL_SERVER, page_asks(condition.load), seed)
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, condition.load)
    return result, metrics
