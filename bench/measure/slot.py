"""Measures a slot that has the machine for itself: a deployment and a window, judged by its gates and stored.

Slots that take turns in a set: see interleaving.py.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import BenchError
from bench.generator.failures import GeneratorDied
from bench.generator.shares import describe_parts
from bench.lab.hosts.host import network_of, parse_cpus
from bench.lab.instruments.idle_states import IdleStates
from bench.measure.captures import find_lost_segment, read_captures, store_captures
from bench.measure.deployment import Deployment, deploy, deploy_idle, try_control
from bench.measure.links import describe_links
from bench.measure.names import check_names, list_names
from bench.measure.testbed import Bed
from bench.measure.window import Window, measure_window
from bench.records.run import SlotRecord
from bench.results import columns
from bench.scenario.conditions import Condition
from bench.scenario.load import Load
from bench.scenario.metric import Metric, Voids
from bench.scenario.plan import Slot, loaded_seconds
from bench.scenario.sysctls import format_sysctls
from bench.slots.cpu import CpuRecord
from bench.slots.gates.gate import Gate, GateKind
from bench.slots.gates.identity import check_identity
from bench.slots.gates.load import check_connections, check_load, check_open_loop, check_ports, usable_metrics
from bench.slots.gates.machine import check_idle, check_quiet, check_still
from bench.slots.gates.network import check_network
from bench.slots.gates.path import check_namespace, check_path
from bench.slots.gates.stalls import check_stalls
from bench.slots.metrics import RequestMetrics, measure_requests, measure_span_s
from bench.slots.stalls import find_stalls
from bench.slots.surroundings import Facts, digest

Found = tuple[SlotRecord, Facts]
"""A slot, and what Apache found around it; no facts where it did not come so far."""
GONE = (FileNotFoundError, ProcessLookupError)
"""Of a process that ended while it was looked at: Apache, or an engine."""
FAULTS = (BenchError, DockerException, RequestException, *GONE)
"""What may keep a slot from being measured without ending the run."""


def measure_slot(bed: Bed, slot: Slot, condition: Condition, folder: Path) -> Found:
    """Measure `slot`, and store its requests in the run's `folder`.

    One that cannot be measured is a record with a failed gate; only a dead generator raises.
    """
    begun = Moment.now()
    try:
        record, facts = _measure(bed, slot, condition, folder)
    except FAULTS as fault:
        record, facts = unmeasured(slot, describe_fault(bed, fault)), {}
    return begun.stamp(record, loaded_seconds(condition) if record.requests else 0.0), facts


def _measure(bed: Bed, slot: Slot, condition: Condition, folder: Path) -> Found:
    arm = bed.scenario.arm(slot.arm)
    with bed.hold_idle_states(condition) as idle, ExitStack() as alive:
        bed.arrange(condition.lab)
        if not bed.scenario.network(arm).reachable:
            gates = try_control(bed, arm, condition, container_name(slot))
            return SlotRecord(slot=slot, gates=tuple(gates)), {}
        alive.enter_context(deploy_idle(bed, condition, slot.index))
        deployment = alive.enter_context(deploy(bed, arm, condition, container_name(slot)))
        window = measure_window(bed, deployment, slot.arrival_seed)
        alive.close()
        return _judge(bed, slot, deployment, window, idle, folder), deployment.facts


def container_name(slot: Slot) -> str:
    """Of the slot's own container."""
    return f"bench-{slot.index:03d}-{slot.arm}"


def describe_fault(bed: Bed, fault: Exception) -> str:
    """Why a slot could not be measured. A dead generator is raised again: nothing can be."""
    if isinstance(fault, GeneratorDied):
        raise fault
    if isinstance(fault, BenchError):
        return str(fault)
    what = "A process ended that was looked at" if isinstance(fault, GONE) else "The engine failed"
    return f"{what}: {fault}; {bed.describe_dead_engines() or 'every engine lives'}"


