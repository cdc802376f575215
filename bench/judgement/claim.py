"""Comparisons become the word on a claim that was written down before there was data."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bench.judgement.comparison import Comparison, Word
from bench.scenario.metric import Metric
from bench.scenario.model import Claim
from bench.statistics.estimate import correct_by_holm


class ClaimWord(StrEnum):
    """The outcome of a claim (contract)."""

    SUPPORTED = "SUPPORTED"
    NEGLIGIBLE = "SUPPORTED BUT NEGLIGIBLE"
    NO_DIFFERENCE = "NO PRACTICAL DIFFERENCE"
    REFUTED = "REFUTED"
    MIXED = "MIXED"
    INCONCLUSIVE = "INCONCLUSIVE"


class ClaimVerdict(BaseModel):
    """The word on one claim under one condition, and the comparisons that it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text: str
    condition: str
    word: ClaimWord
    reason: str
    holm_p_values: Mapping[Metric, float]


def judge_claim(
    claim: Claim, baseline: str, comparisons: Sequence[Comparison], condition: str
) -> ClaimVerdict:
    """The word on a claim: "better on at least one metric", so Holm's correction over its metrics."""
    other = claim.than if claim.better == baseline else claim.better
    of_claim = [c for c in comparisons if c.candidate == other and c.metric in claim.metrics]
    usable = [c for c in of_claim if c.p_value is not None and c.word is not Word.INVALID]
    corrected = correct_by_holm([c.p_value for c in usable if c.p_value is not None])
    adjusted = {c.metric: p for c, p in zip(usable, corrected, strict=True)}
    favourable = Word.BETTER if claim.better == baseline else Word.WORSE
    unfavourable = Word.WORSE if favourable is Word.BETTER else Word.BETTER
    better = [c for c in usable if c.word is favourable and adjusted[c.metric] < 0.05]
    worse = [c for c in usable if c.word is unfavourable and adjusted[c.metric] < 0.05]
    matter = [c for c in better if not c.negligible]
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


def leave_claim_open(claim: Claim, condition: str, reason: str) -> ClaimVerdict:
    """The word on a claim that nothing was measured for, with the `reason` why not."""
    return ClaimVerdict(
        id=claim.id,
        text=claim.text,
        condition=condition,
        word=ClaimWord.INCONCLUSIVE,
        reason=reason,
        holm_p_values={},
    )
