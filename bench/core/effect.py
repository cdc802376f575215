"""Blocks become an effect: a ratio and a difference, each with its intervals.

Ratios are oriented so that more than 1 means that what the signs subtract is better: latency grows
where it is worse, throughput shrinks, and its logarithm is negated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from bench.core.samples import Sample
from bench.core.scenario import Metric
from bench.core.statistics import estimate, sensitivity

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
    sign_flip_p_value: float
    hodges_lehmann_ratio: float
    notes: tuple[str, ...]


def measure_effect(sample: Sample, signs: Sequence[int], metric: Metric, seed: int) -> Effect:
    """The contrast of a block is the sum of its sides, each with its sign: (-1, 1) is second minus first.

    Needs two blocks or more; whether they are enough is for `Sample.is_enough` to say.
    """
    direction = -1 if metric.higher_is_better else 1
    logs = [direction * _contrast(block.logs, signs) for block in sample.blocks]
    sessions = [block.session for block in sample.blocks]
    ratio = estimate(logs, sessions)
    difference = estimate([_contrast(block.values, signs) for block in sample.blocks], sessions)
    beside = sensitivity(logs, seed)
    notes = []
    lost = sample.begun - len(sample.blocks)
    if lost:
        notes.append(f"{lost} of {sample.begun} blocks left out: a slot in them lacks this metric")
    if 1 < len(set(sessions)) <= FEW_SESSIONS:
        notes.append(f"only {len(set(sessions))} sessions: the interval over them is wide")
    return Effect(
        ratio=exp(ratio.mean),
        ci95=_exp(ratio.ci95),
        ci90=_exp(ratio.ci90),
        difference=difference.mean,
        difference_ci95=difference.ci95,
        unit_of_replication=ratio.unit_of_replication,
        p_value=ratio.p_value,
        block_ratios=tuple(exp(value) for value in logs),
        block_numbers=tuple(block.number for block in sample.blocks),
        bootstrap_ci95=_exp(beside.bootstrap_ci95),
        sign_flip_p_value=beside.sign_flip_p_value,
        hodges_lehmann_ratio=exp(beside.hodges_lehmann),
        notes=tuple(notes),
    )


def excludes_one(interval: tuple[float, float]) -> bool:
    """Whether an interval of a ratio lies wholly on one side of 1."""
    return interval[0] > 1 or interval[1] < 1


def _contrast(means: Sequence[float], signs: Sequence[int]) -> float:
    return sum(sign * mean for sign, mean in zip(signs, means, strict=True))


def _exp(interval: tuple[float, float]) -> tuple[float, float]:
    return exp(interval[0]), exp(interval[1])