@dataclass(frozen=True)
class Moment:
    """When a slot began."""

    at: str
    at_s: float

    @classmethod
    def now(cls) -> "Moment":
        """This one."""
        return cls(datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic())

    def stamp(self, record: SlotRecord, loaded_s: float, slots: int = 1) -> SlotRecord:
        """The record with its times, one of `slots` in the same time, under load for `loaded_s` each."""
        seconds = (time.monotonic() - self.at_s) / slots
        timed = {"started_at": self.at, "seconds": seconds, "overhead_s": seconds - loaded_s}
        return record.model_copy(update=timed)


def _judge(
    bed: Bed, slot: Slot, deployment: Deployment, window: Window, idle: IdleStates, folder: Path
) -> SlotRecord:
    """Judge what a window showed by every gate, and store it."""
    result, load = window.result, deployment.condition.load
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, load)
    cpu = window.cpu(bed, deployment, metrics.requests)
    values = metrics.values | ({Metric.CPU_US_PER_REQUEST: cpu.us_per_request} if cpu else {})
    gates = _check(bed, deployment, window, metrics, cpu)
    columns.write_requests(folder, slot.directory, result.records)
    capture, stalls = None, find_stalls(result.records, count_asked(bed, load))
    if window.captured:
        stalls = stalls and stalls.model_copy(
            update={"lost": find_lost_segment(window.captured, deployment.path)}
        )
        found = read_captures(window.captured, deployment.path, result)
        store_captures(folder, slot.directory, window.captured, found)
        capture = found.record
        gates += found.gates
    gates.append(check_stalls(stalls))
    return record_slot(
        slot,
        deployment,
        metrics,
        window_start_ns=result.window_start_ns,
        window_end_ns=result.window_end_ns,
        connections_opened=result.opened,
        requests_recorded=len(result.records),
        values=usable_metrics(values, gates),
        cpu=cpu,
        wrk_witness_rps=window.witness_rps,
        generator_busy=result.cpu_share,
        core_busy=result.core_busy,
        fixed_work_us=window.fixed_work_us,
        counters=window.counted.path,
        unread=window.counted.unread,
        capture=capture,
        stalls=stalls,
        answers=window.answers,
        gates=tuple(gates),
        evidence={
            **list_evidence(deployment, idle),
            **bed.bystanders.describe(bed.lab.client),
            "connections as the load began": str(result.connected or "not shown"),
            "load loop": result.loop or "Locust's own",
            **describe_handshakes(result.handshakes, result.resumed),
            "requests by Locust's count": str(result.locust_requests),
            "workers": describe_parts(result.parts),
            **(list_names(window) if window.lookups else {}),
        },
    )


def count_asked(bed: Bed, load: Load) -> int | None:
    """Bytes of every answer's body, where it is known and the same of all: of the built-in service."""
    return load.page_bytes if bed.scenario.service is None and not load.by_locustfile else None


def record_slot(slot: Slot, deployment: Deployment, metrics: RequestMetrics, **shown: Any) -> SlotRecord:
    """The record of a slot that was loaded; `shown`: fields that its load gave."""
    return SlotRecord(
        slot=slot,
        realtime_offset_ns=time.time_ns() - time.monotonic_ns(),
        achieved_share=metrics.achieved_share,
        lateness_p99_us=metrics.lateness_p99_us,
        requests=metrics.requests,
        errors=metrics.errors,
        unfinished=metrics.unfinished,
        p99_latency_us=metrics.values.get(Metric.P99_LATENCY_US),
        p999_latency_us=metrics.p999_latency_us,
        service_p50_us=metrics.service_p50_us,
        service_p99_us=metrics.service_p99_us,
        mean_latency_us=metrics.mean_latency_us,
        start_to_first_200_ms=(deployment.first_200_ns - deployment.server.started_ns) / 1e6,
        surroundings=digest(deployment.facts),
        rules=deployment.rules,
        **shown,
    )


