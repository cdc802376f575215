"""Measures a set: containers of all arms alive together, that take turns at the load.

Each container's path is proved alone, in its warm-up; over the turns together the counters must be the sum.
The unit is the set: what follows from it is a record a slot, as of slots that were measured one by one.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.errors import MeasurementInvalid
from bench.generator.results import Server
from bench.measure.answers import verify_answers
from bench.measure.deployment import Deployment, deploy, deploy_idle
from bench.measure.loaded_set import LoadedSet, Proof, Together
from bench.measure.slot import FAULTS, Found, Moment, container_name, describe_fault, unmeasured
from bench.measure.testbed import Bed
from bench.measure.window import leave_out_swarm
from bench.scenario.conditions import Condition
from bench.scenario.plan import Slot, loaded_seconds
from bench.slots.requests import Outcome

SHORTEST_S = 0.01
"""Of a proof's own warm-up: the first request on a connection."""


def measure_set(
    bed: Bed, slots: Sequence[Slot], condition: Condition, cells: Sequence[int], folder: Path
) -> list[Found]:
    """Measure `slots` (of one life) by turns in the order of `cells`, which are indexes of them.

    As `measure_slot`; but slots of a set belong together, and what keeps one of them from being loaded
    keeps all.
    """
    begun = Moment.now()
    interleave = bed.scenario.schedule.interleave
    assert interleave
    try:
        found = _measure(bed, slots, condition, cells, folder)
    except FAULTS as fault:
        reason = describe_fault(bed, fault)
        found = [(unmeasured(slot, reason), {}) for slot in slots]
    loaded_s = loaded_seconds(condition, interleave)
    return [
        (begun.stamp(record, loaded_s if record.requests else 0.0, len(slots)), facts)
        for record, facts in found
    ]


def _measure(
    bed: Bed, slots: Sequence[Slot], condition: Condition, cells: Sequence[int], folder: Path
) -> list[Found]:
    with bed.hold_idle_states(condition) as idle, ExitStack() as alive:
        bed.arrange(condition.lab)
        alive.enter_context(deploy_idle(bed, condition, slots[0].index))
        deployments = []
        for slot in slots:
            arm = bed.scenario.arm(slot.arm).model_copy(update={"port": slot.port})
            deployments.append(alive.enter_context(deploy(bed, arm, condition, container_name(slot))))
        seed = slots[0].arrival_seed  # One for all slots of a block.
        proofs = [_prove(bed, deployment, seed) for deployment in deployments]
        together = _drive_in_turns(bed, deployments, cells, seed)
    found = LoadedSet(bed, slots, deployments, proofs, together, idle)
    return [(found.judge(place, folder), deployments[place].facts) for place in range(len(slots))]


def _prove(bed: Bed, deployment: Deployment, seed: int) -> Proof:
    """Load `deployment` alone for its warm-up, between two readings of what it moves."""
    load = deployment.condition.load
    warm_up = load.model_copy(update={"warm_up_s": SHORTEST_S, "measure_s": load.warm_up_s})
    bed.generator.send_from(deployment.sender)
    bed.generator.prove(deployment.server.endpoint, deployment.server.secret)
    answers = verify_answers(bed, deployment, "before its load")
    before = deployment.count()
    endpoint, asks = deployment.server.endpoint, bed.asks(warm_up)
    result = bed.generator.load(warm_up, endpoint, deployment.arm.name, asks, seed, tls=bed.tls(load))
    return Proof(result, deployment.count().since(before), answers)


def _drive_in_turns(bed: Bed, deployments: Sequence[Deployment], cells: Sequence[int], seed: int) -> Together:
    """`seed`: of the order of the requests, where they are several."""
    interleave, load = bed.scenario.schedule.interleave, deployments[0].condition.load
    assert interleave
    fixed_work_us = bed.time_fixed_work()
    servers = [Server(found.arm.name, found.server.endpoint, found.sender) for found in deployments]
    before = [deployment.count() for deployment in deployments]
    bed.begin_activity()
    try:
        result = bed.generator.load_in_turns(
            load, interleave, servers, cells, bed.asks(load), seed, tls=bed.tls(load)
        )
    except MeasurementInvalid:
        _require_alive(deployments)  # If one ended, that is the reason.
        raise
    quiet = bed.end_activity()
    _require_alive(deployments)
    counted = [
        leave_out_swarm(deployments, found.count().since(start))
        for found, start in zip(deployments, before, strict=True)
    ]
    troubles = []
    for deployment, records in zip(deployments, result.records, strict=True):
        is_wrong = (records["outcome"] != Outcome.OK).any()
        troubles.append(deployment.describe_trouble() if is_wrong else "")
        if not is_wrong:
            verify_answers(bed, deployment, "after its load")
    return Together(result, counted, quiet, max(fixed_work_us, bed.time_fixed_work()), troubles)


def _require_alive(deployments: Sequence[Deployment]) -> None:
    for deployment in deployments:
        deployment.require_alive()
