"""Blocks become an effect: a ratio and a difference, each with its intervals.

Ratios are oriented so that more than 1 means that what the signs subtract is better: latency grows
where it is worse, throughput shrinks, and its logarithm is negated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite

from bench.judgement.samples import Sample, describe_loss
from bench.scenario.metric import Metric
from bench.statistics.estimate import (
    Estimate,
    Sensitivity,
    estimate,
    estimate_shift,
    sensitivity,
    sensitivity_of_shift,
)

UNBOUNDED = "too few blocks for an interval that may be looked at after each of them"
FEW_SESSIONS = 3
"""With so few or fewer, the interval is twice as wide or more than that of one session's blocks."""
BOOTSTRAP_DISAGREES = "the bootstrap interval does not exclude 1: treat as INCONCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A contrast of sides over blocks. Its fields are fields of Comparison and of Change too."""

    ratio: float
    ci95: tuple[float, float]
    ci90: tuple[float, float]
    difference: float
    """In the metric's unit, with its own sign: more throughput is a positive difference."""
    difference_ci95: tuple[float, float]
    unit_of_replication: str
    p_value: float
    block_ratios: tuple[float, ...]
    block_numbers: tuple[int, ...]
    bootstrap_ci95: tuple[float, float]
    sign_flip_p_value: float | None
    hodges_lehmann_ratio: float
    notes: tuple[str, ...]

    @property
    def is_bounded(self) -> bool:
        """Whether its intervals have ends."""
        return isfinite(self.ci95[1])


def measure_effect(
    sample: Sample, signs: Sequence[int], metric: Metric, seed: int, *, anytime: bool = False
) -> Effect:
    """The contrast of a block is the sum of its sides, each with its sign: (-1, 1) is second minus first.

    Needs two blocks or more; whether they are enough is for `Sample.is_enough` to say. `anytime`: of a run
    that may have ended by what it said; a few blocks then give an interval without ends.
    """
    logs, values, sessions = contrast_blocks(sample, signs, metric)
    return _describe(
        estimate(logs, sessions, anytime=anytime),
        estimate(values, sessions, anytime=anytime),
        sensitivity(logs, seed),
        notes=_note_gaps(sample, sessions),
        block_ratios=tuple(exp(value) for value in logs),
        block_numbers=tuple(block.number for block in sample.blocks),
    )


def measure_shift(before: Sample, after: Sample, signs: Sequence[int], metric: Metric, seed: int) -> Effect:
    """How far a contrast moved from one run to another, whose blocks are independent of one another."""
    first, second = (contrast_blocks(sample, signs, metric) for sample in (before, after))
    notes = [
        f"{name} run: {note}"
        for name, sample, (_, _, sessions) in (("first", before, first), ("second", after, second))
        for note in _note_gaps(sample, sessions)
    ]
    return _describe(
        estimate_shift(first[0], first[2], second[0], second[2]),
        estimate_shift(first[1], first[2], second[1], second[2]),
        sensitivity_of_shift(first[0], second[0], seed),
        notes=tuple(notes),
    )


def contrast_blocks(
    sample: Sample, signs: Sequence[int], metric: Metric
) -> tuple[list[float], list[float], list[int]]:
    """Of each block the contrast's logarithm (oriented), the contrast in the metric's unit, the session."""
    direction = -1 if metric.higher_is_better else 1
    return (
        [direction * _contrast(block.logs, signs) for block in sample.blocks],
        [_contrast(block.values, signs) for block in sample.blocks],
        [block.session for block in sample.blocks],
    )


def _note_gaps(sample: Sample, sessions: Sequence[int]) -> tuple[str, ...]:
    notes = []
    lost = sample.begun - len(sample.blocks)
    if lost:
        notes.append(describe_loss(lost, sample.begun))
    if 1 < len(set(sessions)) <= FEW_SESSIONS:
        notes.append(f"only {len(set(sessions))} sessions: the interval over them is wide")
    return tuple(notes)


def _describe(
    ratio: Estimate,
    difference: Estimate,
    beside: Sensitivity,
    *,
    notes: tuple[str, ...],
    block_ratios: tuple[float, ...] = (),
    block_numbers: tuple[int, ...] = (),
) -> Effect:
    return Effect(
        ratio=exp(ratio.mean),
        ci95=to_ratios(ratio.ci95),
        ci90=to_ratios(ratio.ci90),
        difference=difference.mean,
        difference_ci95=difference.ci95,
        unit_of_replication=ratio.unit_of_replication,
        p_value=ratio.p_value,
        block_ratios=block_ratios,
        block_numbers=block_numbers,
        bootstrap_ci95=to_ratios(beside.bootstrap_ci95),
        sign_flip_p_value=beside.sign_flip_p_value,
        hodges_lehmann_ratio=exp(beside.hodges_lehmann),
        notes=notes,
    )


def excludes_one(interval: tuple[float, float]) -> bool:
    """Whether an interval of a ratio lies wholly on one side of 1."""
    return interval[0] > 1 or interval[1] < 1


def _contrast(means: Sequence[float], signs: Sequence[int]) -> float:
    return sum(sign * mean for sign, mean in zip(signs, means, strict=True))


def to_ratios(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval of logarithms as one of ratios."""
    return exp(interval[0]), exp(interval[1])