def _check(
    bed: Bed, deployment: Deployment, window: Window, metrics: RequestMetrics, cpu: CpuRecord | None
) -> list[Gate]:
    """Every gate but those of captures."""
    condition, counted, result = deployment.condition, window.counted, window.result
    of_load = check_names if window.lookups else _check_http
    return [
        *of_load(deployment, window, metrics),
        *(check_idle(cpu.idle_cores) if cpu else []),
        *check_quiet(
            window.quiet.stray_cpu,
            window.quiet.new_processes_per_s,
            window.quiet.steal_share,
            bed.scenario.schedule.max_steal,
        ),
        *check_still(
            window.quiet.seconds,
            measure_span_s(result.records, result.window_end_ns),
            window.quiet.slept_s,
            len(result.records),
            condition.load.connections,
        ),
        # What connection tracking drops of a lookup's questions costs it seconds: that is measured.
        *(
            gate
            for gate in check_network(counted.losses, counted.room, deployment.describe_accept_queue())
            if not (window.lookups and gate.name is GateKind.CONNTRACK_DROPS)
        ),
        *check_deployment(bed, deployment),
    ]


def _check_http(deployment: Deployment, window: Window, metrics: RequestMetrics) -> list[Gate]:
    """Gates on requests, their generator, and their path."""
    condition, result = deployment.condition, window.result
    # A sleeper is woken late by a sleepy machine, and taps take turns with the generator on its core.
    other_purpose = condition.load.pacing == "sleep" or condition.lab.taps
    lateness_voids = Voids.LATENCY if other_purpose else Voids.SLOT
    return [
        *check_connections(condition.load.connections, result.connected),
        *check_load(metrics.requests, metrics.errors, metrics.unfinished, result.cpu_share, window.trouble),
        *(check_open_loop(metrics.open_loop, metrics.values, lateness_voids) if metrics.open_loop else []),
        *check_ports(result.without_port),
        *check_path(
            deployment.path_taken,
            window.counted.path,
            result.opened,
            metrics.requests - metrics.unfinished,
            forwarding_rules=deployment.site.engine.writes_rules,
        ),
    ]


def check_deployment(bed: Bed, deployment: Deployment) -> list[Gate]:
    """Gates that what ran is what every arm runs, where its mode says."""
    docker_host = deployment.docker_host
    return [
        *check_namespace(deployment.network.in_host_network, deployment.inode, network_of(docker_host)),
        *check_identity(
            deployment.server.image_id,
            bed.image.id,
            parse_cpus(deployment.facts["process Cpus_allowed_list"]),
            parse_cpus(docker_host.cpus),
        ),
    ]


def describe_handshakes(handshakes: int, resumed: int) -> dict[str, str]:
    """Of a load over TLS."""
    return {"TLS handshakes": f"{handshakes:,}, {resumed:,} of them resumed"} if handshakes else {}


def list_evidence(deployment: Deployment, idle: IdleStates) -> dict[str, str]:
    """What was there, for who wants to look."""
    server, site, condition = deployment.server, deployment.site, deployment.condition
    limits = {
        "Apache's threads": str(site.limits.threads),
        "Apache's listen backlog": str(site.limits.backlog),
    }
    return {
        "docker host": site.place.name,
        "engine process": str(site.engine.daemon_pid),
        "vantage": f"{condition.load.vantage}, in the network of {deployment.sender.name}",
        "endpoint": f"{server.endpoint.address} port {server.endpoint.port}",
        "container": str(server.container.id) if server.container else "none: native",
        "idle states": idle,
        "receive steering": "on" if condition.lab.receive_steering else "off",
        **describe_links(deployment.docker_host, condition.lab),
        **(limits if site.provided.service.is_built_in else {}),
        "accept queue": deployment.describe_accept_queue(),
        **({"sysctls": format_sysctls(site.sysctls)} if site.sysctls else {}),
    }


def unmeasured(slot: Slot, reason: str) -> SlotRecord:
    """The record of a slot that never came to its load."""
    gate = Gate(
        name=GateKind.ANSWERED,
        passed=False,
        seen="no",
        limit="yes",
        unit="the container ran and was loaded",
        detail=reason,
    )
    return SlotRecord(slot=slot, gates=(gate,))
