"""Latencies of a whole run as what figures and curves want of them: read once, a slot at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.judgement.samples import MIN_BLOCKS, Measured, sort_slots
from bench.scenario.metric import Metric
from bench.statistics.histogram import count_latencies
from bench.statistics.quantile_effect import estimate_band

if TYPE_CHECKING:
    from bench.results.run import Run

LEVELS = np.array([*np.arange(1, 100), 99.5, 99.9]) / 100
FEWEST_BEYOND = 10
"""Requests of an arm that lie beyond a quantile in a typical block, or the curve ends before it."""
SHIFT_COLUMNS = (
    "condition",
    "baseline",
    "candidate",
    "level",
    "ratio",
    "ratio_low",
    "ratio_high",
    "difference_us",
    "difference_us_low",
    "difference_us_high",
    "blocks",
)


@dataclass(frozen=True, kw_only=True)
class Distributions:
    """Of the valid slots that were answered in."""

    quantiles_us: dict[int, np.ndarray]
    """Slot -> its latencies at `LEVELS`."""
    counts: dict[tuple[int, str], np.ndarray]
    """(condition, arm) -> all latencies of its slots as counts (see `histogram`)."""


def read_distributions(run: "Run", column: str) -> Distributions:
    """Go through the requests of `run`; `column`: `latency_us`, or `service_us`."""
    quantiles: dict[int, np.ndarray] = {}
    counts: dict[tuple[int, str], np.ndarray] = {}
    for record in run.record.slots:
        if not (record.valid and record.requests):
            continue
        latencies_us = run.latencies_us(record.slot.index, service=column == "service_us")
        if not len(latencies_us):
            continue
        quantiles[record.slot.index] = np.quantile(latencies_us, LEVELS)
        place = record.slot.condition, record.slot.arm
        counted = count_latencies(latencies_us)
        counts[place] = counts[place] + counted if place in counts else counted
    return Distributions(quantiles_us=quantiles, counts=counts)


def find_shift(run: "Run", column: str, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The rows of `Run.shift`, of each of `pairs` of arms: the baseline and the candidate."""
    slots = [record.metrics() for record in run.record.slots]
    measured = sort_slots(run.record.scenario, slots, run.record.seed)
    found = [
        _shift_candidate(measured, run.distributions(column), condition, pair)
        for condition, about in enumerate(run.conditions)
        if about.is_compared
        for pair in pairs
    ]
    rows = [row for rows in found for row in rows]
    numbers = dict.fromkeys(SHIFT_COLUMNS[3:-1], float)
    return pd.DataFrame(rows, columns=list(SHIFT_COLUMNS)).astype(numbers)


def _shift_candidate(
    measured: Measured, known: Distributions, condition: int, names: tuple[str, str]
) -> list[tuple[object, ...]]:
    """A row a level; none where too few blocks are complete: those of the p50 itself."""
    sample = measured.sample(Metric.P50_LATENCY_US, [measured.side(name, condition) for name in names])
    if not sample.is_enough:
        return []
    slots = {name: measured.cells[name, condition] for name in names}
    # A p50 is stored of a slot whose file, or window, somebody changed so that nothing was answered in it.
    empty = {slot.block for each in slots.values() for slot in each if slot.index not in known.quantiles_us}
    blocks = [block for block in sample.blocks if block.number not in empty]
    if len(blocks) < MIN_BLOCKS:
        return []
    typical = min(
        np.median([slot.requests for slot in of_arm if slot.index in known.quantiles_us])
        * measured.scenario.repeats(measured.scenario.arm(name))
        for name, of_arm in slots.items()
    )
    shown = (1 - LEVELS) * typical >= FEWEST_BEYOND
    sides = [
        [
            [known.quantiles_us[slot.index] for slot in slots[name] if slot.block == block.number]
            for name in names
        ]
        for block in blocks
    ]
    sessions = [block.session for block in blocks]
    logs, values = (
        np.array(
            [
                np.mean(scale(candidate), axis=0) - np.mean(scale(baseline), axis=0)
                for baseline, candidate in sides
            ]
        )[:, shown]
        for scale in (np.log, np.array)
    )
    ratio, difference = estimate_band(logs, sessions), estimate_band(values, sessions)
    columns = (
        LEVELS[shown],
        np.exp(ratio.mean),
        np.exp(ratio.low),
        np.exp(ratio.high),
        difference.mean,
        difference.low,
        difference.high,
    )
    label = measured.conditions[condition].label
    return [(label, *names, *map(float, of_level), len(sessions)) for of_level in zip(*columns, strict=True)]
