"""Carry-over: what a turn leaves behind for the turn after it, where arms take turns.

The contrast of two arms would hold what either leaves behind for the other, so it is looked for: an
arm's p50 after one arm's turns, against its p50 after all others, set by set.
"""

from collections.abc import Iterable
from math import exp, log
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from bench.judgement.samples import MIN_BLOCKS
from bench.records.run import SlotRecord
from bench.statistics.estimate import estimate


class CarryOver(BaseModel):
    """How much longer an arm's median request takes after the turns of one arm than after others'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: int
    """Index into `conditions(scenario)`."""
    arm: str
    after: str
    """The arm of the turn before; its own, too."""
    ratio: float
    ci95: tuple[float, float]
    """Of the ratio: by itself, not corrected for the number of pairs."""
    sets: int
    """The sample, never the turn."""

    @property
    def excludes_one(self) -> bool:
        """Whether an effect is told; of a number of pairs without any, one in twenty is."""
        return not self.ci95[0] <= 1 <= self.ci95[1]


def pool_carry_over(records: Iterable[SlotRecord]) -> list[CarryOver]:
    """The carry-over of every pair of arms that enough sets tell, from the valid slots of a run.

    A set's value is the mean over the arm's slots in it of the logarithm of the p50s' ratio; sets of
    several sessions are sessions' (see `estimate`). Nothing of slots that took no turns.
    """
    found: dict[tuple[int, str, str], dict[tuple[int, int], list[float]]] = {}
    for record in records:
        if not record.turns or not record.valid:
            continue
        slot = record.slot
        for after in record.turns.after:
            of_sets = found.setdefault((slot.condition, slot.arm, after.arm), {})
            ratio = log(after.p50_latency_us / after.otherwise_p50_us)
            of_sets.setdefault((slot.block, slot.session), []).append(ratio)
    pooled = []
    for (condition, arm, before), of_sets in sorted(found.items()):
        if len(of_sets) < MIN_BLOCKS:
            continue
        logs = [fmean(values) for _, values in sorted(of_sets.items())]
        told = estimate(logs, [session for _, session in sorted(of_sets)])
        low, high = told.ci95
        pooled.append(
            CarryOver(
                condition=condition,
                arm=arm,
                after=before,
                ratio=exp(told.mean),
                ci95=(exp(low), exp(high)),
                sets=len(logs),
            )
        )
    return pooled
