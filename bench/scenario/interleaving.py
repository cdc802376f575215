"""Arms that take turns: what of a scenario cannot be interleaved, and the order of its cells.

A set is a block under one condition: containers of all arms, alive together, each on a port of its own.
A cell is one turn of one of them.
"""

import random
from collections.abc import Iterator, Sequence

from bench.scenario.load import RAW_ENGINES
from bench.scenario.model import MOST_ALIVE, Interleave
from bench.scenario.tables import Tables

FIRST_PORT = 8001
"""Of a set, whose containers have as many ports from here on, shuffled."""
INSTEAD = "; leave [schedule.interleave] away, for slots"


def order_cells(seed: int, block: int, condition: int, slots: int, rounds: int) -> tuple[int, ...]:
    """Whose turn it is, cell by cell: places 0 to `slots` - 1 of a set.

    A round is a random order and the same order backwards (of two: ABBA or BAAB), so that a drift that
    is straight within a round falls on all alike. Follows from a run's seed, and so is registered with it.
    """
    shuffled = random.Random(f"cells of block {block}, condition {condition}, seed {seed}")
    cells: list[int] = []
    for _ in range(rounds):
        order = list(range(slots))
        shuffled.shuffle(order)
        cells += [*order, *reversed(order)]
    return tuple(cells)


def keep_present(cells: Sequence[int], present: Sequence[int]) -> tuple[int, ...]:
    """The cells of the places in `present`, numbered anew: of a set of which not every arm can be had."""
    numbers = {place: number for number, place in enumerate(present)}
    return tuple(numbers[place] for place in cells if place in numbers)


def describe_turns(interleave: Interleave, slots: int) -> str:
    """A set of `slots`, for a plan."""
    return (
        f"a set is {slots} containers that are alive together, each on a port of its own from {FIRST_PORT}"
        f" on, and take turns: {2 * interleave.rounds * slots} cells of {interleave.cell_ms:g} ms"
        f" ({interleave.settle_ms:g} ms of each left out), each arm's {interleave.life_s:g} s of load"
    )


def faults_of_interleaving(asked: Tables) -> Iterator[str]:
    """Why arms of `asked` cannot take turns; nothing where they need not."""
    if asked.schedule.interleave is None:
        return
    load, lab, factors = asked.load, asked.lab, asked.factors
    if load.is_open:
        yield (
            "schedule.interleave: an open loop's requests arrive when they do, and cannot wait for their"
            f" arm's turn; nor can CPU be told apart by turns{INSTEAD}"
        )
    if not {load.engine, *factors.get("load.engine", ())} <= RAW_ENGINES:
        yield f"schedule.interleave: only the raw engine takes turns{INSTEAD}"
    if load.wrk_witness_s:
        yield f"schedule.interleave: wrk takes no turns (load.wrk_witness_s){INSTEAD}"
    if True in {lab.taps, *factors.get("lab.taps", ())}:
        yield f"schedule.interleave: captures (lab.taps) are of one arm at a time{INSTEAD}"
    if asked.capacity is not None:
        yield f"schedule.interleave: a knee is found with one arm at a time (capacity){INSTEAD}"
    yield from _faults_of_set(asked)


def _faults_of_set(asked: Tables) -> Iterator[str]:
    """Why its containers cannot be alive together."""
    names = {arm.name for arm in asked.arms}
    arms = [arm for arm in asked.arms if arm.target is None or arm.target in names]
    arms = [arm for arm in arms if asked.network(arm).reachable]
    holders: dict[tuple[str, str], str] = {}
    for arm in arms:
        network = asked.network(arm)
        if (
            network.holds and arm.name == asked.baseline
        ):  # Of a service with a fixed port, others have theirs.
            yield (
                f"schedule.interleave: only one container in {arm.mode} mode can be alive at a time, so that"
                f" the baseline {arm.name} would have no A/A pair{INSTEAD}, or take another baseline"
            )
        # Arms of different engines are on Docker hosts of their own.
        host = repr((sorted(network.engine_options.items()), network.rootless))
        holds = network.holds | ({f"port {asked.served.port}"} if asked.is_fixed(arm) else set())
        others = {holders.setdefault((host, held), arm.name) for held in holds} - {arm.name}
        if others:
            yield (
                f"schedule.interleave: {arm.name} and {', '.join(sorted(others))} cannot be alive together:"
                f" both need {', '.join(sorted(holds))}{INSTEAD}"
            )
    alive = sum(asked.repeats(arm) for arm in arms)
    if alive > MOST_ALIVE:
        yield f"schedule.interleave: more than {MOST_ALIVE} containers would be alive: {alive}{INSTEAD}"
