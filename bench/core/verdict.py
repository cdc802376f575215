"""Slots become comparisons, comparisons become words, words become the verdict on a claim.

Ratios are oriented so that more than 1 means that the baseline is better (latency:
candidate/baseline; throughput: baseline/candidate). With host as the baseline, 1.08 reads
"host is 8 % better".
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import exp, log, log1p

from pydantic import BaseModel, ConfigDict
from statsmodels.stats.multitest import multipletests

from bench.core.scenario import Claim, Condition, Metric, Scenario, conditions
from bench.core.statistics import estimate, sensitivity

MIN_BLOCKS = 3
"""Fewer complete blocks than this give no interval worth printing."""
MIN_COMPLETE_SHARE = 0.5
"""A comparison that lost more than half of its blocks to gates is INVALID."""


class Word(StrEnum):
    """The outcome of one comparison (contract)."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class ClaimWord(StrEnum):
    """The outcome of a claim (contract)."""

    SUPPORTED = "SUPPORTED"
    NEGLIGIBLE = "SUPPORTED BUT NEGLIGIBLE"
    NO_DIFFERENCE = "NO PRACTICAL DIFFERENCE"
    REFUTED = "REFUTED"
    MIXED = "MIXED"
    INCONCLUSIVE = "INCONCLUSIVE"


NEGLIGIBLE = "negligible: the interval lies inside the margin"


class Record(BaseModel):
    """Immutable and stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SlotMetrics(Record):
    """What a verdict needs to know of one slot."""

    session: int
    block: int
    arm: str
    condition: int
    repeat: int
    valid: bool
    values: Mapping[Metric, float | None]
    """None where the slot could not give that metric (too few requests for a p99, for example)."""


class Comparison(Record):
    """Candidate against baseline (or an arm against itself: A/A) on one metric, over blocks."""

    metric: Metric
    unit: str
    condition: str
    kind: str
    """`arms`, or `A/A`: two sets of slots of one arm, whose true ratio is 1."""
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
    unit_of_replication: str = "block"
    p_value: float | None = None
    block_ratios: tuple[float, ...] = ()
    block_numbers: tuple[int, ...] = ()
    bootstrap_ci95: tuple[float, float] | None = None
    sign_flip_p_value: float | None = None
    hodges_lehmann_ratio: float | None = None
    word: Word
    notes: tuple[str, ...] = ()


class ClaimVerdict(Record):
    """The word on one claim under one condition, and the comparisons that it rests on."""

    id: str
    text: str
    condition: str
    word: ClaimWord
    reason: str
    holm_p_values: Mapping[Metric, float]


class Verdict(Record):
    """All that a run concludes, and the scope in which it holds."""

    comparisons: tuple[Comparison, ...]
    claims: tuple[ClaimVerdict, ...]
    scope: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def judge(
    scenario: Scenario,
    slots: Sequence[SlotMetrics],
    scope: Mapping[str, str],
    seed: int,
    warnings: Iterable[str] = (),
) -> Verdict:
    """The verdict on `scenario` from its measured slots."""
    comparisons: list[Comparison] = []
    claims: list[ClaimVerdict] = []
    for index, condition in enumerate(conditions(scenario)):
        here = [slot for slot in slots if slot.condition == index]
        compared = [
            _compare(scenario, condition, here, candidate.name, metric, seed)
            for candidate in scenario.arms
            if candidate.name != scenario.baseline
            for metric in Metric
        ]
        own_pairs = [
            _compare_with_itself(scenario, condition, here, arm.name, metric, seed)
            for arm in scenario.arms
            for metric in Metric
        ]
        compared = [_doubt_if_noise_floor_is_off(comparison, own_pairs) for comparison in compared]
        comparisons += compared + own_pairs
        claims += [
            judge_claim(claim, scenario.baseline, compared, condition.label) for claim in scenario.claims
        ]
    return Verdict(
        comparisons=tuple(comparisons), claims=tuple(claims), scope=dict(scope), warnings=tuple(warnings)
    )


def choose_word(
    ci95: tuple[float, float], ci90: tuple[float, float], margin: float
) -> tuple[Word, list[str]]:
    """Word and notes of a ratio's intervals.

    BETTER and WORSE need the 95 % interval to exclude 1; EQUIVALENT is the two one-sided tests'
    criterion, the 90 % interval inside [1/(1+margin), 1+margin] (Schuirmann 1987).
    """
    inside = 1 / (1 + margin) < ci90[0] and ci90[1] < 1 + margin
    if ci95[0] > 1 or ci95[1] < 1:
        word = Word.BETTER if ci95[0] > 1 else Word.WORSE
        if inside:
            return word, [NEGLIGIBLE]
        beyond = ci95[0] > 1 + margin or ci95[1] < 1 / (1 + margin)
        return word, ["larger than the margin" if beyond else "not resolved against the margin"]
    return (Word.EQUIVALENT, []) if inside else (Word.INCONCLUSIVE, [])


def judge_claim(
    claim: Claim, baseline: str, comparisons: Sequence[Comparison], condition: str
) -> ClaimVerdict:
    """The word on a claim: "better on at least one metric", so Holm's correction over its metrics."""
    other = claim.than if claim.better == baseline else claim.better
    of_claim = [c for c in comparisons if c.candidate == other and c.metric in claim.metrics]
    usable = [c for c in of_claim if c.p_value is not None and c.word is not Word.INVALID]
    adjusted: dict[Metric, float] = {}
    if usable:
        corrected = multipletests([c.p_value for c in usable], method="holm")[1]
        adjusted = {c.metric: float(p) for c, p in zip(usable, corrected, strict=True)}
    favourable = Word.BETTER if claim.better == baseline else Word.WORSE
    unfavourable = Word.WORSE if favourable is Word.BETTER else Word.BETTER
    better = [c for c in usable if c.word is favourable and adjusted[c.metric] < 0.05]
    worse = [c for c in usable if c.word is unfavourable and adjusted[c.metric] < 0.05]
    matter = [c for c in better if NEGLIGIBLE not in c.notes]
    undecided = [c for c in of_claim if c not in better + worse and c.word is not Word.EQUIVALENT]
    if better and worse:
        word = ClaimWord.MIXED
    elif worse:
        word = ClaimWord.REFUTED
    elif matter:
        word = ClaimWord.SUPPORTED
    elif undecided or not of_claim:
        word = ClaimWord.INCONCLUSIVE
    else:
        word = ClaimWord.NEGLIGIBLE if better else ClaimWord.NO_DIFFERENCE
    return ClaimVerdict(
        id=claim.id,
        text=claim.text,
        condition=condition,
        word=word,
        reason="; ".join(f"{c.metric.label} {c.word}" for c in of_claim),
        holm_p_values=adjusted,
    )


