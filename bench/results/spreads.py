"""The p50s of a run as `statistics.components` wants them: by block, by container, by round of turns."""

from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.records.run import SlotRecord
from bench.results import columns
from bench.scenario.metric import Metric
from bench.statistics.components import BlockSpread, Components, find_components

if TYPE_CHECKING:
    from bench.results.run import Run

COLUMNS = ("condition", "candidate", "session", "block", "container", "wander", "blocks", "blocks_of_session")


def find_run_components(run: "Run") -> dict[tuple[int, str], Components]:
    """(condition, candidate) -> the components of its contrast with the baseline."""
    scenario = run.record.scenario
    found = {}
    for condition, about in enumerate(run.conditions):
        slots = [record for record in run.record.slots if record.slot.condition == condition]
        for arm in scenario.compared if about.is_compared else ():
            if arm.name != scenario.baseline:
                names = (scenario.baseline, arm.name)
                repeats = [scenario.repeats(scenario.arm(name)) for name in names]
                components = find_components(list_blocks(run.path, slots, names, repeats))
                if components:
                    found[condition, arm.name] = components
    return found


def tabulate_components(run: "Run") -> pd.DataFrame:
    """The rows of `Run.components`."""
    rows = [
        {"condition": run.conditions[condition].label, "candidate": candidate, **components.model_dump()}
        for (condition, candidate), components in run.variance.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def list_blocks(
    folder: Path, slots: Iterable[SlotRecord], names: tuple[str, str], repeats: Sequence[int]
) -> list[BlockSpread]:
    """The complete blocks of two arms, the baseline first, among `slots` of one condition stored in `folder`.

    Reads the requests of slots that took turns. Raises InputError where they cannot be read.
    """
    sizes: dict[int | None, int] = {}
    blocks: dict[tuple[int, int], dict[str, list[SlotRecord]]] = {}
    for record in slots:
        sizes[record.slot.life] = sizes.get(record.slot.life, 0) + 1
        if record.valid and record.slot.arm in names and record.values.get(Metric.P50_LATENCY_US):
            place = record.slot.session, record.slot.block
            blocks.setdefault(place, {name: [] for name in names})[record.slot.arm].append(record)
    return [
        _describe(folder, session, [sides[name] for name in names], sizes)
        for (session, _), sides in sorted(blocks.items())
        if [len(sides[name]) for name in names] == list(repeats)
    ]


def _describe(
    folder: Path, session: int, sides: Sequence[Sequence[SlotRecord]], sizes: dict[int | None, int]
) -> BlockSpread:
    base, other = ([log(record.values[Metric.P50_LATENCY_US] or 1) for record in side] for side in sides)
    rounds: list[float] = []
    if all(record.turns for side in sides for record in side):
        by_side = [
            [_read_rounds(folder, record, sizes[record.slot.life]) for record in side] for side in sides
        ]
        shared = set.intersection(*(set(of_slot) for side in by_side for of_slot in side))
        means = [
            [float(np.mean([of_slot[number] for of_slot in side])) for number in sorted(shared)]
            for side in by_side
        ]
        rounds = [candidate - baseline for baseline, candidate in zip(*means, strict=True)]
    return BlockSpread(
        session=session,
        contrast=float(np.mean(other) - np.mean(base)),
        slots=(base, other),
        rounds=rounds,
    )


def _read_rounds(folder: Path, record: SlotRecord, slots: int) -> dict[int, float]:
    """Round of the set, of so many slots -> mean logarithm of the p50s of the slot's cells in it."""
    wanted = ["sent_ns", "done_ns", "outcome", "cell"]
    sealed = record.sealed.get(columns.REQUESTS_FILE)
    table = columns.to_frame(columns.read_requests(folder, record.slot.directory, wanted, sealed))
    counted = table[(table["cell"] >= 0) & (table["outcome"] == "ok")]
    p50s_ns = (counted["done_ns"] - counted["sent_ns"]).groupby(counted["cell"]).median()
    # A round is an order of all of the set's slots, and the same backwards.
    logs = p50s_ns.transform(np.log).groupby(p50s_ns.index // (2 * slots)).mean()
    return dict(zip(logs.index.tolist(), logs.tolist(), strict=True))
