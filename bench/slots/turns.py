"""Turns of a slot that shared its time with others: what was before each, and what it left behind."""

import numpy as np

from bench.slots.metrics import find_turns
from bench.slots.requests import TURN_DTYPE, Outcome
from bench.slots.turns_record import After


def list_turns(cells: np.ndarray, target: int, indexes: np.ndarray) -> np.ndarray:
    """The turns of one of a set's slots (TURN_DTYPE), in order.

    `cells`: of all, in order, with the fields `target`, `start_ns`, `settled_ns`, `end_ns`; `indexes`: of
    the run's slots, by target.
    """
    own = np.flatnonzero(cells["target"] == target)
    turns = np.zeros(len(own), TURN_DTYPE)
    turns["cell"] = own
    before = indexes[cells["target"][np.maximum(own - 1, 0)]]
    turns["after"] = np.where(own > 0, before, -1)
    for name in ("start_ns", "settled_ns", "end_ns"):
        turns[name] = cells[name][own]
    return turns


def split_by_predecessor(records: np.ndarray, turns: np.ndarray, arms: dict[int, str]) -> tuple[After, ...]:
    """A slot's p50 by the arm whose turn was before its own; `arms`: of the set's slots, by index.

    Without an arm after which it had nothing answered, or nothing after any other.
    """
    cell = find_turns(records["sent_ns"], turns)
    counted = (cell >= 0) & (records["outcome"] == Outcome.OK)
    cell, latency_us = cell[counted], (records["done_ns"] - records["sent_ns"])[counted] / 1e3
    found = []
    for arm in sorted(set(arms.values())):
        of_arm = [index for index, name in arms.items() if name == arm]
        behind = turns["cell"][np.isin(turns["after"], of_arm)]
        split = np.isin(cell, behind)
        if split.any() and not split.all():
            found.append(
                After(
                    arm=arm,
                    turns=len(behind),
                    requests=int(split.sum()),
                    p50_latency_us=float(np.median(latency_us[split])),
                    otherwise_p50_us=float(np.median(latency_us[~split])),
                )
            )
    return tuple(found)
