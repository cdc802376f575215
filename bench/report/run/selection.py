"""Which arms, conditions and slots a figure shows, and in which colours."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.records.run import SlotRecord
from bench.report.panels import make_key
from bench.report.symbols import MARKERS, PALETTE
from bench.results.run import Run
from bench.scenario.metric import Voids

MOST_VECTOR_SLOTS = 2_000
"""Marks of a run of more slots than these are drawn as pixels: a figure's size has a bound."""


def label_condition(run: Run, condition: int, axes: Axes) -> None:
    """Name the condition above the first panel of its row, where there are several."""
    if run.conditions[condition].label:
        axes.set_title(run.conditions[condition].label, loc="left", fontweight="bold", fontsize=8)


def arm_names(run: Run) -> list[str]:
    """Names of the arms that are compared and could be had, the baseline first."""
    scenario = run.record.scenario
    names = [arm.name for arm in scenario.compared if arm.name not in run.record.unavailable]
    return sorted(names, key=lambda name: name != scenario.baseline)


def present_conditions(run: Run) -> list[int]:
    """Conditions that could be had, by index into `run.conditions`."""
    return [index for index in range(len(run.conditions)) if index not in run.record.unavailable_conditions]


def compared_conditions(run: Run) -> list[int]:
    """Of them, those under which arms are judged."""
    return [index for index in present_conditions(run) if run.conditions[index].is_compared]


def colour_of(run: Run, arm: str) -> str:
    """Colour of an arm, the same in every figure of a run."""
    return PALETTE[arm_names(run).index(arm) % len(PALETTE)]


def marker_of(run: Run, arm: str) -> str:
    """Marker of an arm, so that colour is never the only mark; no two arms share both."""
    index = arm_names(run).index(arm)
    return MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]


def make_arm_keys(run: Run, **look: Any) -> list[Line2D]:
    """A legend's entry an arm."""
    return [
        make_key(marker_of(run, arm), arm, **{"color": colour_of(run, arm), "markersize": 4, **look})
        for arm in arm_names(run)
    ]


def slots_of(run: Run, condition: int, arm: str) -> list[SlotRecord]:
    """Measured slots of an arm under condition number `condition`, INVALID ones included."""
    return [
        record for record in run.record.slots if record.slot.condition == condition and record.slot.arm == arm
    ]


def look_of_many(run: Run) -> dict[str, Any]:
    """What is drawn once a slot or a block, where there are many: pixels, smaller and paler."""
    many = len(run.record.slots) > MOST_VECTOR_SLOTS
    return {"rasterized": True, "markersize": 1.8, "alpha": 0.4} if many else {}


def name_failed_gates(record: SlotRecord) -> str:
    """The gates that made a slot INVALID."""
    return ", ".join(gate.name for gate in record.failed_gates if gate.voids is Voids.SLOT)


def start_seconds(run: Run) -> dict[int, float]:
    """When each slot began, by its index; one that failed to start stands where the one before it ended."""
    begun = pd.Timestamp(run.record.started_at)
    found: dict[int, float] = {}
    ended_s = 0.0
    for record in run.record.slots:
        started_at = record.started_at
        start_s = float((pd.Timestamp(started_at) - begun).total_seconds()) if started_at else ended_s
        found[record.slot.index] = start_s
        ended_s = start_s + record.seconds
    return found
