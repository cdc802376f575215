"""Measures slots: a deployment's windows, each judged by its gates and stored.

Today a slot is a deployment of its own with one window. What shares a deployment, and which
deployments are alive together, is the plan's matter: see `plan.lives`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import BenchError
from bench.generator.client import GeneratorDied
from bench.lab.hosts.host import network_of, parse_cpus
from bench.measure.captures import read_captures, store_captures
from bench.measure.deployment import Deployment, deploy, try_control
from bench.measure.settings import hold_idle_states
from bench.measure.testbed import Bed
from bench.measure.window import Window, measure_window
from bench.records.run import SlotRecord
from bench.results import columns
from bench.scenario.conditions import Condition
from bench.scenario.metric import Metric, Voids
from bench.scenario.plan import Slot, loaded_seconds
from bench.slots.cpu import CpuRecord
from bench.slots.gates.gate import Gate, GateKind
from bench.slots.gates.identity import check_identity
from bench.slots.gates.load import check_connections, check_load, check_open_loop, check_ports, usable_metrics
from bench.slots.gates.machine import check_idle, check_quiet
from bench.slots.gates.network import check_network
from bench.slots.gates.path import check_namespace, check_path
from bench.slots.metrics import RequestMetrics, measure_requests
from bench.slots.surroundings import Facts, digest


def measure_slot(bed: Bed, slot: Slot, condition: Condition, folder: Path) -> tuple[SlotRecord, Facts]:
    """Measure a slot that shares its deployment with none: see `measure_life`."""
    [found] = measure_life(bed, [slot], {slot.condition: condition}, folder)
    return found


def measure_life(
    bed: Bed, slots: Sequence[Slot], conditions: Mapping[int, Condition], folder: Path
) -> Iterator[tuple[SlotRecord, Facts]]:
    """Measure `slots`, whose deployments are alive together, and store their requests in the run's `folder`.

    `conditions`, by index, differ in nothing that a living lab cannot change. Yields each slot's record,
    and what Apache found around it (empty where it did not come so far). A slot that cannot be measured
    is a record with a failed gate, and so are those after it in its life; only a dead generator raises.
    """
    remaining = list(slots)
    first = conditions[slots[0].condition].lab
    begun = _Moment.now()
    try:
        with hold_idle_states(first.hold_idle_states) as held, ExitStack() as alive:
            bed.arrange(first)
            deployments: dict[tuple[str, int], Deployment] = {}
            for slot in slots:
                arm, condition = bed.scenario.arm(slot.arm), conditions[slot.condition]
                name = f"bench-{slot.index:03d}-{arm.name}"
                if not bed.scenario.network(arm).reachable:
                    gates = try_control(bed, arm, condition, name)
                    yield begun.stamp(SlotRecord(slot=slot, gates=tuple(gates)), 0.0), {}
                    remaining.remove(slot)
                    begun = _Moment.now()
                elif (slot.arm, slot.condition) not in deployments:
                    deployed = alive.enter_context(deploy(bed, arm, condition, name))
                    deployments[slot.arm, slot.condition] = deployed
            for slot in list(remaining):
                condition, deployment = conditions[slot.condition], deployments[slot.arm, slot.condition]
                bed.arrange(condition.lab)
                window = measure_window(bed, deployment, slot.arrival_seed)
                if slot is remaining[-1]:
                    alive.close()  # Its removal is of the last slot's time.
                record = _judge(bed, slot, deployment, window, held, folder)
                yield begun.stamp(record, loaded_seconds(condition)), deployment.facts
                remaining.remove(slot)
                begun = _Moment.now()
    except GeneratorDied:
        raise
    except BenchError as fault:
        reason = str(fault)
    except (DockerException, RequestException) as fault:
        reason = f"The engine failed: {fault}; {bed.describe_dead_engines() or 'it lives'}"
    for slot in remaining:
        yield begun.stamp(_unmeasured(slot, reason), 0.0), {}
        begun = _Moment.now()


@dataclass(frozen=True)
class _Moment:
    """When a slot began."""

    at: str
    at_s: float

    @classmethod
    def now(cls) -> "_Moment":
        return cls(datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic())

    def stamp(self, record: SlotRecord, loaded_s: float) -> SlotRecord:
        """The record with its times, of which it was under load for `loaded_s`."""
        seconds = time.monotonic() - self.at_s
        timed = {"started_at": self.at, "seconds": seconds, "overhead_s": seconds - loaded_s}
        return record.model_copy(update=timed)


def _judge(
    bed: Bed, slot: Slot, deployment: Deployment, window: Window, held: bool, folder: Path
) -> SlotRecord:
    """Judge what a window showed by every gate, and store it."""
    result, load = window.result, deployment.condition.load
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, load)
    cpu = window.cpu(bed, deployment, metrics.requests)
    values = metrics.values | ({Metric.CPU_US_PER_REQUEST: cpu.us_per_request} if cpu else {})
    gates = _check(bed, deployment, window, metrics, cpu)
    columns.write_requests(folder, slot.directory, result.records)
    capture = None
    if window.captured:
        found = read_captures(window.captured, deployment.path, result)
        store_captures(folder, slot.directory, window.captured, found)
        capture = found.record
        gates += found.gates
    return SlotRecord(
        slot=slot,
        window_start_ns=result.window_start_ns,
        window_end_ns=result.window_end_ns,
        realtime_offset_ns=time.time_ns() - time.monotonic_ns(),
        achieved_share=metrics.achieved_share,
        lateness_p99_us=metrics.lateness_p99_us,
        connections_opened=result.opened,
        requests_recorded=len(result.records),
        requests=metrics.requests,
        errors=metrics.errors,
        unfinished=metrics.unfinished,
        values=usable_metrics(values, metrics.requests, gates),
        cpu=cpu,
        p99_latency_us=metrics.values.get(Metric.P99_LATENCY_US),
        p999_latency_us=metrics.p999_latency_us,
        service_p50_us=metrics.service_p50_us,
        service_p99_us=metrics.service_p99_us,
        mean_latency_us=metrics.mean_latency_us,
        start_to_first_200_ms=(deployment.first_200_ns - deployment.server.started_ns) / 1e6,
        wrk_witness_rps=window.witness_rps,
        generator_busy=result.cpu_share,
        core_busy=result.core_busy,
        fixed_work_us=window.fixed_work_us,
        counters=window.counted.path,
        surroundings=digest(deployment.facts),
        capture=capture,
        gates=tuple(gates),
        evidence=_list_evidence(deployment, window, held),
    )


def _check(
    bed: Bed, deployment: Deployment, window: Window, metrics: RequestMetrics, cpu: CpuRecord | None
) -> list[Gate]:
    """Every gate but those of captures."""
    condition, counted, result = deployment.condition, window.counted, window.result
    docker_host, network = deployment.docker_host, deployment.network
    # A sleeper is woken late by a sleepy machine, and taps take turns with the generator on its core.
    other_purpose = condition.load.pacing == "sleep" or condition.lab.taps
    lateness_voids = Voids.LATENCY if other_purpose else Voids.SLOT
    return [
        *check_connections(condition.load.connections, result.connected),
        *check_load(metrics.requests, metrics.errors, metrics.unfinished, result.cpu_share),
        *(check_open_loop(metrics.open_loop, metrics.values, lateness_voids) if metrics.open_loop else []),
        *(check_idle(cpu.idle_cores) if cpu else []),
        *check_quiet(window.quiet.stray_cpu, window.quiet.new_processes_per_s, window.quiet.steal_share),
        *check_network(counted.losses, counted.room),
        *check_ports(result.without_port),
        *check_path(
            network.path_from(condition.load.vantage),
            counted.path,
            result.opened,
            metrics.requests - metrics.unfinished,
            forwarding_rules=deployment.site.engine.writes_rules,
        ),
        *check_namespace(network.in_host_network, deployment.inode, network_of(docker_host)),
        *check_identity(
            deployment.server.image_id,
            bed.image.id,
            parse_cpus(deployment.facts["process Cpus_allowed_list"]),
            parse_cpus(docker_host.cpus),
        ),
    ]


def _list_evidence(deployment: Deployment, window: Window, held: bool) -> dict[str, str]:
    server, site, condition = deployment.server, deployment.site, deployment.condition
    return {
        "docker host": site.place.name,
        "engine process": str(site.engine.daemon_pid),
        "vantage": f"{condition.load.vantage}, in the network of {deployment.sender.name}",
        "endpoint": f"{server.endpoint.address} port {server.endpoint.port}",
        "container": str(server.container.id) if server.container else "none: native",
        "idle states": "held" if held else "free",
        "receive steering": "on" if condition.lab.receive_steering else "off",
        "connections as the load began": str(window.result.connected or "not shown"),
        "load loop": window.result.loop or "Locust's own",
        "Apache's threads": str(site.limits.threads),
        "Apache's listen backlog": str(site.limits.backlog),
        "requests by Locust's count": str(window.result.locust_requests),
    }


def _unmeasured(slot: Slot, reason: str) -> SlotRecord:
    gate = Gate(
        name=GateKind.ANSWERED,
        passed=False,
        seen="no",
        limit="yes",
        unit="the container ran and was loaded",
        detail=reason,
    )
    return SlotRecord(slot=slot, gates=(gate,))