def _compare(
    scenario: Scenario,
    condition: Condition,
    slots: Sequence[SlotMetrics],
    candidate: str,
    metric: Metric,
    seed: int,
) -> Comparison:
    """The contrast of a block is the mean of the candidate's logs minus the mean of the baseline's."""
    blocks = _complete_blocks(scenario, slots, (scenario.baseline, candidate), metric)
    sides = {
        block: (
            [value for slot, value in of_block if slot.arm == scenario.baseline],
            [value for slot, value in of_block if slot.arm == candidate],
        )
        for block, of_block in blocks.items()
    }
    return _comparison(
        scenario, condition, slots, "arms", scenario.baseline, candidate, metric, sides, blocks, seed
    )


def _compare_with_itself(
    scenario: Scenario,
    condition: Condition,
    slots: Sequence[SlotMetrics],
    arm: str,
    metric: Metric,
    seed: int,
) -> Comparison:
    """First half of an arm's repeats against the other half: what the method calls no effect."""
    blocks = _complete_blocks(scenario, slots, (arm,), metric)
    half = scenario.schedule.slots_per_arm // 2
    sides = {
        block: (
            [value for slot, value in of_block if slot.repeat < half],
            [value for slot, value in of_block if slot.repeat >= half],
        )
        for block, of_block in blocks.items()
    }
    return _comparison(scenario, condition, slots, "A/A", arm, arm, metric, sides, blocks, seed)


Blocks = dict[int, list[tuple[SlotMetrics, float]]]


def _complete_blocks(
    scenario: Scenario, slots: Sequence[SlotMetrics], arms: tuple[str, ...], metric: Metric
) -> Blocks:
    """Blocks in which every planned slot of `arms` is there, is valid and gives `metric`."""
    blocks: Blocks = {}
    for slot in slots:
        value = slot.values.get(metric)
        if slot.arm in arms and slot.valid and value is not None and value > 0:
            blocks.setdefault(slot.block, []).append((slot, value))
    planned = len(arms) * scenario.schedule.slots_per_arm
    return {block: found for block, found in sorted(blocks.items()) if len(found) == planned}


