"""A scenario and a seed become the ordered list of slots, registered before there is data.

Every block holds every arm under every condition, `slots_per_arm` times, in seeded random order:
drift then falls on all arms alike, and each block carries its own A/A pairs. Where arms take turns
(`schedule.interleave`), the slots of a block under a condition are a set, alive together: one life.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

from bench.scenario.conditions import Condition, conditions
from bench.scenario.interleaving import FIRST_PORT, keep_present, order_cells
from bench.scenario.model import Interleave
from bench.scenario.names import UPSTREAMS
from bench.scenario.scenario import Scenario
from bench.scenario.starting import start_seconds
from bench.stored import Count, Stored, digest_plain

IDLE_S = 1.0
"""Length of the idle baseline: of every slot, before its load. Its noise, which is mostly the 10 ms in
which the kernel counts, is then in the slot's own value and so in every interval."""

SLOT_OVERHEAD_S = 0.4
"""Start, readiness and removal of a container, between two loads: for time estimates only."""
CAPTURE_OVERHEAD_S = 1.2
"""More, where packets are captured: until the kernel has handed over the last, and to read them."""
TURN_OVERHEAD_S = 0.3
"""More, of a slot that takes turns: its path is proved by itself, and all containers are looked at twice."""
BYSTANDER_S, SHARED_BY = 0.6, 4
"""Start and removal of one that stands beside the slots of a condition in a block, which are four or more:
for time estimates only."""
RUN_OVERHEAD_S = 8.0
"""Lab, engine, image and report of a run whose image is cached: for time estimates only."""
SESSION_OVERHEAD_S = 3.0
"""An engine's restart: for time estimates only."""
WALKTHROUGH_S = 125.0
"""The article's statements under one engine: for time estimates only."""


class Slot(Stored):
    """One fresh container, measured once: the unit of every statistic."""

    index: Count
    """Place in the run's order, from 0."""
    session: Count
    block: Count
    arm: str
    condition: Count
    """Index into `conditions(scenario)`."""
    repeat: Count
    """Which of the arm's slots in this block (0, 1, ...); given before shuffling, so it is random in time."""
    arrival_seed: Count = 0
    """Of an open loop's arrivals; of no use in a closed one."""
    life: Count | None = None
    """Slots of one life take turns, their deployments alive together; None: alone."""
    port: Count | None = None
    """In a set, in place of its arm's."""

    @property
    def directory(self) -> str:
        """Folder of this slot's files inside the run: `slots/<NNN>-<arm>`."""
        return f"slots/{self.index:03d}-{self.arm}"


def plan_slots(scenario: Scenario, seed: int) -> tuple[Slot, ...]:
    """Slots of a whole run in order; the same seed gives the same order.

    All slots of a block have one seed of arrivals (common random numbers): which bursts a window
    happens to hold is then no difference between its arms, nor within an A/A pair, and blocks
    differ in it, so that no answer hangs on one lucky sequence.
    """
    shuffled = random.Random(seed)
    schedule, slots = scenario.schedule, list[Slot]()
    for block in range(schedule.blocks):
        # 53 bits, which every reader of JSON keeps whole.
        arrival_seed = random.Random(f"arrivals of block {block}, seed {seed}").getrandbits(53)
        for place in _places(scenario, shuffled):
            life = None if place.set is None else block * len(conditions(scenario)) + place.set
            slots.append(
                Slot(
                    index=len(slots),
                    session=block * schedule.sessions // schedule.blocks,
                    block=block,
                    arm=place.arm,
                    condition=place.condition,
                    repeat=place.repeat,
                    arrival_seed=arrival_seed,
                    life=life,
                    port=place.port,
                )
            )
    return tuple(slots)


def digest_plan(scenario: Scenario, seed: int, planned: Sequence[Slot], *, as_read: bool = False) -> str:
    """SHA-256 (hex) of all that is fixed before there is data, as `digest_plain` of the three by name.

    `as_read`: of what was read of a file, and not of what it leaves to this version's defaults.
    """
    said = {
        "scenario": scenario.model_dump(mode="json", exclude_unset=as_read),
        "seed": seed,
        "planned": [slot.model_dump(mode="json", exclude_unset=as_read) for slot in planned],
    }
    return digest_plain(said)


@dataclass(frozen=True)
class _Place:
    """A slot in its block."""

    arm: str
    condition: int
    repeat: int
    set: int | None = None
    """Of the block's sets, which it is in."""
    port: int | None = None


