"""Measures a slot whose subject is the start: containers of its arm, together, from creation to removal."""

from contextlib import ExitStack

from bench.generator.awaiting import awaiting_all
from bench.generator.client import PROBE_TIMEOUT_S
from bench.lab.hosts.host import network_of, parse_cpus
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.footprint import count_rules, read_footprint
from bench.lab.instruments.surroundings import describe_cores
from bench.lab.servers.fleet import Fleet, fleet
from bench.lab.servers.server import network_inode
from bench.measure.asks import ask_of
from bench.measure.deployment import Deployment, deploy_idle, describe_facts, require_set
from bench.measure.slot import (
    FAULTS,
    Found,
    Moment,
    check_deployment,
    container_name,
    describe_fault,
    list_evidence,
    unmeasured,
)
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.scenario.conditions import Condition
from bench.scenario.load import Load
from bench.scenario.plan import Slot
from bench.scenario.starting import more_ports, own_port
from bench.slots.gates.gate import Gate, GateKind
from bench.slots.gates.identity import check_identity
from bench.slots.gates.machine import check_quiet, check_still
from bench.slots.gates.path import check_namespaces
from bench.slots.starts import StartsRecord, measure_starts
from bench.slots.surroundings import digest

PATIENCE_S, PATIENCE_A_CONTAINER_S, PATIENCE_A_PORT_S = PROBE_TIMEOUT_S, 3.0, 0.5
"""Until all answer: reports have 17 s for 201 ports of one container, on one thread of Docker's."""


def measure_start(bed: Bed, slot: Slot, condition: Condition) -> Found:
    """Measure `slot`. One that cannot be measured is a record with a failed gate; only a dead generator
    raises."""
    begun = Moment.now()
    try:
        record, facts = _measure(bed, slot, condition)
    except FAULTS as fault:
        record, facts = unmeasured(slot, describe_fault(bed, fault)), {}
    return begun.stamp(record, 0.0), facts


def _measure(bed: Bed, slot: Slot, condition: Condition) -> Found:
    arm, load = bed.scenario.arm(slot.arm), condition.load
    network, site = bed.scenario.network(arm), bed.site(arm, condition)
    with bed.hold_idle_states(condition) as idle, ExitStack() as alive:
        bed.arrange(condition.lab)
        alive.enter_context(deploy_idle(bed, condition, slot.index))
        fixed_work_us = bed.time_fixed_work()
        rules = count_rules(site.engine.host)
        ports = _list_ports(load, bed.scenario.port(arm, load))
        bed.begin_activity()
        started = alive.enter_context(fleet(site, arm, network, container_name(slot), ports))
        bed.generator.send_from(started.sender)
        # A container's network ends when nothing is in it.
        alive.callback(bed.generator.send_from, bed.lab.client)
        first_ns = _start(bed, condition, started)
        footprint = read_footprint(site.engine.host, site.engine.daemon_pid, rules)
        deployment = _look_at(condition, started, first_ns[0])
        gates = _check(bed, started, deployment)
        started.remove()
        quiet = bed.end_activity()
        alive.close()
    record = StartsRecord(
        containers=tuple(
            member.describe(answered) for member, answered in zip(started.members, first_ns, strict=True)
        ),
        longest_look_ms=started.longest_look_ms,
        footprint=footprint,
    )
    gates += _check_machine(quiet, record, bed.scenario.schedule.max_steal)
    return SlotRecord(
        slot=slot,
        window_start_ns=min(each.create_asked_ns for each in record.containers),
        window_end_ns=max(each.removed_ns for each in record.containers),
        start_to_first_200_ms=(first_ns[0] - record.containers[0].start_asked_ns) / 1e6,
        values=dict(measure_starts(record)),
        fixed_work_us=fixed_work_us,
        surroundings=digest(deployment.facts),
        starts=record,
        gates=tuple(gates),
        evidence={
            **list_evidence(deployment, idle),
            "containers": str(load.containers),
            **bed.bystanders.describe(bed.lab.client),
        },
    ), deployment.facts


def _list_ports(load: Load, port: int) -> list[tuple[int, dict[str, int]]]:
    """Of each container its own port, and what it publishes besides: nothing listens behind those."""
    return [
        (
            own_port(port, place),
            {f"{outside}/{load.more_ports_protocol}": outside for outside in more_ports(load, place)},
        )
        for place in range(load.containers)
    ]


def _start(bed: Bed, condition: Condition, started: Fleet) -> tuple[int, ...]:
    """Start all, and wait for their answers: CLOCK_MONOTONIC ns of each one's first."""
    load, ask = condition.load, ask_of(bed.ready(condition), None)
    patience_s = max(PATIENCE_S, bed.scenario.served.ready.timeout_s) + load.containers * (
        PATIENCE_A_CONTAINER_S + PATIENCE_A_PORT_S * load.more_ports
    )
    with awaiting_all(bed.generator, ask, load.containers, patience_s) as awaited:
        started.start(awaited.tell, lambda: awaited.is_over, patience_s)
        first_ns = awaited.first_ns()
    started.require_all(first_ns, patience_s)
    for member in started.members:  # That it is this run's own that answered.
        server = started.server(member)
        bed.generator.prove(server.endpoint, server.secret)
    return first_ns


def _look_at(condition: Condition, started: Fleet, first_ns: int) -> Deployment:
    """The first of the containers, as a deployment is known."""
    site = started.site
    server = started.server(started.members[0])
    facts = describe_facts(site, server, started.network)
    require_set(site, facts, started.arm)
    return Deployment(
        arm=started.arm,
        condition=condition,
        network=started.network,
        site=site,
        sender=started.sender,
        server=server,
        first_200_ns=first_ns,
        inode=network_inode(server, site.engine),
        facts=facts,
        rules=None,
    )


def _check(bed: Bed, started: Fleet, deployment: Deployment) -> list[Gate]:
    """Gates that what ran is what every arm runs, where its mode says: each of the containers."""
    if len(started.members) == 1:
        return check_deployment(bed, deployment)
    engine, expected = started.site.engine, parse_cpus(started.site.engine.host.cpus)
    servers = [started.server(member) for member in started.members]
    images = {server.image_id for server in servers}
    cores = [parse_cpus(describe_cores(engine.host, server.pid)) for server in servers]
    return [
        *check_namespaces(
            started.network.in_host_network,
            [network_inode(server, engine) for server in servers],
            network_of(engine.host),
        ),
        *check_identity(
            next(iter(images - {bed.image.id}), bed.image.id),
            bed.image.id,
            next((found for found in cores if found != expected), expected),
            expected,
        ),
    ]


def _check_machine(quiet: Activity, record: StartsRecord, max_steal: float) -> list[Gate]:
    """Who else was busy. New processes are the engine's own here, and its business."""
    found = check_quiet(quiet.stray_cpu, quiet.new_processes_per_s, quiet.steal_share, max_steal)
    return [
        *(gate for gate in found if gate.name is not GateKind.NEW_PROCESSES),
        *check_still(quiet.seconds, record.span_s, quiet.slept_s, 0, 0),
    ]
