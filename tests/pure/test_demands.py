"""What `bench check` demands: a limit is met by a whole interval, and noise says that it is noise."""

from xml.etree import ElementTree as ET

import pytest

from bench.errors import ExitCode
from bench.judgement.across_runs.demands import (
    Demand,
    DemandWord,
    demand_claim,
    demand_cost,
    demand_no_regression,
    exit_code,
)
from bench.judgement.claim import ClaimVerdict, ClaimWord
from bench.judgement.comparison import Comparison, Word
from bench.report.pages.check import describe_demand, render_junit
from bench.scenario.metric import PERFORMANCE

from .test_run_comparison import compared, run_of

P50, P99, THROUGHPUT = PERFORMANCE


def make_cost(low: float, high: float, word: Word = Word.BETTER) -> Comparison:
    return Comparison(
        metric=P50,
        unit="us",
        condition="",
        kind="arms",
        baseline="host",
        candidate="bridge",
        ratio=(low + high) / 2,
        ci95=(low, high),
        margin=0.05,
        blocks=12,
        word=word,
        notes=("a note",),
    )


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((1.01, 1.049), DemandWord.MET),
        ((0.90, 0.95), DemandWord.MET),
        ((1.01, 1.05), DemandWord.INCONCLUSIVE),
        ((0.90, 1.20), DemandWord.INCONCLUSIVE),
        ((1.05, 1.06), DemandWord.FAILED),
    ],
)
def test_a_limit_is_met_by_a_whole_interval_only(interval: tuple[float, float], word: DemandWord) -> None:
    [demand] = demand_cost([make_cost(*interval)], 1.05, ["bridge"], [P50])
    assert demand.word is word
    assert demand.asked == "below 1.05"


def test_a_cost_that_is_invalid_is_not_judged_whatever_its_interval() -> None:
    [demand] = demand_cost([make_cost(1.0, 1.01, Word.INVALID)], 1.05, ["bridge"], [P50])
    assert (demand.word, demand.seen) == (DemandWord.INVALID, "a note")


def test_other_arms_metrics_and_pairs_are_not_asked_about() -> None:
    pair = make_cost(1, 2).model_copy(update={"kind": "A/A"})
    assert not list(demand_cost([make_cost(1, 2)], 1.05, ["macvlan"], [P50]))
    assert not list(demand_cost([make_cost(1, 2)], 1.05, ["bridge"], [P99]))
    assert not list(demand_cost([pair], 1.05, ["bridge"], [P50]))


def make_verdict(word: ClaimWord, *, usable: bool = True) -> ClaimVerdict:
    p_values = {P50: 0.01} if usable else {}
    return ClaimVerdict(id="article", text="", condition="c=1", word=word, reason="r", holm_p_values=p_values)


@pytest.mark.parametrize(
    ("verdict", "wanted", "word"),
    [
        (make_verdict(ClaimWord.SUPPORTED), ClaimWord.SUPPORTED, DemandWord.MET),
        (make_verdict(ClaimWord.NEGLIGIBLE), ClaimWord.SUPPORTED, DemandWord.FAILED),
        (make_verdict(ClaimWord.INCONCLUSIVE), ClaimWord.SUPPORTED, DemandWord.INCONCLUSIVE),
        (make_verdict(ClaimWord.REFUTED), ClaimWord.REFUTED, DemandWord.MET),
        (make_verdict(ClaimWord.INCONCLUSIVE, usable=False), ClaimWord.SUPPORTED, DemandWord.INVALID),
        (make_verdict(ClaimWord.INCONCLUSIVE, usable=False), ClaimWord.INCONCLUSIVE, DemandWord.INVALID),
    ],
)
def test_a_claim_must_have_the_wanted_word(
    verdict: ClaimVerdict, wanted: ClaimWord, word: DemandWord
) -> None:
    [demand] = demand_claim([verdict], "article", wanted)
    assert demand.word is word
    assert demand.name == "claim article (c=1)"


@pytest.mark.parametrize(
    ("cost", "word"), [(1.1, DemandWord.MET), (1.0, DemandWord.MET), (1.25, DemandWord.FAILED)]
)
def test_a_cost_that_grew_by_more_than_its_margin_is_a_regression(cost: float, word: DemandWord) -> None:
    found = compared(run_of(1.1, seed=1), run_of(cost, seed=2))
    [demand] = demand_no_regression(found, ["bridge"], [P50])
    assert demand.word is word
    assert "since run-1" in demand.name


def demand_of(word: DemandWord, seen: str = "1") -> Demand:
    return Demand(kind="cost", name=f"a {word}", asked="below 1", seen=seen, word=word)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("MET MET", ExitCode.DONE),
        ("MET FAILED", ExitCode.GATE_FAILED),
        ("MET INCONCLUSIVE", ExitCode.GATE_FAILED),
        ("MET INVALID", ExitCode.INVALID_MEASUREMENT),
        ("INVALID FAILED", ExitCode.GATE_FAILED),
    ],
)
def test_the_exit_code_follows_from_the_worst_word(words: str, code: ExitCode) -> None:
    assert exit_code([demand_of(DemandWord(word)) for word in words.split()]) is code


def test_a_demand_for_want_of_precision_says_so() -> None:
    assert "measure longer" in describe_demand(demand_of(DemandWord.INCONCLUSIVE))


def test_the_xml_counts_each_outcome_and_can_be_read_whatever_the_text() -> None:
    demands = [demand_of(word, 'a < b & "c" \x00\x1b\ud800') for word in DemandWord]
    suites = ET.fromstring(render_junit("run-1", "unit", 1.5, demands))
    [suite] = suites
    for element in (suites, suite):
        assert (element.get("tests"), element.get("failures"), element.get("errors")) == ("4", "2", "1")
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"],
        ["failure"],
        ["failure"],
        ["error"],
    ]
    assert suite[1][0].get("type") == "FAILED"
    assert 'a < b & "c"' in (suite[1][0].text or "")