def _places(scenario: Scenario, shuffled: random.Random) -> list[_Place]:
    """The slots of a block, in the order that `shuffled` gives them."""
    levels = range(len(conditions(scenario)))
    places = [
        _Place(arm.name, condition, repeat)
        for arm, condition in product(scenario.arms, levels)
        for repeat in range(scenario.repeats(arm))
    ]
    shuffled.shuffle(places)
    if scenario.schedule.interleave is None:
        if any(found.lab.bystanders or found.lab.bystander_networks for found in conditions(scenario)):
            # Those of a condition one after the other: the containers beside them take seconds to start.
            order = list(levels)
            shuffled.shuffle(order)
            places.sort(key=lambda place: order.index(place.condition))
        return places
    order = list(levels)
    shuffled.shuffle(order)
    reachable = {arm.name for arm in scenario.compared}
    fixed = [arm for arm in scenario.compared if scenario.is_fixed(arm)]
    loads = [found.load for found in conditions(scenario)]
    found = []
    for condition in order:
        held_by = {arm.name: scenario.port(arm, loads[condition]) for arm in fixed}
        held = set(held_by.values())
        members = [place for place in places if place.condition == condition and place.arm in reachable]
        # One more than are needed, for the service's own may be among them.
        ports = [port for port in range(FIRST_PORT, FIRST_PORT + len(members) + 1) if port not in held]
        ports = ports[: len(members)]
        shuffled.shuffle(ports)
        found += [
            _Place(place.arm, condition, place.repeat, condition, held_by.get(place.arm, port))
            for place, port in zip(members, ports, strict=True)
        ]
    # A control, which nothing reaches, takes no turns.
    return found + [place for place in places if place.arm not in reachable]


def lives(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Slots in order, those of one life together."""
    for _, shared in groupby(slots, lambda slot: (slot.life, slot.index if slot.life is None else None)):
        yield list(shared)


def turns(scenario: Scenario, seed: int, planned: Iterable[Slot], present: Sequence[Slot]) -> tuple[int, ...]:
    """Whose cell is whose, as indexes into `present`: the slots of one life that can be had, of a run's
    `planned` ones. Recomputed from run.json by whoever asks."""
    interleave, life = scenario.schedule.interleave, present[0].life
    assert interleave
    members = [slot for slot in planned if slot.life == life]
    cells = order_cells(seed, members[0].block, members[0].condition, len(members), interleave.rounds)
    return keep_present(cells, [members.index(slot) for slot in present])


def loaded_seconds(condition: Condition, interleave: Interleave | None = None) -> float:
    """Seconds of one window under `condition` in which it is measured: all but overhead.

    `interleave`: of arms that take turns."""
    load = condition.load
    if load.is_start:
        return 0.0
    idle_s = IDLE_S if load.measures_cpu else 0.0
    if interleave:
        # Warmed up once more on the connections of its turns, for a cell.
        return load.warm_up_s + (2 * interleave.rounds + 1) * interleave.cell_ms / 1_000
    if load.is_lookup:  # Warm-up and window hold one lookup at least.
        wait_s = UPSTREAMS[condition.lab.upstreams].wait_s
        return max(load.warm_up_s, wait_s) + max(load.measure_s, wait_s)
    return idle_s + load.warm_up_s + load.measure_s + load.wrk_witness_s


def slot_seconds(
    condition: Condition, interleave: Interleave | None = None, *, publishes: bool = True
) -> float:
    """Expected seconds of one slot under `condition`, its overhead included. `publishes`: whether its arm
    publishes ports, which takes time where starting is measured."""
    overhead_s = SLOT_OVERHEAD_S + (CAPTURE_OVERHEAD_S if condition.lab.taps else 0.0)
    overhead_s += TURN_OVERHEAD_S if interleave else 0.0
    overhead_s += SLOT_OVERHEAD_S * condition.lab.idle_containers
    overhead_s += start_seconds(condition.load, publishes=publishes) if condition.load.is_start else 0.0
    overhead_s += BYSTANDER_S * (condition.lab.bystanders + condition.lab.bystander_networks) / SHARED_BY
    return loaded_seconds(condition, interleave) + overhead_s


def publishes(scenario: Scenario, slot: Slot) -> bool:
    """Whether the arm of `slot` publishes ports."""
    return scenario.network(scenario.arm(slot.arm)).publishes


def expected_seconds(scenario: Scenario, slots: tuple[Slot, ...]) -> float:
    """Expected seconds of a run of `slots`, from start to report, with the image cached."""
    return overhead_seconds(scenario) + measuring_seconds(scenario, slots)


def overhead_seconds(scenario: Scenario) -> float:
    """Of these, what passes before the first slot and after the last: no budget has a part in it."""
    engines = {condition.lab.engine for condition in conditions(scenario)}
    return RUN_OVERHEAD_S + (WALKTHROUGH_S * len(engines) if scenario.walkthrough else 0)


def measuring_seconds(scenario: Scenario, slots: tuple[Slot, ...]) -> float:
    """Of these, slots and the engine's restarts between sessions: what a budget limits."""
    settings = conditions(scenario)
    sessions, interleave = len({slot.session for slot in slots}), scenario.schedule.interleave
    slots_s = sum(
        slot_seconds(settings[slot.condition], interleave, publishes=publishes(scenario, slot))
        for slot in slots
    )
    return SESSION_OVERHEAD_S * (sessions - 1) + slots_s
