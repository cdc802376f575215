from math import exp

from bench.judgement.comparison import Word
from bench.scenario.plan import Slot

from .conftest import make_scenario, make_slots, noise
from .verdicts import compared, interval_of, verdict_on


def test_sessions_are_the_sample_and_few_of_them_are_noted() -> None:
    scenario = make_scenario(blocks=12, sessions=3)

    def latency_us(slot: Slot) -> float:
        drift = 1 + 0.02 * slot.session if slot.arm == "bridge" else 1
        return 20 * drift * noise(slot, 0.001)

    slots = make_slots(scenario, latency_us)
    in_one = [slot.model_copy(update={"session": 0}) for slot in slots]
    seeing, blind = compared(verdict_on(scenario, slots)), compared(verdict_on(scenario, in_one))

    assert (seeing.unit_of_replication, blind.unit_of_replication) == ("session", "block")
    (low, high), (blind_low, blind_high) = interval_of(seeing), interval_of(blind)
    assert low < blind_low < blind_high < high
    assert any("only 3 sessions" in note for note in seeing.notes)
    assert not any("sessions" in note for note in blind.notes)


def test_a_word_that_the_bootstrap_interval_contradicts_becomes_inconclusive() -> None:
    # Of these eight the interval begins at +0.003, and the bootstrap's at -0.001.
    logs = [-0.036, 0.041, 0.043, 0.034, 0.037, 0.02, 0.03, 0.054]
    scenario = make_scenario(blocks=8)
    slots = make_slots(scenario, lambda slot: 20 * (exp(logs[slot.block]) if slot.arm == "bridge" else 1))
    comparison = compared(verdict_on(scenario, slots, resamples=9_999))
    assert comparison.bootstrap_ci95 is not None
    assert interval_of(comparison)[0] > 1 > comparison.bootstrap_ci95[0]

    assert comparison.word is Word.INCONCLUSIVE
    assert any("bootstrap" in note for note in comparison.notes)
