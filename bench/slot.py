"""Measures one slot: a fresh container from its start to its removal, with its gates."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.bed import CONTROL_S, Bed
from bench.core.errors import BenchError, MeasurementInvalid
from bench.core.gates import (
    Gate,
    check_control,
    check_identity,
    check_load,
    check_namespace,
    check_network,
    check_open_loop,
    check_path,
    check_ports,
    check_quiet,
    usable_metrics,
)
from bench.core.metrics import measure_requests
from bench.core.modes import UPLINK
from bench.core.plan import Slot
from bench.core.records import UNMEASURED, SlotRecord
from bench.core.sameness import Facts, digest
from bench.core.scenario import Condition, Metric
from bench.edges import store
from bench.edges.activity import begin_activity, end_activity
from bench.edges.apache import Apache, network_inode
from bench.edges.counters import read_network_counters
from bench.edges.generator import GeneratorDied
from bench.edges.host import Host, parse_cpus
from bench.edges.machine import hold_idle_states
from bench.edges.surroundings import read_surroundings
from bench.edges.wrk import measure_with_wrk


def measure_slot(bed: Bed, slot: Slot, condition: Condition, folder: Path) -> tuple[SlotRecord, Facts]:
    """Measure `slot` and store its requests in the run's `folder`.

    Returns its record, and what Apache found around it (empty where it did not come so far). A slot
    that cannot be measured is a record with a failed gate; only a dead generator raises.
    """
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.monotonic()
    load = condition.load
    reachable = bed.scenario.network(bed.scenario.arm(slot.arm)).reachable
    facts: Facts = {}
    loaded_s = 0.0
    try:
        if reachable:
            record, facts = _measure(bed, slot, condition, folder)
            loaded_s = load.warm_up_s + load.measure_s + load.wrk_witness_s
        else:
            record = _watch_control(bed, slot, condition)
    except GeneratorDied:
        raise
    except BenchError as fault:
        record = _unmeasured(slot, str(fault))
    except (DockerException, RequestException) as fault:
        record = _unmeasured(slot, f"The engine failed: {fault}; {bed.describe_dead_engines() or 'it lives'}")
    seconds = time.monotonic() - begun
    timed = {"started_at": started_at, "seconds": seconds, "overhead_s": seconds - loaded_s}
    return record.model_copy(update=timed), facts


def _measure(bed: Bed, slot: Slot, condition: Condition, folder: Path) -> tuple[SlotRecord, Facts]:
    arm = bed.scenario.arm(slot.arm)
    network = bed.scenario.network(arm)
    site = bed.site(arm, condition)
    client, docker_host = bed.lab.client, site.engine.host
    load, path = condition.load, f"/{condition.load.page_bytes}"
    bed.arrange(condition.lab)
    with (
        hold_idle_states(condition.lab.hold_idle_states) as held,
        bed.serve(arm, condition, f"bench-{slot.index:03d}-{arm.name}") as server,
    ):
        # Not before the engine says that it has started: a packet to a container whose link is not up
        # yet leaves an unanswered ARP request behind, and the kernel's next one comes a second later.
        first_200_ns = bed.generator.first_200_ns(server.endpoint, path)
        if first_200_ns is None:
            raise MeasurementInvalid(
                f"Waiting for {arm.name} at {server.endpoint.address}:{server.endpoint.port}",
                f"no 200 came; Apache's last words: {server.last_words() or 'none'}",
                "The slot is INVALID.",
            )
        inode = network_inode(server, site.engine)
        facts = read_surroundings(docker_host, server.pid)
        before = read_network_counters(client, docker_host, server.pid, ipv6=network.ipv6)
        activity = begin_activity()
        try:
            result = bed.generator.load(load, server.endpoint, arm.name, slot.arrival_seed)
        except MeasurementInvalid:
            _require_alive(server, docker_host)  # If it ended, that is the reason.
            raise
        quiet = end_activity(activity, [bed.generator.process.pid], bed.lab.hosts)
        _require_alive(server, docker_host)
        try:
            after = read_network_counters(client, docker_host, server.pid, ipv6=network.ipv6)
        except (FileNotFoundError, ProcessLookupError):
            _require_alive(server, docker_host)  # It ended between the two lines above.
            raise
        witness_rps = None
        if load.wrk_witness_s:
            witness_rps = measure_with_wrk(
                client,
                server.endpoint,
                path,
                load.connections,
                load.wrk_witness_s,
                keep_alive=load.keep_alive,
            )
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, load)
    counted = after.since(before)
    gates = [
        *check_load(metrics.requests, metrics.errors, metrics.unfinished, result.cpu_share),
        *(check_open_loop(metrics.open_loop, metrics.values) if metrics.open_loop else []),
        *check_quiet(quiet.stray_cpu, quiet.new_processes_per_s, quiet.steal_share),
        *check_network(counted.losses, counted.room),
        *check_ports(result.without_port),
        *check_path(
            network.path,
            counted.path,
            result.opened,
            metrics.requests - metrics.unfinished,
            forwarding_rules=site.engine.writes_rules,
        ),
        *check_namespace(network.in_host_network, inode, docker_host.network_inode),
        *check_identity(
            server.image_id,
            bed.image.id,
            parse_cpus(facts["process Cpus_allowed_list"]),
            parse_cpus(docker_host.cpus),
        ),
    ]
    store.write_requests(folder, slot.directory, result.records)
    record = SlotRecord(
        slot=slot,
        window_start_ns=result.window_start_ns,
        window_end_ns=result.window_end_ns,
        realtime_offset_ns=time.time_ns() - time.monotonic_ns(),
        requests=metrics.requests,
        errors=metrics.errors,
        unfinished=metrics.unfinished,
        values=usable_metrics(metrics.values, metrics.requests, gates),
        p99_latency_us=metrics.values.get(Metric.P99_LATENCY_US),
        p999_latency_us=metrics.p999_latency_us,
        service_p50_us=metrics.service_p50_us,
        service_p99_us=metrics.service_p99_us,
        mean_latency_us=metrics.mean_latency_us,
        start_to_first_200_ms=(first_200_ns - server.started_ns) / 1e6,
        wrk_witness_rps=witness_rps,
        generator_busy=result.cpu_share,
        core_busy=result.core_busy,
        counters=counted.path,
        surroundings=digest(facts),
        gates=tuple(gates),
        evidence={
            "docker host": site.place.name,
            "engine process": str(site.engine.daemon_pid),
            "endpoint": f"{server.endpoint.address} port {server.endpoint.port}",
            "container": str(server.container.id) if server.container else "none: native",
            "idle states": "held" if held else "free",
            "receive steering": "on" if condition.lab.receive_steering else "off",
            "requests recorded": str(len(result.records)),
            "requests by Locust's count": str(result.locust_requests),
            "connections opened": str(result.opened),
        },
    )
    return record, facts


def _require_alive(server: Apache, docker_host: Host) -> None:
    """Raise MeasurementInvalid where what was measured ended under its load."""
    state, link = server.state(docker_host), docker_host.link_state(UPLINK)
    if (state, link) != ("running", "up"):
        raise MeasurementInvalid(
            "Looking at the server after its load",
            f"Apache is {state}, {docker_host.name}'s uplink is {link}; Apache's last words:"
            f" {server.last_words() or 'none'}",
            "The slot is INVALID.",
        )


def _watch_control(bed: Bed, slot: Slot, condition: Condition) -> SlotRecord:
    """A container that nobody shall reach: Apache answers inside it, and the client gets nothing."""
    arm = bed.scenario.arm(slot.arm)
    path = f"/{condition.load.page_bytes}"
    docker_host = bed.site(arm, condition).engine.host
    with bed.serve(arm, condition, f"bench-{slot.index:03d}-{arm.name}") as server:
        inside = ["nsenter", "-t", str(server.pid), "--net"]
        links = [link["ifname"] for link in json.loads(docker_host.run([*inside, "ip", "-j", "link"]))]
        fetch = ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}"]
        status = docker_host.run([*inside, *fetch, f"http://127.0.0.1{path}"])
        answered = bed.generator.first_200_ns(server.endpoint, path, CONTROL_S) is not None
    return SlotRecord(slot=slot, gates=tuple(check_control(links, status, answered)))


def _unmeasured(slot: Slot, reason: str) -> SlotRecord:
    gate = Gate(
        name=UNMEASURED,
        passed=False,
        seen="no",
        limit="yes",
        unit="the container ran and was loaded",
        detail=reason,
    )
    return SlotRecord(slot=slot, gates=(gate,))
