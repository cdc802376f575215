"""What a factor changes: the same arms under two conditions that differ in that factor alone.

Every block holds every condition, so a change is paired within its block: the contrast under the
condition minus the contrast under the reference. A ratio above 1 means that the candidate costs
more (`cost`: relative to the baseline; `arm`: by itself) than it does under the reference.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from bench.judgement.comparison import Size, Word, choose_word
from bench.judgement.effect import BOOTSTRAP_DISAGREES, UNBOUNDED, excludes_one, measure_effect
from bench.judgement.samples import Measured
from bench.judgement.splits import Split, describe_doubt, find_doubt
from bench.scenario.conditions import name_level, name_setting
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario
from bench.statistics.estimate import correct_by_holm

ALPHA = 0.05
"""Of the changes on one metric together, by Holm's correction."""


class ChangeWord(StrEnum):
    """The outcome of one change."""

    CHANGED = "CHANGED"
    NO_PRACTICAL_CHANGE = "NO PRACTICAL CHANGE"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class Changed(StrEnum):
    """Of what a change is."""

    COST = "cost"
    """Of the candidate's cost against the baseline."""
    ARM = "arm"
    """Of one arm by itself, its own baseline."""


class Change(BaseModel):
    """What a factor's level changes in one arm, or in its cost, on one metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Metric
    unit: str
    kind: Changed
    factor: str
    """The one key in which the two conditions differ."""
    reference: str
    """The factor's level that is compared with; `level`: the other one."""
    level: str
    reference_condition: str
    """Label, as `condition`."""
    condition: str
    held: tuple[str, ...] = ()
    """`connections=16`: what both conditions have, of the other factors."""
    baseline: str
    candidate: str
    ratio: float | None = None
    """`cost`: the ratio of the two conditions' ratios."""
    ci95: tuple[float, float] | None = None
    ci90: tuple[float, float] | None = None
    difference: float | None = None
    """`cost`: the difference of the two conditions' differences, in `unit`."""
    difference_ci95: tuple[float, float] | None = None
    margin: float
    blocks: int
    unit_of_replication: str = "block"
    p_value: float | None = None
    p_holm: float | None = None
    """Corrected over all valid changes on this metric."""
    block_ratios: tuple[float, ...] = ()
    block_numbers: tuple[int, ...] = ()
    bootstrap_ci95: tuple[float, float] | None = None
    sign_flip_p_value: float | None = None
    hodges_lehmann_ratio: float | None = None
    word: ChangeWord
    negligible: bool = False
    """CHANGED, and yet by less than the margin."""
    notes: tuple[str, ...] = ()


AnyChange = TypeVar("AnyChange", bound=Change)


@dataclass(frozen=True, kw_only=True)
class ConditionPair:
    """Two conditions, by their indices, that differ in one factor alone."""

    factor: str
    reference: int
    condition: int
    reference_level: str
    level: str
    held: tuple[str, ...] = ()
    """Settings that both have, of the other factors."""
    notes: tuple[str, ...] = ()


def pair_conditions(scenario: Scenario, unavailable: Collection[int] = ()) -> Iterator[ConditionPair]:
    """Each level of each factor with that factor's first level, the other factors held equal.

    Where the condition of the first level is unavailable, the next one that is there is the reference.
    """
    combinations = list(product(*scenario.factors.values()))
    for place, factor in enumerate(scenario.factors):
        groups: dict[tuple[object, ...], list[int]] = {}
        for index, levels in enumerate(combinations):
            groups.setdefault(levels[:place] + levels[place + 1 :], []).append(index)
        for group in groups.values():
            names = {index: name_level(combinations[index][place]) for index in group}
            present = [index for index in group if index not in unavailable]
            for index in present[1:]:
                first, reference = names[group[0]], names[present[0]]
                yield ConditionPair(
                    factor=factor,
                    reference=present[0],
                    condition=index,
                    reference_level=reference,
                    level=names[index],
                    held=_list_held(scenario, combinations[index], factor),
                    notes=()
                    if reference == first
                    else (f"{first} is NOT AVAILABLE here: {reference} is the reference",),
                )


def _list_held(scenario: Scenario, levels: Sequence[object], factor: str) -> tuple[str, ...]:
    return tuple(
        name_setting(key, level) for key, level in zip(scenario.factors, levels, strict=True) if key != factor
    )


