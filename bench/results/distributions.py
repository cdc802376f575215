"""Latencies of a whole run as what figures and curves want of them: read once, a slot at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.judgement.samples import MIN_BLOCKS, MIN_COMPLETE_SHARE
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
    found = [
        _shift_candidate(run, run.distributions(column), condition, pair)
        for condition, about in enumerate(run.conditions)
        if about.is_compared
        for pair in pairs
    ]
    rows = [row for rows in found for row in rows]
    numbers = dict.fromkeys(SHIFT_COLUMNS[3:-1], float)
    return pd.DataFrame(rows, columns=list(SHIFT_COLUMNS)).astype(numbers)


def _shift_candidate(
    run: "Run", known: Distributions, condition: int, names: tuple[str, str]
) -> list[tuple[object, ...]]:
    """A row a level; none where too few blocks are complete."""
    scenario, (baseline, candidate) = run.record.scenario, names
    blocks: dict[tuple[int, int], dict[str, list[np.ndarray]]] = {}
    requests: dict[str, list[int]] = {name: [] for name in names}
    for record in run.record.slots:
        slot = record.slot
        if slot.condition == condition and slot.arm in names:
            of_block = blocks.setdefault((slot.session, slot.block), {name: [] for name in names})
            if slot.index in known.quantiles_us:
                of_block[slot.arm].append(known.quantiles_us[slot.index])
                requests[slot.arm].append(record.requests)
    repeats = {name: scenario.repeats(scenario.arm(name)) for name in names}
    complete = {
        place: sides
        for place, sides in sorted(blocks.items())
        if all(len(sides[name]) == repeats[name] for name in names)
    }
    if len(complete) < MIN_BLOCKS or len(complete) < MIN_COMPLETE_SHARE * len(blocks):
        return []
    typical = min(np.median(requests[name]) * repeats[name] for name in names)
    shown = (1 - LEVELS) * typical >= FEWEST_BEYOND
    sessions = [session for session, _ in complete]
    logs, values = (
        np.array(
            [
                np.mean(scale(sides[candidate]), axis=0) - np.mean(scale(sides[baseline]), axis=0)
                for sides in complete.values()
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
    label = run.conditions[condition].label
    return [
        (label, baseline, candidate, *map(float, of_level), len(complete))
        for of_level in zip(*columns, strict=True)
    ]
