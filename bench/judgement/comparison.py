"""Candidate against baseline, and each arm against itself: effects become words.

Ratios are oriented so that more than 1 means that the baseline is better (latency:
candidate/baseline; throughput: baseline/candidate). With host as the baseline, 1.08 reads
"host is 8 % better".
"""

from collections.abc import Sequence
from enum import StrEnum
from math import exp
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from bench.judgement.effect import (
    BOOTSTRAP_DISAGREES,
    UNBOUNDED,
    contrast_blocks,
    excludes_one,
    measure_effect,
    to_ratios,
)
from bench.judgement.samples import Measured, Side
from bench.judgement.splits import Split, describe_doubt, find_doubt
from bench.scenario.metric import Metric
from bench.statistics.estimate import correct_by_holm, find_new_session, find_power

ALPHA = 0.05
"""Of a family of comparisons together."""


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
    p_holm: float | None = None
    """Corrected over all arms (or steps) on this metric under this condition; None of an A/A pair."""
    power_at_margin: float | None = None
    """How often a run like this one would find a difference of the margin (see `estimate.find_power`)."""
    new_session_ci95: tuple[float, float] | None = None
    """Where another session's ratio is expected; None of a single session."""
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


FAMILY = "among so many arms it may be chance"


def compare(
    measured: Measured, splits: Sequence[Split], kind: Compared, sides: tuple[Side, Side], metric: Metric
) -> Comparison:
    """The second of `sides` against the first, void where what was before moves one of them."""
    comparison = _compare(measured, kind, sides, metric)
    doubt = find_doubt(splits, sides, comparison.margin)
    if doubt is None:
        return comparison
    notes = (*comparison.notes, describe_doubt(doubt))
    return comparison.model_copy(update={"word": Word.INVALID, "notes": notes})


def correct_for_family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons of several arms (or steps) on one metric: BETTER and WORSE hold for all of them together.

    By Holm's correction. One that loses its word is INCONCLUSIVE, and says what it would be alone.
    """
    usable = [c for c in comparisons if c.p_value is not None and c.word is not Word.INVALID]
    corrected = dict(
        zip(
            map(id, usable),
            correct_by_holm([c.p_value for c in usable if c.p_value is not None]),
            strict=True,
        )
    )
    found = []
    for comparison in comparisons:
        p_holm = corrected.get(id(comparison))
        changes: dict[str, object] = {"p_holm": p_holm}
        if comparison.word in {Word.BETTER, Word.WORSE} and p_holm is not None and p_holm >= ALPHA:
            alone = f"alone it would be {comparison.word}; p is {p_holm:.2g} by Holm's correction: {FAMILY}"
            sizes = set(Size)
            notes = [note for note in comparison.notes if note not in sizes]
            changes |= {"word": Word.INCONCLUSIVE, "negligible": False, "notes": (*notes, alone)}
        found.append(comparison.model_copy(update=changes))
    return found


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
    effect = measure_effect(sample, (-1, 1), metric, measured.seed, anytime=measured.anytime)
    if not effect.is_bounded:
        return Comparison(**about, word=Word.INVALID, notes=(UNBOUNDED,))
    logs, _, of_blocks = contrast_blocks(sample, (-1, 1), metric)
    new_session = find_new_session(logs, of_blocks)
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
        power_at_margin=find_power(logs, of_blocks, margin),
        new_session_ci95=new_session and to_ratios(new_session),
        word=word,
        negligible=size is Size.NEGLIGIBLE,
    )