def find_changes(
    measured: Measured,
    splits: Sequence[Split],
    arms: Sequence[str],
    unavailable: Collection[int] = (),
    absent: Mapping[int, Collection[str]] = {},
) -> list[Change]:
    """The changes of every arm, and of every arm's cost against the baseline, between conditions.

    `unavailable`: indices of conditions that were never measured; `absent`: the arms that were not,
    under others. What an arm would change from or to such a condition is left out.
    """
    baseline = measured.scenario.baseline
    subjects = [(baseline, arm) for arm in arms if arm != baseline] + [(arm, arm) for arm in arms]
    pairs = list(pair_conditions(measured.scenario, unavailable))
    return [
        change
        for metric in measured.metrics
        for change in choose_words(
            [
                _measure_change(measured, splits, pair, *subject, metric)
                for pair in pairs
                for subject in subjects
                if not any(subject[1] in absent.get(index, ()) for index in (pair.reference, pair.condition))
            ]
        )
    ]


def choose_words(changes: Sequence[AnyChange]) -> list[AnyChange]:
    """The changes of one family, with the p-values that Holm's correction leaves them, and their words.

    Those that are INVALID already take no part in the correction.
    """
    usable = [change for change in changes if change.word is not ChangeWord.INVALID]
    corrected = iter(correct_by_holm([c.p_value for c in usable if c.p_value is not None]))
    return [
        change if change.word is ChangeWord.INVALID else _with_word(change, next(corrected))
        for change in changes
    ]


def choose_change_word(
    ci95: tuple[float, float], ci90: tuple[float, float], margin: float, p_holm: float
) -> tuple[ChangeWord, Size | None, list[str]]:
    """Word of a change's intervals, its size where it is CHANGED, and what else to note.

    CHANGED needs the 95 % interval to exclude 1 and the corrected p-value to be below `ALPHA`;
    NO PRACTICAL CHANGE needs the 90 % interval inside the margin, as EQUIVALENT does.
    """
    word, size = choose_word(ci95, ci90, margin)
    resolved = word in {Word.BETTER, Word.WORSE}
    if resolved and p_holm < ALPHA:
        return ChangeWord.CHANGED, size, []
    if word is Word.EQUIVALENT or size is Size.NEGLIGIBLE:
        return ChangeWord.NO_PRACTICAL_CHANGE, None, []
    chance = f"p is {p_holm:.2g} by Holm's correction: among so many changes it may be chance"
    return ChangeWord.INCONCLUSIVE, None, [chance] if resolved else []


def _with_word(change: AnyChange, p_holm: float) -> AnyChange:
    assert change.ci95 is not None
    assert change.ci90 is not None
    assert change.bootstrap_ci95 is not None
    word, size, notes = choose_change_word(change.ci95, change.ci90, change.margin, p_holm)
    notes = [*([size.value] if size else []), *notes]
    if word is ChangeWord.CHANGED and not excludes_one(change.bootstrap_ci95):
        word = ChangeWord.INCONCLUSIVE
        notes.append(BOOTSTRAP_DISAGREES)
    return change.model_copy(
        update={
            "p_holm": p_holm,
            "word": word,
            "negligible": size is Size.NEGLIGIBLE and word is ChangeWord.CHANGED,
            "notes": (*change.notes, *notes),
        }
    )


def _measure_change(
    measured: Measured,
    splits: Sequence[Split],
    pair: ConditionPair,
    baseline: str,
    candidate: str,
    metric: Metric,
) -> Change:
    """A change whose word waits for the p-values of the others, unless it is INVALID."""
    margin = measured.scenario.margins.of(metric)
    before, after = measured.side(candidate, pair.reference), measured.side(candidate, pair.condition)
    sides, signs = [before, after], [-1, 1]
    if baseline != candidate:
        sides += [measured.side(baseline, pair.reference), measured.side(baseline, pair.condition)]
        signs += [1, -1]
    sample = measured.sample(metric, sides)
    about = {
        "metric": metric,
        "unit": metric.unit,
        "kind": Changed.ARM if baseline == candidate else Changed.COST,
        "factor": pair.factor,
        "reference": pair.reference_level,
        "level": pair.level,
        "reference_condition": measured.conditions[pair.reference].label,
        "condition": measured.conditions[pair.condition].label,
        "held": pair.held,
        "baseline": baseline,
        "candidate": candidate,
        "margin": margin,
        "blocks": len(sample.blocks),
    }
    if not sample.is_enough:
        return Change(**about, word=ChangeWord.INVALID, notes=(*pair.notes, sample.gap))
    effect = measure_effect(sample, signs, metric, measured.seed, anytime=measured.anytime)
    if not effect.is_bounded:
        return Change(**about, word=ChangeWord.INVALID, notes=(*pair.notes, UNBOUNDED))
    doubt = find_doubt(splits, sides, margin)
    notes = (*pair.notes, *effect.notes)
    if doubt:
        under = measured.conditions[doubt.condition].label
        notes += (f"under {under}, {describe_doubt(doubt)}",)
    return Change(
        **about,
        **vars(effect) | {"notes": notes},
        word=ChangeWord.INVALID if doubt else ChangeWord.INCONCLUSIVE,
    )
