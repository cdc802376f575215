"""Candidate against baseline, and each arm against itself: effects become words.

Ratios are oriented so that more than 1 means that the baseline is better (latency:
candidate/baseline; throughput: baseline/candidate). With host as the baseline, 1.08 reads
"host is 8 % better".
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import exp, log, log1p
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from bench.judgement.effect import BOOTSTRAP_DISAGREES, excludes_one, measure_effect
from bench.judgement.samples import Measured, Side
from bench.scenario.metric import Metric


class Word(StrEnum):
    """The outcome of one comparison (contract)."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class Size(StrEnum):
    """How large an effect is that was told: the note beside BETTER and WORSE."""

    NEGLIGIBLE = "negligible: the interval lies inside the margin"
    LARGER = "larger than the margin"
    UNRESOLVED = "not resolved against the margin"


class Compared(StrEnum):
    """Of what kind the two sides of a comparison are."""

    ARMS = "arms"
    """A candidate against the scenario's baseline."""
    STEP = "step"
    """Two rungs of the ladder."""
    ITSELF = "A/A"
    """Two sets of slots of one arm, whose true ratio is 1."""


class Comparison(BaseModel):
    """Candidate against baseline (or an arm against itself: A/A) on one metric, over blocks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Metric
    unit: str
    condition: str
    kind: Compared
    baseline: str
    candidate: str
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    ci90: tuple[float, float] | None = None
    difference: float | None = None
    """Candidate minus baseline, in `unit`."""
    difference_ci95: tuple[float, float] | None = None
    baseline_value: float | None = None
    """Geometric mean over blocks, in `unit`; the candidate's likewise."""
    candidate_value: float | None = None
    margin: float
    blocks: int
    """Complete and valid on both sides, of `blocks_begun` in which any of their slots was measured."""
    blocks_begun: int = 0
    unit_of_replication: str = "block"
    p_value: float | None = None
    block_ratios: tuple[float, ...] = ()
    block_numbers: tuple[int, ...] = ()
    bootstrap_ci95: tuple[float, float] | None = None
    sign_flip_p_value: float | None = None
    hodges_lehmann_ratio: float | None = None
    word: Word
    negligible: bool = False
    """The interval excludes 1 and lies inside the margin: beside BETTER and WORSE, a difference that does
    not matter. Also where another doubt took such a word."""
    notes: tuple[str, ...] = ()


OwnPairs = Mapping[tuple[str, int, Metric], Comparison]
"""The A/A comparison of an arm, under the condition of that index, on a metric."""


def compare(
    measured: Measured, own_pairs: OwnPairs, kind: Compared, sides: tuple[Side, Side], metric: Metric
) -> Comparison:
    """The second of `sides` against the first, void where one of them differs from itself."""
    comparison = _compare(measured, kind, sides, metric)
    pair = find_doubt(own_pairs, sides, metric, comparison.margin)
    if pair is None:
        return comparison
    notes = (*comparison.notes, describe_doubt(pair))
    return comparison.model_copy(update={"word": Word.INVALID, "notes": notes})


def compare_with_itself(measured: Measured, arm: str, condition: int, metric: Metric) -> Comparison:
    """First half of an arm's repeats against the other half: what the method calls no effect."""
    return _compare(measured, Compared.ITSELF, measured.halves(arm, condition), metric)


def choose_word(
    ci95: tuple[float, float], ci90: tuple[float, float], margin: float
) -> tuple[Word, Size | None]:
    """Word of a ratio's intervals, and how large the effect is where it is BETTER or WORSE.

    BETTER and WORSE need the 95 % interval to exclude 1; EQUIVALENT is the two one-sided tests'
    criterion, the 90 % interval inside [1/(1+margin), 1+margin] (Schuirmann 1987).
    """
    inside = 1 / (1 + margin) < ci90[0] and ci90[1] < 1 + margin
    if excludes_one(ci95):
        word = Word.BETTER if ci95[0] > 1 else Word.WORSE
        if inside:
            return word, Size.NEGLIGIBLE
        beyond = ci95[0] > 1 + margin or ci95[1] < 1 / (1 + margin)
        return word, Size.LARGER if beyond else Size.UNRESOLVED
    return Word.EQUIVALENT if inside else Word.INCONCLUSIVE, None


def find_doubt(
    own_pairs: OwnPairs, sides: Iterable[Side], metric: Metric, margin: float
) -> Comparison | None:
    """The A/A pair of a side that shows an effect of half the margin or more, if there is one.

    An A/A interval misses 1 once in twenty by chance, so that alone is no fault.
    """
    for side in sides:
        pair = own_pairs.get((side.arm, side.condition, metric))
        if pair is None or pair.ratio is None or pair.ci95 is None:
            continue
        if excludes_one(pair.ci95) and abs(log(pair.ratio)) > log1p(margin) / 2:
            return pair
    return None


def describe_doubt(pair: Comparison) -> str:
    """The note on what `find_doubt` found."""
    share = (pair.ratio or 1) - 1
    return f"the A/A pairs of {pair.baseline} differ by {share * 100:+.1f} %: not comparable"


def _compare(measured: Measured, kind: Compared, sides: tuple[Side, Side], metric: Metric) -> Comparison:
    baseline, candidate = sides
    margin = measured.scenario.margins.of(metric)
    sample = measured.sample(metric, sides)
    about = {
        "metric": metric,
        "unit": metric.unit,
        "condition": measured.conditions[baseline.condition].label,
        "kind": kind,
        "baseline": baseline.arm,
        "candidate": candidate.arm,
        "margin": margin,
        "blocks": len(sample.blocks),
        "blocks_begun": sample.begun,
    }
    if not sample.is_enough:
        return Comparison(**about, word=Word.INVALID, notes=(sample.gap,))
    effect = measure_effect(sample, (-1, 1), metric, measured.seed)
    word, size = choose_word(effect.ci95, effect.ci90, margin)
    notes = [*([size.value] if size else []), *effect.notes]
    if word in {Word.BETTER, Word.WORSE} and not excludes_one(effect.bootstrap_ci95):
        word = Word.INCONCLUSIVE
        notes.append(BOOTSTRAP_DISAGREES)
    baseline_value, candidate_value = (
        exp(fmean(block.logs[side] for block in sample.blocks)) for side in (0, 1)
    )
    return Comparison(
        **about,
        **vars(effect) | {"notes": tuple(notes)},
        baseline_value=baseline_value,
        candidate_value=candidate_value,
        word=word,
        negligible=size is Size.NEGLIGIBLE,
    )
