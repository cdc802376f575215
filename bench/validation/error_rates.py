"""How often the real verdict is wrong, and how often it finds what is there, with the counts' uncertainty."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from zlib import crc32

import numpy as np
from scipy.special import betaincinv

from bench.judgement.change import ChangeWord
from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Compared, Comparison, Word
from bench.judgement.effect import excludes_one
from bench.judgement.verdict import Verdict, judge
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.validation.relabelling import make_pseudo_scenario, relabel
from bench.validation.simulation import Setting, make_experiment, make_family, simulate

RESAMPLING_SEED = 1
"""Of every verdict here, so that all of a size share their resamples."""
P50 = Metric.P50_LATENCY_US
EQUAL = dict.fromkeys(PERFORMANCE, 1.0)


class Measure(StrEnum):
    """What is counted."""

    INTERVAL_ALARM = "interval misses 1"
    WORD_ALARM = "BETTER or WORSE"
    COVERAGE = "coverage"
    FALSE_EQUIVALENT = "false EQUIVALENT"
    CLAIM_ALARM = "claim decided"
    INVALID = "INVALID"
    POWER_2 = "found: 2 %"
    POWER_5 = "found: 5 %"
    STEP_ALARM = "a step"
    CHANGE_INTERVAL_ALARM = "a change's interval misses 1"
    CHANGE_ALARM = "any CHANGED"


TARGETS = {
    Measure.INTERVAL_ALARM: (0.03, 0.07),
    Measure.WORD_ALARM: (0.03, 0.07),
    Measure.COVERAGE: (0.93, 0.97),
    Measure.FALSE_EQUIVALENT: (0.0, 0.06),
    Measure.CHANGE_INTERVAL_ALARM: (0.03, 0.07),
    # Of a family that Holm's correction holds together: at most the nominal 5 %, less where members agree.
    Measure.STEP_ALARM: (0.0, 0.07),
    Measure.CLAIM_ALARM: (0.0, 0.07),
    Measure.CHANGE_ALARM: (0.0, 0.07),
}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Hits among trials of one measure in one setting."""

    part: str
    """`simulated`, `family` or `recorded`."""
    setting: str
    blocks: int
    slots_per_arm: int
    measure: Measure
    hits: int
    trials: int

    @property
    def share(self) -> float:
        """Hits a trial."""
        return self.hits / self.trials if self.trials else float("nan")

    @property
    def ci95(self) -> tuple[float, float]:
        """Of the share."""
        return find_share_interval(self.hits, self.trials)

    @property
    def is_off(self) -> bool:
        """Whether the whole interval lies outside of the target."""
        if self.measure not in TARGETS:
            return False
        low, high = TARGETS[self.measure]
        return self.ci95[1] < low or self.ci95[0] > high


def find_share_interval(hits: int, trials: int) -> tuple[float, float]:
    """The exact binomial 95 % interval (Clopper & Pearson 1934)."""
    low = float(betaincinv(hits, trials - hits + 1, 0.025)) if hits else 0.0
    missed = trials - hits
    return low, float(betaincinv(hits + 1, missed, 0.975)) if missed else 1.0


