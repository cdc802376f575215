import pytest

from bench.judgement.claim import ClaimWord, judge_claim
from bench.judgement.comparison import Compared, Comparison, Word
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.model import Claim

from .verdicts import CLAIM, P50, P99, THROUGHPUT


def outcome(
    metric: Metric,
    word: Word,
    p_value: float | None = None,
    *,
    negligible: bool = False,
    candidate: str = "bridge",
) -> Comparison:
    """A comparison that ended with `word`, by default with a p-value that fits it."""
    fitting = {Word.BETTER: 0.001, Word.WORSE: 0.001, Word.INVALID: None}.get(word, 0.5)
    return Comparison(
        metric=metric,
        unit=metric.unit,
        condition="",
        kind=Compared.ARMS,
        baseline="host",
        candidate=candidate,
        margin=0.05,
        blocks=12,
        word=word,
        p_value=fitting if p_value is None else p_value,
        negligible=negligible,
    )


def outcomes(*words: str) -> list[Comparison]:
    """Comparisons on the metrics in turn; a word in small letters is a negligible one."""
    return [
        outcome(metric, Word(word.upper()), negligible=word.islower())
        for metric, word in zip(PERFORMANCE, words, strict=False)
    ]


@pytest.mark.parametrize(
    ("words", "claim_word"),
    [
        (("BETTER", "BETTER", "BETTER"), "SUPPORTED"),
        (("BETTER", "EQUIVALENT", "EQUIVALENT"), "SUPPORTED"),
        (("EQUIVALENT", "EQUIVALENT", "BETTER"), "SUPPORTED"),
        (("BETTER", "INCONCLUSIVE", "INVALID"), "SUPPORTED"),
        (("BETTER", "better", "EQUIVALENT"), "SUPPORTED"),
        (("better", "EQUIVALENT", "EQUIVALENT"), "SUPPORTED BUT NEGLIGIBLE"),
        (("better", "better", "better"), "SUPPORTED BUT NEGLIGIBLE"),
        (("better", "INCONCLUSIVE", "EQUIVALENT"), "INCONCLUSIVE"),
        (("better", "EQUIVALENT", "INVALID"), "INCONCLUSIVE"),
        (("EQUIVALENT", "EQUIVALENT", "EQUIVALENT"), "NO PRACTICAL DIFFERENCE"),
        (("EQUIVALENT", "EQUIVALENT", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("EQUIVALENT", "EQUIVALENT", "INVALID"), "INCONCLUSIVE"),
        (("WORSE", "WORSE", "WORSE"), "REFUTED"),
        (("EQUIVALENT", "WORSE", "EQUIVALENT"), "REFUTED"),
        (("WORSE", "INCONCLUSIVE", "INVALID"), "REFUTED"),
        (("BETTER", "WORSE", "EQUIVALENT"), "MIXED"),
        (("BETTER", "INVALID", "WORSE"), "MIXED"),
        (("INCONCLUSIVE", "INCONCLUSIVE", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("INVALID", "INVALID", "INVALID"), "INCONCLUSIVE"),
        ((), "INCONCLUSIVE"),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, tuple) else value,
)
def test_the_word_on_a_claim_follows_from_the_words_on_its_metrics(
    words: tuple[str, ...], claim_word: str
) -> None:
    assert judge_claim(CLAIM, "host", outcomes(*words), "").word == ClaimWord(claim_word)


@pytest.mark.parametrize(
    ("word", "claim_word"),
    [(Word.WORSE, ClaimWord.SUPPORTED), (Word.BETTER, ClaimWord.REFUTED)],
)
def test_a_claim_for_the_other_arm_is_supported_where_the_baseline_is_worse(
    word: Word, claim_word: ClaimWord
) -> None:
    reverse = Claim(id="reverse", text="Bridge is faster.", better="bridge", than="host")

    assert judge_claim(reverse, "host", outcomes(word, "EQUIVALENT", "EQUIVALENT"), "").word is claim_word


def test_a_difference_that_holm_does_not_let_pass_supports_nothing() -> None:
    lone = [outcome(P50, Word.BETTER, 0.04), *outcomes("EQUIVALENT", "EQUIVALENT", "EQUIVALENT")[1:]]
    verdict = judge_claim(CLAIM, "host", lone, "")

    assert verdict.holm_p_values[P50] == pytest.approx(0.12)
    assert verdict.word is ClaimWord.INCONCLUSIVE


def test_a_difference_that_holm_does_not_let_pass_contradicts_nothing() -> None:
    pair = [
        outcome(P50, Word.BETTER, 0.001),
        outcome(P99, Word.WORSE, 0.04),
        outcome(THROUGHPUT, Word.EQUIVALENT),
    ]

    assert judge_claim(CLAIM, "host", pair, "").word is ClaimWord.SUPPORTED


def test_holm_counts_the_claims_own_metrics_only() -> None:
    alone = CLAIM.model_copy(update={"metrics": (P50,)})
    comparisons = [outcome(P50, Word.BETTER, 0.04), *outcomes("WORSE", "WORSE", "WORSE")[1:]]
    verdict = judge_claim(alone, "host", comparisons, "")

    assert (verdict.word, verdict.holm_p_values) == (ClaimWord.SUPPORTED, {P50: 0.04})


def test_other_arms_do_not_decide_a_claim() -> None:
    others = [outcome(metric, Word.WORSE, candidate="third") for metric in PERFORMANCE]
    verdict = judge_claim(CLAIM, "host", [*outcomes("BETTER", "BETTER", "BETTER"), *others], "")

    assert verdict.word is ClaimWord.SUPPORTED


def test_a_claim_gives_the_word_on_each_metric_as_its_reason() -> None:
    verdict = judge_claim(CLAIM, "host", outcomes("BETTER", "EQUIVALENT", "INVALID"), "connections=1")

    assert verdict.reason == "p50 latency BETTER; p99 latency EQUIVALENT; throughput INVALID"
    assert (verdict.id, verdict.text, verdict.condition) == ("article", "Host is faster.", "connections=1")
