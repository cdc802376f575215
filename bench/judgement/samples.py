"""Slots become blocks: the samples of every statistic.

A question is asked of two or more sides (an arm under a condition). A block answers it where every
planned slot of every side is there, is valid and gives the metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

from bench.scenario.conditions import Condition, conditions
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics

MIN_BLOCKS = 3
"""Fewer complete blocks than this give no interval worth printing."""
MIN_COMPLETE_SHARE = 0.5
"""A question that lost more than half of its blocks to gates has no answer."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """The slots of one arm under one condition, all of its repeats or some."""

    arm: str
    condition: int
    """Index into `conditions(scenario)`."""
    repeats: range


@dataclass(frozen=True, kw_only=True)
class Block:
    """A complete block: one mean a side, in the order of the sides."""

    number: int
    session: int
    logs: tuple[float, ...]
    """Mean logarithm of the metric."""
    values: tuple[float, ...]
    """Mean of the metric, in its unit."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The blocks that answer a question, of those in which any of its slots was measured."""

    blocks: tuple[Block, ...]
    begun: int
    shortage: str = ""
    """Why no block of a run like this can answer it, if so."""

    @property
    def is_enough(self) -> bool:
        """Whether there are enough blocks for an interval."""
        enough = len(self.blocks) >= MIN_BLOCKS and len(self.blocks) >= MIN_COMPLETE_SHARE * self.begun
        return enough and not self.shortage

    @property
    def gap(self) -> str:
        """What to say where there are not enough."""
        return self.shortage or describe_shortage(len(self.blocks), self.begun)


def describe_shortage(complete: int | str, begun: int) -> str:
    """Why there is no answer: so few blocks (a number, or several numbers in words) are left."""
    return f"only {complete} of {begun} blocks are complete and valid"


def describe_loss(lost: int | str, begun: int) -> str:
    """That an answer rests on fewer blocks than were begun."""
    return f"{lost} of {begun} blocks left out: a slot in them lacks this metric"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A scenario with its slots by arm and condition, and the seed of the resampling."""

    scenario: Scenario
    conditions: tuple[Condition, ...]
    cells: Mapping[tuple[str, int], Sequence[SlotMetrics]]
    seed: int
    anytime: bool = False
    """Whether it may have ended by what it said: its intervals are then those of confidence sequences."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics of the scenario that its slots know: not those that a later version of bench added."""
        known = {metric for slots in self.cells.values() for slot in slots for metric in slot.values}
        return tuple(metric for metric in self.scenario.metrics if metric in known) or self.scenario.metrics

    def side(self, arm: str, condition: int) -> Side:
        """All slots of `arm` under `condition`."""
        return Side(arm=arm, condition=condition, repeats=range(self._repeats(arm)))

    def halves(self, arm: str, condition: int) -> tuple[Side, Side]:
        """The first half of an arm's repeats and the other half, which is larger by one of an odd number."""
        count = self._repeats(arm)
        return (
            Side(arm=arm, condition=condition, repeats=range(count // 2)),
            Side(arm=arm, condition=condition, repeats=range(count // 2, count)),
        )

    def _repeats(self, arm: str) -> int:
        return self.scenario.repeats(self.scenario.arm(arm))

    def sample(self, metric: Metric, sides: Sequence[Side]) -> Sample:
        """The blocks that are complete on every one of `sides`, in order."""
        by_side = [self._values(metric, side) for side in sides]
        sessions = {
            slot.block: slot.session
            for side in sides
            for slot in self.cells.get((side.arm, side.condition), ())
        }
        return Sample(
            blocks=tuple(
                Block(
                    number=number,
                    session=sessions[number],
                    logs=tuple(fmean([log(value) for value in values[number]]) for values in by_side),
                    values=tuple(fmean(values[number]) for values in by_side),
                )
                for number in sorted(sessions)
                if all(number in values for values in by_side)
            ),
            begun=len(sessions),
            shortage=self._find_shortage(metric, sides),
        )

    def _find_shortage(self, metric: Metric, sides: Sequence[Side]) -> str:
        """Where a side stalled throughout, or its typical block has fewer requests than the metric wants."""
        wanted = metric.about.needs_requests
        for side in sides:
            slots = self.cells.get((side.arm, side.condition), ())
            if slots and all(slot.stalled for slot in slots):
                return f"{side.arm} stalled in every slot: connections on which nothing moved any more"
            counts = [slot.requests for slot in slots if slot.valid and slot.requests is not None]
            # Of all of its slots, though it be half of them that are compared: A/A pairs go with their arm.
            typical = int(median(counts)) * self._repeats(side.arm) if counts else wanted
            if typical < wanted:
                return (
                    f"a {metric.label} wants {wanted:,} requests of an arm in a block, and {side.arm} has"
                    f" {typical:,}: a longer window gives them"
                )
        return ""

    def _values(self, metric: Metric, side: Side) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for slot in self.cells.get((side.arm, side.condition), ()):
            value = slot.values.get(metric)
            if slot.repeat in side.repeats and slot.valid and value is not None and value > 0:
                found.setdefault(slot.block, []).append(value)
        return {block: values for block, values in found.items() if len(values) == len(side.repeats)}


def sort_slots(
    scenario: Scenario, slots: Sequence[SlotMetrics], seed: int, *, anytime: bool = False
) -> Measured:
    """The slots of a run, by arm and condition."""
    cells: dict[tuple[str, int], list[SlotMetrics]] = {}
    for slot in slots:
        cells.setdefault((slot.arm, slot.condition), []).append(slot)
    return Measured(
        scenario=scenario, conditions=conditions(scenario), cells=cells, seed=seed, anytime=anytime
    )
