"""What else is asked where a capacity is measured: wrk on the same arm, and wrk beside the generator."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import BenchError, MeasurementInvalid
from bench.generator.asks import page_asks
from bench.generator.failures import GeneratorDied
from bench.generator.wrk import measure_with_wrk
from bench.judgement.capacity.record import PROBE_S, CapacityRecord, SecondWorker, Step, WrkReading
from bench.lab.servers.server import Server
from bench.measure.testbed import Bed
from bench.scenario.conditions import Condition
from bench.scenario.scenario import Scenario

SECOND_WORKER_S = 3
"""Window of the generator, and time of wrk beside it."""


def find_condition(scenario: Scenario, step: Step, measure_s: float = PROBE_S) -> Condition:
    """The condition that a step of the search measures under."""
    changes = {
        "keep_alive": step.workload.keep_alive,
        "rate_rps": step.rate_rps or None,
        "measure_s": measure_s,
    }
    return Condition(label="", load=scenario.load.model_copy(update=changes), lab=scenario.lab)


@contextmanager
def _served(bed: Bed, scenario: Scenario, step: Step, condition: Condition) -> Iterator[Server]:
    """An arm's fresh container that answers, with the cores held awake as in a slot."""
    arm = scenario.arm(step.workload.arm)
    bed.arrange(condition.lab)
    with (
        bed.hold_idle_states(condition),
        bed.serve(arm, condition, f"bench-{step.kind.replace(' ', '-')}-{arm.name}") as server,
    ):
        if (
            bed.generator.first_200_ns(server.endpoint, f"/{condition.load.page_bytes}", secret=server.secret)
            is None
        ):
            raise MeasurementInvalid(
                f"Waiting for {arm.name}", f"no answer came; {server.last_words()}", "See Apache's messages."
            )
        bed.generator.prove(server.endpoint, server.secret)
        yield server


def read_wrk(bed: Bed, scenario: Scenario, step: Step) -> WrkReading:
    """wrk's own closed loop on an arm; a reading without a rate where it cannot be had."""
    condition, settings = find_condition(scenario, step), scenario.capacity
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


def try_second_worker(bed: Bed, record: CapacityRecord, step: Step) -> SecondWorker:
    """The generator with wrk beside it; one with a reason where they cannot be had."""
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
    condition = find_condition(record.scenario, step, SECOND_WORKER_S)
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
        result = bed.generator.load(
            condition.load, server.endpoint, arm, page_asks(condition.load), record.seed
        )
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