def _comparison(
    scenario: Scenario,
    condition: Condition,
    slots: Sequence[SlotMetrics],
    kind: str,
    baseline: str,
    candidate: str,
    metric: Metric,
    sides: Mapping[int, tuple[list[float], list[float]]],
    blocks: Blocks,
    seed: int,
) -> Comparison:
    margin = scenario.margins.of(metric)
    begun = len({slot.block for slot in slots if slot.arm in (baseline, candidate)})
    about = {
        "metric": metric,
        "unit": metric.unit,
        "condition": condition.label,
        "kind": kind,
        "baseline": baseline,
        "candidate": candidate,
        "margin": margin,
        "blocks": len(sides),
    }
    if len(sides) < MIN_BLOCKS or len(sides) < MIN_COMPLETE_SHARE * begun:
        return Comparison(
            **about,
            word=Word.INVALID,
            notes=(f"only {len(sides)} of {begun} blocks are complete and valid",),
        )
    base_logs = [_mean([log(value) for value in base]) for base, _ in sides.values()]
    other_logs = [_mean([log(value) for value in other]) for _, other in sides.values()]
    sign = -1 if metric.higher_is_better else 1
    logs = [sign * (o - b) for b, o in zip(base_logs, other_logs, strict=True)]
    differences = [_mean(other) - _mean(base) for base, other in sides.values()]
    sessions = [of_block[0][0].session for of_block in blocks.values()]
    ratio, difference, beside = (
        estimate(logs, sessions),
        estimate(differences, sessions),
        sensitivity(logs, seed),
    )
    ci95, ci90 = _exp(ratio.ci95), _exp(ratio.ci90)
    word, notes = choose_word(ci95, ci90, margin)
    if len(sides) < begun:
        notes.append(f"{begun - len(sides)} of {begun} blocks left out: a slot in them lacks this metric")
    if ratio.unit_of_replication == "session":
        notes.append("sessions differ by more than their blocks explain: the interval is over sessions")
    if word in {Word.BETTER, Word.WORSE} and beside.bootstrap_ci95[0] <= 0 <= beside.bootstrap_ci95[1]:
        notes.append("the bootstrap interval does not exclude 1: treat as INCONCLUSIVE")
        word = Word.INCONCLUSIVE
    return Comparison(
        **about,
        ratio=exp(ratio.mean),
        ci95=ci95,
        ci90=ci90,
        difference=difference.mean,
        difference_ci95=difference.ci95,
        baseline_value=exp(_mean(base_logs)),
        candidate_value=exp(_mean(other_logs)),
        unit_of_replication=ratio.unit_of_replication,
        p_value=ratio.p_value,
        block_ratios=tuple(exp(value) for value in logs),
        block_numbers=tuple(sides),
        bootstrap_ci95=_exp(beside.bootstrap_ci95),
        sign_flip_p_value=beside.sign_flip_p_value,
        hodges_lehmann_ratio=exp(beside.hodges_lehmann),
        word=word,
        notes=tuple(notes),
    )


def _doubt_if_noise_floor_is_off(comparison: Comparison, own_pairs: Sequence[Comparison]) -> Comparison:
    """Void a comparison whose own A/A pairs show an effect of half its margin or more.

    An A/A interval misses 1 once in twenty by chance, so that alone is no fault.
    """
    for pair in own_pairs:
        if pair.metric is not comparison.metric or pair.ratio is None or pair.ci95 is None:
            continue
        if pair.baseline not in (comparison.baseline, comparison.candidate):
            continue
        excludes_one = pair.ci95[0] > 1 or pair.ci95[1] < 1
        if excludes_one and abs(log(pair.ratio)) > log1p(comparison.margin) / 2:
            note = (
                f"the A/A pairs of {pair.baseline} differ by {(pair.ratio - 1) * 100:+.1f} %: not comparable"
            )
            return comparison.model_copy(update={"word": Word.INVALID, "notes": (*comparison.notes, note)})
    return comparison


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _exp(interval: tuple[float, float]) -> tuple[float, float]:
    return exp(interval[0]), exp(interval[1])
