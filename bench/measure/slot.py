"""Measures one slot: a fresh container from its start to its removal, with its gates."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import BenchError, MeasurementInvalid
from bench.generator.client import GeneratorDied, LoadResult
from bench.generator.wrk import measure_with_wrk
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Host, parse_cpus
from bench.lab.hosts.readings import read_files
from bench.lab.instruments.activity import Activity, begin_activity, end_activity
from bench.lab.instruments.core_speed import time_fixed_work
from bench.lab.instruments.counters import read_network_counters
from bench.lab.instruments.cpu import Watch, watch_cpu
from bench.lab.instruments.surroundings import read_surroundings
from bench.lab.instruments.tcpdump import Captured
from bench.lab.servers.server import Apache, network_inode
from bench.measure.captures import begin_capture, read_captures, store_captures
from bench.measure.settings import hold_idle_states
from bench.measure.testbed import CONTROL_S, Bed
from bench.records.run import UNMEASURED, SlotRecord
from bench.results import columns
from bench.scenario.conditions import Condition
from bench.scenario.metric import Metric
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.plan import IDLE_S, Slot
from bench.slots.cpu import Rates, measure_cpu, rate
from bench.slots.gates.gate import Gate, Voids
from bench.slots.gates.identity import check_control, check_identity
from bench.slots.gates.load import check_load, check_open_loop, check_ports, usable_metrics
from bench.slots.gates.machine import check_idle, check_quiet
from bench.slots.gates.network import check_network
from bench.slots.gates.path import check_namespace, check_path
from bench.slots.metrics import measure_requests
from bench.slots.surroundings import Facts, digest


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
            loaded_s += IDLE_S if load.measures_cpu else 0.0
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
    sender, docker_host = bed.sender(site), site.engine.host
    load, path = condition.load, f"/{condition.load.page_bytes}"
    bed.arrange(condition.lab)
    with (
        hold_idle_states(condition.lab.hold_idle_states) as held,
        bed.serve(arm, condition, f"bench-{slot.index:03d}-{arm.name}") as server,
    ):
        # Not before the engine says that it has started: a packet to a container whose link is not up
        # yet leaves an unanswered ARP request behind, and the kernel's next one comes a second later.
        first_200_ns = _await_answer(bed, server, path, arm.name)
        inode = network_inode(server, site.engine)
        facts = read_surroundings(docker_host, server.pid)
        fixed_work_us = time_fixed_work()
        watch = None
        if load.measures_cpu:
            watch = watch_cpu(docker_host, site.engine.cgroup, bed.generator.process.pid)
            idle = _watch_idle(watch)
        before = read_network_counters(sender, docker_host, server.pid, ipv6=network.ipv6)
        result, quiet, captured = _drive(bed, slot, condition, server, watch.files if watch else ())
        _require_alive(server, docker_host)
        try:
            after = read_network_counters(sender, docker_host, server.pid, ipv6=network.ipv6)
        except (FileNotFoundError, ProcessLookupError):
            _require_alive(server, docker_host)  # It ended between the two lines above.
            raise
        fixed_work_us = max(fixed_work_us, time_fixed_work())
        witness_rps = None
        if load.wrk_witness_s:
            witness_rps = measure_with_wrk(
                sender,
                server.endpoint,
                path,
                load.connections,
                load.wrk_witness_s,
                keep_alive=load.keep_alive,
            )
    metrics = measure_requests(result.records, result.window_start_ns, result.window_end_ns, load)
    values, cpu = metrics.values, None
    if watch:
        opened, closed = map(watch.parse, result.readings)
        owners = {
            **dict.fromkeys(parse_cpus(bed.lab.client.cpus), "client"),
            **dict.fromkeys(parse_cpus(docker_host.cpus), "docker"),
        }
        cpu = measure_cpu(idle, rate(opened, closed), metrics.requests, owners)
        values = values | ({Metric.CPU_US_PER_REQUEST: cpu.us_per_request} if cpu else {})
    counted = after.since(before)
    # A sleeper is woken late by a sleepy machine, and taps take turns with the generator on its core.
    other_purpose = load.pacing == "sleep" or condition.lab.taps
    lateness_voids = Voids.LATENCY if other_purpose else Voids.SLOT
    gates = [
        *check_load(metrics.requests, metrics.errors, metrics.unfinished, result.cpu_share),
        *(check_open_loop(metrics.open_loop, metrics.values, lateness_voids) if metrics.open_loop else []),
        *(check_idle(cpu.idle_cores) if cpu else []),
        *check_quiet(quiet.stray_cpu, quiet.new_processes_per_s, quiet.steal_share),
        *check_network(counted.losses, counted.room),
        *check_ports(result.without_port),
        *check_path(
            network.path_from(load.vantage),
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
    columns.write_requests(folder, slot.directory, result.records)
    capture = None
    if captured:
        found = read_captures(captured, path, result)
        store_captures(folder, slot.directory, captured, found)
        capture = found.record
        gates += found.gates
    record = SlotRecord(
        slot=slot,
        window_start_ns=result.window_start_ns,
        window_end_ns=result.window_end_ns,
        realtime_offset_ns=time.time_ns() - time.monotonic_ns(),
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
        start_to_first_200_ms=(first_200_ns - server.started_ns) / 1e6,
        wrk_witness_rps=witness_rps,
        generator_busy=result.cpu_share,
        core_busy=result.core_busy,
        fixed_work_us=fixed_work_us,
        counters=counted.path,
        surroundings=digest(facts),
        capture=capture,
        gates=tuple(gates),
        evidence={
            "docker host": site.place.name,
            "engine process": str(site.engine.daemon_pid),
            "vantage": f"{load.vantage}, in the network of {sender.name}",
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


def _await_answer(bed: Bed, server: Apache, path: str, arm: str) -> int:
    """CLOCK_MONOTONIC of the first 200 from a started server."""
    first_200_ns = bed.generator.first_200_ns(server.endpoint, path)
    if first_200_ns is None:
        raise MeasurementInvalid(
            f"Waiting for {arm} at {server.endpoint.address}:{server.endpoint.port}",
            f"no 200 came; Apache's last words: {server.last_words() or 'none'}",
            "The slot is INVALID.",
        )
    return first_200_ns


def _drive(
    bed: Bed, slot: Slot, condition: Condition, server: Apache, watched: Sequence[str]
) -> tuple[LoadResult, Activity, list[Captured]]:
    """Drive the slot's load, between taps where the condition has them; what else ran meanwhile."""
    docker_host = bed.site(bed.scenario.arm(slot.arm), condition).engine.host
    with ExitStack() as taps:
        capturing = None
        if condition.lab.taps:
            capturing = taps.enter_context(
                begin_capture(bed.lab.client, docker_host, server.pid, server.endpoint)
            )
        activity = begin_activity()
        try:
            result = bed.generator.load(condition.load, server.endpoint, slot.arm, slot.arrival_seed, watched)
        except MeasurementInvalid:
            _require_alive(server, docker_host)  # If it ended, that is the reason.
            raise
        quiet = end_activity(activity, [bed.generator.process.pid], bed.lab.hosts)
        return result, quiet, capturing.end() if capturing else []


def _watch_idle(watch: Watch) -> Rates:
    """What the machine does where a container runs and a generator waits, and nothing is asked."""
    begun = watch.parse(read_files(watch.files))
    waiting.sleep(IDLE_S)
    return rate(begun, watch.parse(read_files(watch.files)))


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
