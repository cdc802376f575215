from math import exp

from bench.core.comparison import Word
from bench.core.plan import Slot

from .conftest import make_scenario, make_slots, noise
from .verdicts import compared, interval_of, verdict_on


def test_sessions_that_differ_widen_the_interval_and_are_noted() -> None:
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
    assert any("sessions differ" in note for note in seeing.notes)
    assert not any("sessions differ" in note for note in blind.notes)


def test_a_word_that_the_bootstrap_interval_contradicts_becomes_inconclusive() -> None:
    # Of these six the t-interval is (+0.008, +0.136) and the bootstrap's begins at -0.003.
    logs = [0.098, 0.098, 0.099, 0.092, 0.098, -0.052]
    scenario = make_scenario(blocks=6)
    slots = make_slots(scenario, lambda slot: 20 * (exp(logs[slot.block]) if slot.arm == "bridge" else 1))
    comparison = compared(verdict_on(scenario, slots, resamples=9_999))
    assert comparison.bootstrap_ci95 is not None
    assert interval_of(comparison)[0] > 1 > comparison.bootstrap_ci95[0]

    assert comparison.word is Word.INCONCLUSIVE
    assert any("bootstrap" in note for note in comparison.notes)
