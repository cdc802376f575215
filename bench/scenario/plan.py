"""A scenario and a seed become the ordered list of slots, registered before there is data.

Every block holds every arm under every condition, `slots_per_arm` times, in seeded random order:
drift then falls on all arms alike, and each block carries its own A/A pairs.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import groupby

from bench.scenario.conditions import Condition, conditions
from bench.scenario.scenario import Scenario
from bench.stored import Count, Stored

IDLE_S = 1.0
"""Length of the idle baseline: of every slot, before its load. Its noise, which is mostly the 10 ms in
which the kernel counts, is then in the slot's own value and so in every interval."""

SLOT_OVERHEAD_S = 0.4
"""Start, readiness and removal of a container, between two loads: for time estimates only."""
CAPTURE_OVERHEAD_S = 1.2
"""More, where packets are captured: until the kernel has handed over the last, and to read them."""
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
    life: int | None = None
    """Slots of one life are windows of the same deployments, which are alive together, one an arm and
    condition; None: a deployment of its own."""

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
    slots: list[Slot] = []
    for block in range(scenario.schedule.blocks):
        cells = [
            (arm.name, condition, repeat)
            for arm in scenario.arms
            for condition in range(len(conditions(scenario)))
            for repeat in range(scenario.schedule.slots_per_arm)
        ]
        shuffled.shuffle(cells)
        # 53 bits, which every reader of JSON keeps whole.
        arrival_seed = random.Random(f"arrivals of block {block}, seed {seed}").getrandbits(53)
        for arm_name, condition, repeat in cells:
            slots.append(
                Slot(
                    index=len(slots),
                    session=block * scenario.schedule.sessions // scenario.schedule.blocks,
                    block=block,
                    arm=arm_name,
                    condition=condition,
                    repeat=repeat,
                    arrival_seed=arrival_seed,
                )
            )
    return tuple(slots)


def lives(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Slots in order, those of one life together."""
    for _, shared in groupby(slots, lambda slot: (slot.life, slot.index if slot.life is None else None)):
        yield list(shared)


def loaded_seconds(condition: Condition) -> float:
    """Seconds of one window under `condition` in which it is measured: all but overhead."""
    load = condition.load
    idle_s = IDLE_S if load.measures_cpu else 0.0
    return idle_s + load.warm_up_s + load.measure_s + load.wrk_witness_s


def slot_seconds(condition: Condition) -> float:
    """Expected seconds of one slot under `condition`, its overhead included."""
    overhead_s = SLOT_OVERHEAD_S + (CAPTURE_OVERHEAD_S if condition.lab.taps else 0.0)
    return loaded_seconds(condition) + overhead_s


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
    sessions = len({slot.session for slot in slots})
    return SESSION_OVERHEAD_S * (sessions - 1) + sum(slot_seconds(settings[slot.condition]) for slot in slots)
