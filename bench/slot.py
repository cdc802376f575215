"""Measures one slot: a fresh container from its start to its removal, with its gates."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.core.errors import BenchError, EnvironmentLacks, MeasurementInvalid
from bench.core.gates import (
    Gate,
    check_identity,
    check_load,
    check_namespace,
    check_network,
    check_path,
    check_quiet,
    usable_metrics,
)
from bench.core.metrics import measure_requests
from bench.core.plan import Slot
from bench.core.records import SlotRecord
from bench.core.scenario import Arm, Condition, Mode, Scenario
from bench.edges import store
from bench.edges.activity import begin_activity, end_activity
from bench.edges.apache import apache, endpoint_of, network_inode
from bench.edges.counters import read_network_counters
from bench.edges.engine import Engine
from bench.edges.generator import Generator, GeneratorDied
from bench.edges.image import Image
from bench.edges.lab import Lab, set_receive_steering
from bench.edges.machine import hold_idle_states
from bench.edges.wrk import measure_with_wrk


@dataclass
class Bed:
    """Everything that stands while slots are measured."""

    lab: Lab
    engine: Engine
    image: Image
    generator: Generator
    steering: bool | None = field(default=None)
    """Receive steering as it is set on the hosts now; None before it was set."""


def verify_host_mode(bed: Bed) -> None:
    """Refuse to go on unless a host-mode container is in docker1's network namespace.

    An engine whose containerd lives elsewhere would put it there, and every host-mode figure
    would be of another network (containerd issue 10280).
    """
    arm = Arm(name="host", mode=Mode.HOST)
    with apache(bed.engine, bed.image.id, arm, "bench-verify-host-mode") as server:
        inode = network_inode(server, bed.engine)
    if inode != bed.lab.docker1.network_inode:
        raise EnvironmentLacks(
            "Proving that host mode is docker1's network",
            f"the container is in namespace {inode}, docker1 in {bed.lab.docker1.network_inode}",
            "This engine cannot be measured in a lab; report it with `dockerd --version`.",
        )


def measure_slot(bed: Bed, scenario: Scenario, slot: Slot, condition: Condition, folder: Path) -> SlotRecord:
    """Measure `slot` and store its requests in the run's `folder`.

    A slot that cannot be measured is a record with a failed gate; only a dead generator raises.
    """
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.monotonic()
    load = condition.load
    try:
        record = _measure(bed, scenario, slot, condition, folder)
        loaded_s = load.warm_up_s + load.measure_s + load.wrk_witness_s
    except GeneratorDied:
        raise
    except BenchError as fault:
        record, loaded_s = _unmeasured(slot, str(fault)), 0.0
    seconds = time.monotonic() - begun
    return record.model_copy(
        update={"started_at": started_at, "seconds": seconds, "overhead_s": seconds - loaded_s}
    )


def _measure(bed: Bed, scenario: Scenario, slot: Slot, condition: Condition, folder: Path) -> SlotRecord:
    [arm] = [arm for arm in scenario.arms if arm.name == slot.arm]
    load, path = condition.load, f"/{condition.load.page_bytes}"
    client, docker1 = bed.lab.client, bed.lab.docker1
    endpoint = endpoint_of(arm, bed.engine)
    if bed.steering is not condition.lab.receive_steering:
        for host in (client, docker1):
            set_receive_steering(host, condition.lab.receive_steering)
        bed.steering = condition.lab.receive_steering
    with (
        hold_idle_states(condition.lab.hold_idle_states) as held,
        apache(bed.engine, bed.image.id, arm, f"bench-{slot.index:03d}-{arm.name}") as server,
    ):
        # Not before the engine says that it has started: a packet to a container whose link is not up
        # yet leaves an unanswered ARP request behind, and the kernel's next one comes a second later.
        first_200_ns = bed.generator.first_200_ns(endpoint, path)
        if first_200_ns is None:
            raise MeasurementInvalid(
                f"Waiting for {arm.name} at {endpoint.address}:{endpoint.port}",
                f"no 200 came; Apache's last words: {server.last_words() or 'none'}",
                "The slot is INVALID.",
            )
        inode = network_inode(server, bed.engine)
        before = read_network_counters(client, docker1)
        activity = begin_activity()
        result = bed.generator.load(load, endpoint, arm.name)
        quiet = end_activity(activity, [bed.generator.process.pid], bed.lab.hosts)
        after = read_network_counters(client, docker1)
        witness_rps = None
        if load.wrk_witness_s:
            witness_rps = measure_with_wrk(client, endpoint, path, load.connections, load.wrk_witness_s)
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns)
    counters = after.path_since(before)
    gates = [
        *check_load(metrics.requests, metrics.errors, metrics.unfinished, result.cpu_share),
        *check_quiet(quiet.stray_cpu, quiet.new_processes_per_s, quiet.steal_share),
        *check_network(
            after.retransmits - before.retransmits, after.conntrack_drops - before.conntrack_drops
        ),
        *check_path(arm.mode, counters, result.opened, metrics.requests),
        *check_namespace(arm.mode, inode, docker1.network_inode),
        *check_identity(server.image_id, bed.image.id, server.cpuset, docker1.cpus),
    ]
    store.write_requests(folder, slot.directory, result.records)
    return SlotRecord(
        slot=slot,
        window_start_ns=result.window_start_ns,
        window_end_ns=result.window_end_ns,
        realtime_offset_ns=time.time_ns() - time.monotonic_ns(),
        requests=metrics.requests,
        errors=metrics.errors,
        unfinished=metrics.unfinished,
        values=usable_metrics(metrics.values, metrics.requests, gates),
        p999_latency_us=metrics.p999_latency_us,
        mean_latency_us=metrics.mean_latency_us,
        start_to_first_200_ms=(first_200_ns - server.started_ns) / 1e6,
        wrk_witness_rps=witness_rps,
        counters=counters,
        gates=tuple(gates),
        evidence={
            "container": str(server.container.id),
            "idle states": "held" if held else "free",
            "receive steering": "on" if bed.steering else "off",
            "requests recorded": str(len(result.records)),
            "requests by Locust's count": str(result.locust_requests),
            "connections opened": str(result.opened),
        },
    )


def _unmeasured(slot: Slot, reason: str) -> SlotRecord:
    gate = Gate(
        name="answered",
        passed=False,
        seen="no",
        limit="yes",
        unit="the container ran and was loaded",
        detail=reason,
    )
    return SlotRecord(slot=slot, gates=(gate,))
