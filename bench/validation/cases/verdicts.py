"""Whole verdicts on simulated slots: after-effects, and many arms."""

from math import exp, log, log1p

from bench.judgement.comparison import Compared, Word
from bench.judgement.effect import excludes_one
from bench.judgement.verdict import judge
from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Schedule
from bench.scenario.modes.model import Mode
from bench.scenario.plan import plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.validation.cases import MARGIN, Draw, Tried

P50 = Metric.P50_LATENCY_US


def _make(arms: int, blocks: int) -> Scenario:
    names = [f"arm-{number}" for number in range(arms)]
    return Scenario(
        name="simulated",
        question="Is there a difference?",
        baseline=names[0],
        arms=tuple(Arm(name=name, mode=Mode.BRIDGE) for name in names),
        schedule=Schedule(blocks=blocks),
    )


TWO, TEN = _make(2, 18), _make(10, 12)


def _simulate(draw: Draw, scenario: Scenario, after: float) -> list[SlotMetrics]:
    """Slots of 1.5 %; one that follows the last arm's is longer by the share `after`."""
    slots, before = [], ""
    for slot in plan_slots(scenario, int(draw.integers(2**31))):
        value = 0.015 * draw.standard_normal() + log1p(after) * (before == scenario.arms[-1].name)
        slots.append(
            SlotMetrics(
                session=0,
                block=slot.block,
                arm=slot.arm,
                condition=0,
                repeat=slot.repeat,
                valid=True,
                values={P50: 40 * exp(value)},
                index=slot.index,
            )
        )
        before = slot.arm
    return slots


def _leave_behind(draw: Draw, after: float) -> tuple[Tried, Tried]:
    """Whether a word is BETTER or WORSE, before and now; whether it is INVALID, before and now."""
    verdict = judge(TWO, _simulate(draw, TWO, after), {}, 1)
    now = next(c for c in verdict.comparisons if c.kind is Compared.ARMS)
    assert now.ci95
    # As it was: INVALID where an arm's own pairs differ by half the margin.
    pairs = [c for c in verdict.comparisons if c.kind is Compared.ITSELF and c.ci95 and c.ratio]
    void = any(
        excludes_one(pair.ci95) and abs(log(pair.ratio)) > log1p(MARGIN) / 2
        for pair in pairs
        if pair.ci95 and pair.ratio
    )
    resolved = (Word.BETTER, Word.WORSE)
    return (
        (not void and excludes_one(now.ci95), now.word in resolved),
        (void, now.word is Word.INVALID),
    )


def leave_behind_words(draw: Draw, after: float) -> Tried:
    """Whether BETTER or WORSE is said where nothing differs but what is left behind."""
    return _leave_behind(draw, after)[0]


def leave_behind_voids(draw: Draw, after: float) -> Tried:
    """Whether INVALID is said there."""
    return _leave_behind(draw, after)[1]


def compare_many(draw: Draw) -> Tried:
    """Whether BETTER or WORSE is said of any of nine arms that are all alike."""
    verdict = judge(TEN, _simulate(draw, TEN, 0.0), {}, 1)
    compared = [c for c in verdict.comparisons if c.kind is Compared.ARMS]
    before = any(c.ci95 is not None and excludes_one(c.ci95) for c in compared)
    return before, any(c.word in (Word.BETTER, Word.WORSE) for c in compared)
