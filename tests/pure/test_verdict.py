import pytest

from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Word
from bench.judgement.verdict import Verdict, judge
from bench.scenario.load import Load
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import Arm, LabSettings, Margins, Schedule
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot
from bench.slots.observation import SlotMetrics

from .conftest import BRIDGE, HOST, make_scenario, make_slots, noise
from .verdicts import CLAIM, NARROW, P10, P50, P99, compared, costing, in_block, ratio_of, verdict_on


def test_each_condition_is_judged_on_its_own_slots() -> None:
    scenario = make_scenario(
        blocks=6, factors={"lab.receive_steering": (True, False)}, claims=(CLAIM,), lab=LabSettings()
    )
    slots = make_slots(scenario, lambda slot: costing(1.2 if slot.condition == 0 else 1.0)(slot))
    verdict = verdict_on(scenario, slots)
    ratios = {c.condition: ratio_of(c) for c in verdict.comparisons if c.kind == "arms" and c.metric is P50}

    assert ratios == {
        "receive_steering=true": pytest.approx(1.2, rel=0.01),
        "receive_steering=false": pytest.approx(1.0, rel=0.01),
    }
    assert [(claim.condition, claim.word) for claim in verdict.claims] == [
        ("receive_steering=true", ClaimWord.SUPPORTED),
        ("receive_steering=false", ClaimWord.NO_DIFFERENCE),
    ]


@pytest.mark.parametrize(
    ("factor", "margins", "word"),
    [
        (1.1, Margins(), ClaimWord.SUPPORTED),
        (1.02, Margins(), ClaimWord.NEGLIGIBLE),
        (1.0, Margins(), ClaimWord.NO_DIFFERENCE),
        (1.0, NARROW, ClaimWord.INCONCLUSIVE),
        (0.9, Margins(), ClaimWord.REFUTED),
    ],
)
def test_a_whole_run_gives_the_word_that_its_effect_deserves(
    factor: float, margins: Margins, word: ClaimWord
) -> None:
    scenario = make_scenario(blocks=12, margins=margins, claims=(CLAIM,))
    [claim] = verdict_on(scenario, make_slots(scenario, costing(factor))).claims

    assert claim.word is word


def test_a_run_in_which_the_metrics_disagree_is_mixed() -> None:
    scenario = make_scenario(blocks=12, claims=(CLAIM,))
    slots = [
        slot.model_copy(
            update={
                "values": {**slot.values, P99: 60 * noise_of(slot) / (1.5 if slot.arm == "bridge" else 1)}
            }
        )
        for slot in make_slots(scenario, costing(1.1))
    ]

    assert [claim.word for claim in verdict_on(scenario, slots).claims] == [ClaimWord.MIXED]


def noise_of(slot: SlotMetrics) -> float:
    return noise(Slot(index=0, session=0, block=slot.block, arm=slot.arm, condition=0, repeat=slot.repeat))


def test_the_margin_of_a_comparison_is_the_one_of_its_metric() -> None:
    margins = Margins(p50_latency_us=0.01, p99_latency_us=0.02, throughput_rps=0.03)
    scenario = make_scenario(blocks=4, margins=margins)
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1)))

    assert [compared(verdict, metric).margin for metric in PERFORMANCE] == [0.01, 0.02, 0.03]


def test_scope_and_warnings_are_part_of_the_verdict() -> None:
    scenario = make_scenario(schedule=Schedule(blocks=3))
    verdict = judge(scenario, make_slots(scenario, costing(1.1)), {"kernel": "6.1"}, 1, ["idle states"])

    assert (verdict.scope, verdict.warnings) == ({"kernel": "6.1"}, ("idle states",))


def test_a_verdict_is_the_same_after_a_way_through_json() -> None:
    scenario = make_scenario(blocks=4, claims=(CLAIM,))
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), invalid=in_block(1)))

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_same_slots_and_seed_give_the_same_verdict() -> None:
    scenario = make_scenario(blocks=5, claims=(CLAIM,))
    slots = make_slots(scenario, costing(1.03))

    assert verdict_on(scenario, slots) == verdict_on(scenario, slots)


def test_a_control_is_compared_with_nothing_not_even_with_itself() -> None:
    control = Arm(name="none", mode=Mode.NONE)
    beside = Arm(name="beside", mode="container:none")
    scenario = make_scenario(blocks=4, arms=(HOST, BRIDGE, control, beside))
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1)))

    assert {(c.kind, c.baseline, c.candidate) for c in verdict.comparisons} == {
        ("arms", "host", "bridge"),
        ("A/A", "host", "host"),
        ("A/A", "bridge", "bridge"),
    }


# What cannot be had on the machine.

THIRD = Arm(name="third", mode=Mode.BRIDGE, port=81)
OTHER_CLAIM = CLAIM.model_copy(update={"id": "other", "than": "third"})
NO_IPVLAN = {"third": "this kernel has no ipvlan"}