def count_experiments(setting: Setting, experiments: int) -> list[Rate]:
    """Rates of `setting`, each of so many experiments (of a tenth as many, for what is found)."""
    scenario = make_experiment(setting)
    margin = 1 + scenario.margins.of(P50)
    seeds = _count_seeds(setting)
    found: list[tuple[Measure, bool]] = []
    for _ in range(experiments):
        verdict = _judge(scenario, simulate(scenario, setting.noise, EQUAL, next(seeds)))
        compared = _main(verdict.comparisons, Compared.ARMS)
        found += _look_at_no_effect(compared)
        found.append((Measure.CLAIM_ALARM, _decides(verdict)))
    for number in range(experiments):
        truth = {P50: margin if number % 2 else 1 / margin}
        verdict = _judge(scenario, simulate(scenario, setting.noise, truth, next(seeds)))
        found += _look_at_margin(_main(verdict.comparisons, Compared.ARMS), truth)
    for measure, ratio in ((Measure.POWER_2, 1.02), (Measure.POWER_5, 1.05)):
        for _ in range(experiments // 10):
            verdict = _judge(scenario, simulate(scenario, setting.noise, {P50: ratio}, next(seeds)))
            found.append((measure, _main(verdict.comparisons, Compared.ARMS).word is Word.BETTER))
    return _tally("simulated", setting.noise.name, setting.blocks, setting.slots_per_arm, found)


def count_families(setting: Setting, experiments: int) -> list[Rate]:
    """Rates of what a run of many arms and conditions concludes together, where nothing differs."""
    scenario = make_family(setting)
    seeds = _count_seeds(setting)
    found: list[tuple[Measure, bool]] = []
    for _ in range(experiments):
        verdict = _judge(scenario, simulate(scenario, setting.noise, EQUAL, next(seeds)))
        step = _main(verdict.steps, Compared.STEP)
        if step.word is not Word.INVALID:
            found.append((Measure.STEP_ALARM, step.word in {Word.BETTER, Word.WORSE}))
        changes = [change for change in verdict.changes if change.metric is P50]
        first = changes[0].ci95
        found.append((Measure.CHANGE_INTERVAL_ALARM, first is not None and excludes_one(first)))
        found.append((Measure.CHANGE_ALARM, any(change.word is ChangeWord.CHANGED for change in changes)))
        found.append((Measure.CLAIM_ALARM, _decides(verdict)))
    return _tally("family", setting.noise.name, setting.blocks, setting.slots_per_arm, found)


def count_relabelled(
    name: str, recorded: Scenario, slots: Sequence[SlotMetrics], experiments: int
) -> Iterator[Rate]:
    """Rates of the A/A experiments that the slots of a run's arms become, by arm, condition and metric."""
    scenario = make_pseudo_scenario(recorded)
    margin = {metric: 1 + scenario.margins.of(metric) for metric in scenario.metrics}
    generator = np.random.default_rng(RESAMPLING_SEED)
    for arm, condition in sorted({(slot.arm, slot.condition) for slot in slots}):
        found: dict[Metric, list[tuple[Measure, bool]]] = {metric: [] for metric in scenario.metrics}
        for number in range(experiments):
            same = dict.fromkeys(margin, 1.0)
            equal = _judge(scenario, relabel(slots, arm, condition, same, generator))
            truth = {metric: ratio if number % 2 else 1 / ratio for metric, ratio in margin.items()}
            at_margin = _judge(scenario, relabel(slots, arm, condition, truth, generator))
            for metric in scenario.metrics:
                found[metric] += _look_at_no_effect(_main(equal.comparisons, Compared.ARMS, metric))
                found[metric] += _look_at_margin(_main(at_margin.comparisons, Compared.ARMS, metric), truth)
        blocks = len({slot.block for slot in slots if (slot.arm, slot.condition) == (arm, condition)})
        for metric, of_metric in found.items():
            label = f"{name}: {arm}, condition {condition}, {metric.label}"
            yield from _tally("recorded", label, blocks, recorded.schedule.slots_per_arm // 2, of_metric)


def count_planned(name: str, verdict: Verdict, blocks: int, slots_per_arm: int) -> list[Rate]:
    """Rates of the A/A comparisons that a run holds by its plan: every arm, condition and metric."""
    found = [
        (Measure.INTERVAL_ALARM, excludes_one(comparison.ci95))
        for comparison in verdict.comparisons
        if comparison.kind is Compared.ITSELF and comparison.ci95
    ]
    return _tally("recorded", f"{name}: as planned, all arms", blocks, slots_per_arm // 2, found)


def _judge(scenario: Scenario, slots: Sequence[SlotMetrics]) -> Verdict:
    return judge(scenario, slots, {}, RESAMPLING_SEED)


def _count_seeds(setting: Setting) -> Iterator[int]:
    """Seeds that no other setting has, and the same ones however many settings there are."""
    name = f"{setting.noise.name} {setting.blocks} {setting.slots_per_arm}"
    return count(crc32(name.encode()) << 20)


def _main(comparisons: Iterable[Comparison], kind: Compared, metric: Metric = P50) -> Comparison:
    """The first comparison of a kind on a metric: one an experiment, so that trials are independent."""
    return next(c for c in comparisons if (c.kind, c.metric) == (kind, metric))


def _look_at_no_effect(comparison: Comparison) -> list[tuple[Measure, bool]]:
    if comparison.ci95 is None:
        return [(Measure.INVALID, True)]
    invalid = comparison.word is Word.INVALID
    found = [(Measure.INTERVAL_ALARM, excludes_one(comparison.ci95)), (Measure.INVALID, invalid)]
    if not invalid:
        found.append((Measure.WORD_ALARM, comparison.word in {Word.BETTER, Word.WORSE}))
    return found


def _look_at_margin(comparison: Comparison, truth: dict[Metric, float]) -> list[tuple[Measure, bool]]:
    """BETTER or WORSE that is `negligible` says as much as EQUIVALENT does, and counts as it."""
    if comparison.ci95 is None:
        return []
    low, high = comparison.ci95
    inside = comparison.word is Word.EQUIVALENT or comparison.negligible
    return [
        (Measure.COVERAGE, low <= truth[comparison.metric] <= high),
        (Measure.FALSE_EQUIVALENT, inside and comparison.word is not Word.INVALID),
    ]


def _decides(verdict: Verdict) -> bool:
    open_words = {ClaimWord.INCONCLUSIVE, ClaimWord.NO_DIFFERENCE}
    return verdict.claims[0].word not in open_words


def _tally(
    part: str, setting: str, blocks: int, slots_per_arm: int, found: Sequence[tuple[Measure, bool]]
) -> list[Rate]:
    return [
        Rate(
            part=part,
            setting=setting,
            blocks=blocks,
            slots_per_arm=slots_per_arm,
            measure=measure,
            hits=sum(hit for of, hit in found if of is measure),
            trials=sum(of is measure for of, _ in found),
        )
        for measure in Measure
        if any(of is measure for of, _ in found)
    ]
