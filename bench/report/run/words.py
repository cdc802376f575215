"""The words of a verdict, and what each means in a run."""

from bench.judgement.change import ChangeWord
from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Word
from bench.report.table import NOT_AVAILABLE
from bench.results.run import Run


def explain_words(run: Run) -> list[tuple[str, str]]:
    """The words on a comparison, and what each means in this run."""
    baseline = run.record.scenario.baseline
    corrected = "of several arms also after Holm's correction for their number"
    return [
        (Word.BETTER, f"the 95 % interval of the ratio lies above 1, {corrected}: {baseline} is better"),
        (Word.WORSE, f"it lies below 1: {baseline} is worse"),
        (
            Word.EQUIVALENT,
            "the 90 % interval lies inside the margin on both sides of 1: no difference that matters",
        ),
        (
            Word.INCONCLUSIVE,
            "neither: the interval is too wide to tell, and only more blocks or less noise would",
        ),
        (
            Word.INVALID,
            "too few complete and valid blocks or requests, or an after-effect: nothing is concluded",
        ),
        (NOT_AVAILABLE, "this machine cannot give it, and says why; nothing is concluded about it"),
    ]


def explain_change_words() -> list[tuple[str, str]]:
    """The words on a change between two conditions. There are many, so p-values are corrected by Holm."""
    return [
        (
            ChangeWord.CHANGED,
            "the 95 % interval of the ratio excludes 1, and so it does after Holm's correction",
        ),
        (ChangeWord.NO_PRACTICAL_CHANGE, "the 90 % interval lies inside the margin on both sides of 1"),
        (ChangeWord.INCONCLUSIVE, "neither"),
    ]


def explain_claim_words() -> list[tuple[str, str]]:
    """The words on a claim. A claim holds several metrics, so its p-values are corrected by Holm's method."""
    return [
        (
            ClaimWord.SUPPORTED,
            "better on at least one of the claim's metrics, not negligibly, and worse on none",
        ),
        (ClaimWord.NEGLIGIBLE, "better, but every such interval lies inside the margin"),
        (ClaimWord.NO_DIFFERENCE, "equivalent on every metric"),
        (ClaimWord.REFUTED, "worse on at least one metric and better on none"),
        (ClaimWord.MIXED, "better on one metric and worse on another"),
        (ClaimWord.INCONCLUSIVE, "neither better nor worse on any metric, and at least one is undecided"),
    ]