def test_an_unavailable_arm_is_compared_with_nothing() -> None:
    scenario = make_scenario(blocks=4, arms=(HOST, BRIDGE, THIRD))
    slots = [slot for slot in make_slots(scenario, costing(1.1)) if slot.arm != "third"]
    verdict = verdict_on(scenario, slots, arms=NO_IPVLAN)

    assert {c.candidate for c in verdict.comparisons} == {"host", "bridge"}
    assert Word.INVALID not in {c.word for c in verdict.comparisons}
    assert verdict.unavailable == NO_IPVLAN


@pytest.mark.parametrize(("better", "than"), [("host", "third"), ("third", "host")])
def test_a_claim_about_an_unavailable_arm_is_inconclusive_and_others_are_judged(
    better: str, than: str
) -> None:
    about_third = CLAIM.model_copy(update={"id": "other", "better": better, "than": than})
    scenario = make_scenario(blocks=6, arms=(HOST, BRIDGE, THIRD), claims=(about_third, CLAIM))
    slots = [slot for slot in make_slots(scenario, costing(1.2)) if slot.arm != "third"]
    other, article = verdict_on(scenario, slots, arms=NO_IPVLAN).claims

    assert other.word is ClaimWord.INCONCLUSIVE
    assert other.reason == "third is NOT AVAILABLE here: this kernel has no ipvlan"
    assert (article.id, article.word) == ("article", ClaimWord.SUPPORTED)


def test_an_unavailable_condition_leaves_its_claims_open_and_the_others_as_they_are() -> None:
    scenario = make_scenario(blocks=6, factors={"lab.engine": ("machine", "debian:trixie")}, claims=(CLAIM,))
    slots = [slot for slot in make_slots(scenario, costing(1.2)) if slot.condition == 0]
    verdict = verdict_on(scenario, slots, conditions={1: "no network"})

    assert {c.condition for c in verdict.comparisons} == {"engine=machine"}
    assert [(claim.condition, claim.word) for claim in verdict.claims] == [
        ("engine=machine", ClaimWord.SUPPORTED),
        ("engine=debian:trixie", ClaimWord.INCONCLUSIVE),
    ]
    assert verdict.claims[1].reason == "engine=debian:trixie is NOT AVAILABLE here: no network"
    assert verdict.unavailable_conditions == {"engine=debian:trixie": "no network"}


def test_a_verdict_with_gaps_is_the_same_after_a_way_through_json() -> None:
    scenario = make_scenario(
        blocks=4,
        arms=(HOST, BRIDGE, THIRD),
        ladder=("host", "third", "bridge"),
        factors={"load.connections": (1, 2, 4)},
        claims=(CLAIM, OTHER_CLAIM),
    )
    slots = [s for s in make_slots(scenario, costing(1.1)) if s.arm != "third" and s.condition != 2]
    verdict = verdict_on(scenario, slots, arms=NO_IPVLAN, conditions={2: "no"})

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_an_open_loop_is_judged_on_latency_alone_its_claims_ladder_and_changes_as_well() -> None:
    scenario = make_scenario(
        blocks=4,
        load=Load(model="open"),
        factors={"load.rate_rps": (100, 200)},
        ladder=("host", "bridge"),
        claims=(CLAIM,),
    )
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.2)))

    assert {one.metric for one in (*verdict.comparisons, *verdict.steps)} == {P10, P50, P99}
    assert {change.metric for change in verdict.changes} == {P10, P50, P99}
    assert [set(claim.holm_p_values) for claim in verdict.claims] == [{P50, P99}] * 2
    assert [claim.word for claim in verdict.claims] == [ClaimWord.SUPPORTED] * 2


def test_under_taps_nothing_is_judged_but_what_the_taps_change() -> None:
    scenario = make_scenario(
        blocks=6,
        factors={"lab.taps": (False, True)},
        load=Load(model="open", rate_rps=500),
        claims=(CLAIM,),
        ladder=("host", "bridge"),
    )
    # Taps cost bridge so much that judging under them would refute what holds without.
    slots = make_slots(scenario, lambda slot: costing(1.2 if slot.condition == 0 else 0.8)(slot))
    verdict = verdict_on(scenario, slots)

    for found in (verdict.comparisons, verdict.steps, verdict.claims):
        assert {each.condition for each in found} == {"taps=false"}
    assert [claim.word for claim in verdict.claims] == [ClaimWord.SUPPORTED]
    assert {(change.kind, change.candidate) for change in verdict.changes} == {
        ("cost", "bridge"),
        ("arm", "host"),
        ("arm", "bridge"),
    }
    [taps] = [c for c in verdict.changes if (c.kind, c.candidate, c.metric) == ("arm", "bridge", P50)]
    assert taps.ratio == pytest.approx(0.8 / 1.2, rel=0.02)
