import pytest

from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Word
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import Arm
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot

from .conftest import BRIDGE, HOST, make_scenario, make_slots
from .verdicts import CLAIM, P50, P99, compared, costing, in_block, ratio_of, verdict_on


def test_a_block_with_an_invalid_slot_is_left_out_and_noted() -> None:
    scenario = make_scenario(blocks=6)

    def latency_us(slot: Slot) -> float:
        return 1e6 if in_block(2)(slot) else costing(1.1)(slot)

    comparison = compared(verdict_on(scenario, make_slots(scenario, latency_us, invalid=in_block(2))))

    assert (comparison.blocks, comparison.block_numbers) == (5, (0, 1, 3, 4, 5))
    assert ratio_of(comparison) == pytest.approx(1.1, rel=0.02)
    assert any("1 of 6 blocks left out" in note for note in comparison.notes)


def test_a_complete_run_has_no_note_about_blocks() -> None:
    scenario = make_scenario(blocks=6)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))

    assert not [note for note in comparison.notes if "block" in note]


def test_a_block_that_was_not_finished_is_left_out() -> None:
    scenario = make_scenario(blocks=6)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))[:-1]))

    assert comparison.block_numbers == (0, 1, 2, 3, 4)


def test_an_invalid_slot_of_a_third_arm_leaves_the_others_as_they_are() -> None:
    third = Arm(name="third", mode=Mode.BRIDGE, port=81)
    scenario = make_scenario(blocks=6, arms=(HOST, BRIDGE, third))
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), invalid=in_block(2, "third")))
    blocks = {c.candidate: c.blocks for c in verdict.comparisons if c.kind == "arms" and c.metric is P50}

    assert blocks == {"bridge": 6, "third": 5}


def test_a_metric_that_a_slot_could_not_give_leaves_its_block_out_for_that_metric_alone() -> None:
    scenario = make_scenario(blocks=6)
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), missing={P99: in_block(3)}))

    assert [compared(verdict, metric).blocks for metric in PERFORMANCE] == [6, 5, 6]


def test_a_value_of_zero_leaves_its_block_out_instead_of_ending_the_run() -> None:
    scenario = make_scenario(blocks=6)
    slots = [
        slot.model_copy(update={"values": {P50: 0.0}}) if index == 0 else slot
        for index, slot in enumerate(make_slots(scenario, costing(1.1)))
    ]

    assert compared(verdict_on(scenario, slots)).block_numbers == (1, 2, 3, 4, 5)


def test_fewer_than_three_blocks_are_invalid_and_have_no_numbers() -> None:
    scenario = make_scenario(blocks=2)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))

    assert comparison.word is Word.INVALID
    assert (comparison.ratio, comparison.ci95, comparison.p_value) == (None, None, None)
    assert comparison.notes == ("only 2 of 2 blocks are complete and valid",)


def test_three_blocks_are_enough() -> None:
    scenario = make_scenario(blocks=3)

    assert compared(verdict_on(scenario, make_slots(scenario, costing(1.1)))).word is not Word.INVALID


@pytest.mark.parametrize(("lost", "valid"), [(5, True), (6, False)])
def test_a_comparison_that_lost_more_than_half_of_its_blocks_is_invalid(lost: int, *, valid: bool) -> None:
    scenario = make_scenario(blocks=10)
    slots = make_slots(scenario, costing(1.1), invalid=lambda slot: slot.block < lost)

    assert (compared(verdict_on(scenario, slots)).word is not Word.INVALID) is valid


def test_no_slots_at_all_give_invalid_comparisons_and_an_inconclusive_claim() -> None:
    verdict = verdict_on(make_scenario(claims=(CLAIM,)), [])

    assert {c.word for c in verdict.comparisons} == {Word.INVALID}
    assert [claim.word for claim in verdict.claims] == [ClaimWord.INCONCLUSIVE]
