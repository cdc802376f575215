from collections.abc import Sequence

import numpy as np
import pytest

from bench.judgement import effect
from bench.scenario.metric import Metric
from bench.slots.observation import SlotMetrics
from bench.statistics import estimate
from bench.validation.error_rates import EQUAL, Measure, count_planned, count_relabelled
from bench.validation.relabelling import ONE, OTHER, make_pseudo_scenario, relabel

from .conftest import make_scenario, make_slots
from .test_rates import as_if_requests_were_independent
from .verdicts import P50, THROUGHPUT, random_noise, verdict_on


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "RESAMPLES", 199)


RECORDED = make_scenario(blocks=8, slots_per_arm=4, factors={"load.connections": (1, 16)})


def recorded_slots(size: float = 0.02) -> list[SlotMetrics]:
    """Bridge costs a half more than host, and every slot has a latency that no other has."""
    return make_slots(
        RECORDED,
        lambda slot: (
            (30 if slot.arm == "bridge" else 20) * (1 + slot.condition) * random_noise(slot, size, 1)
        ),
    )


def relabelled(arm: str = "host", condition: int = 1, seed: int = 1, ratio: float = 1.0) -> list[SlotMetrics]:
    truth = dict.fromkeys(Metric, ratio)
    return relabel(recorded_slots(), arm, condition, truth, np.random.default_rng(seed))


@pytest.mark.parametrize("arm", ["host", "bridge"])
@pytest.mark.parametrize("condition", [0, 1])
def test_relabelling_keeps_blocks_and_sessions_and_never_crosses_arms_or_conditions(
    arm: str, condition: int
) -> None:
    of_arm = [slot for slot in recorded_slots() if (slot.arm, slot.condition) == (arm, condition)]
    pseudo = relabelled(arm, condition)

    def identify(slots: Sequence[SlotMetrics]) -> list[tuple[int, int, float | None]]:
        return sorted((slot.block, slot.session, slot.values[P50]) for slot in slots)

    assert identify(pseudo) == identify(of_arm)
    for block in range(8):
        places = [(slot.arm, slot.repeat) for slot in pseudo if slot.block == block]
        assert sorted(places) == [(ONE, 0), (ONE, 1), (OTHER, 0), (OTHER, 1)]


def test_relabellings_differ_with_the_generator_and_put_every_slot_into_either_arm() -> None:
    into_one = [{slot.values[P50] for slot in relabelled(seed=seed) if slot.arm == ONE} for seed in range(20)]

    assert len({frozenset(values) for values in into_one}) == 20
    assert len(set.union(*into_one)) == 8 * 4
    assert relabelled(seed=3) == relabelled(seed=3)


def test_of_an_odd_number_one_slot_at_random_is_left_out() -> None:
    slots = [slot for slot in recorded_slots() if slot.repeat < 3]
    drawn = [relabel(slots, "host", 0, EQUAL, np.random.default_rng(seed)) for seed in range(20)]

    assert {len(pseudo) for pseudo in drawn} == {8 * 2}
    assert len({slot.values[P50] for pseudo in drawn for slot in pseudo}) == 8 * 3


@pytest.mark.parametrize("slots_per_arm", [2, 4])
def test_the_ratio_that_is_multiplied_in_is_what_the_verdict_on_pseudo_arms_finds(slots_per_arm: int) -> None:
    recorded = make_scenario(blocks=8, slots_per_arm=slots_per_arm)
    slots = make_slots(recorded, lambda slot: 20 * random_noise(slot, 0.0001, 1))
    generator = np.random.default_rng(1)
    pseudo = relabel(slots, "host", 0, dict.fromkeys(Metric, 1.2), generator)
    verdict = verdict_on(make_pseudo_scenario(recorded), pseudo)

    for comparison in verdict.comparisons:
        if comparison.kind == "arms":
            assert comparison.ratio == pytest.approx(1.2, rel=1e-3)
    assert verdict.comparisons[0].blocks == 8


def test_a_slot_that_lacks_a_metric_lacks_it_still() -> None:
    slots = [
        slot.model_copy(update={"values": {**slot.values, THROUGHPUT: None}}) for slot in recorded_slots()
    ]
    pseudo = relabel(slots, "host", 0, dict.fromkeys(Metric, 1.1), np.random.default_rng(1))

    assert {slot.values[THROUGHPUT] for slot in pseudo} == {None}


def test_relabelled_rates_are_counted_by_arm_condition_and_metric_and_are_on_target() -> None:
    found = list(count_relabelled("run", RECORDED, recorded_slots(), 25))

    assert len({rate.setting for rate in found}) == 2 * 2 * 4
    assert {(rate.part, rate.blocks, rate.slots_per_arm) for rate in found} == {("recorded", 8, 2)}
    assert {rate.trials for rate in found if rate.measure is Measure.INTERVAL_ALARM} == {25}
    assert not [rate for rate in found if rate.is_off]


def test_relabelled_rates_catch_a_broken_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "estimate", as_if_requests_were_independent)
    alarms = [
        rate
        for rate in count_relabelled("run", RECORDED, recorded_slots(), 10)
        if rate.measure is Measure.INTERVAL_ALARM
    ]

    assert all(rate.is_off for rate in alarms)


def test_the_planned_pairs_of_a_run_are_counted_all_together() -> None:
    verdict = verdict_on(RECORDED, recorded_slots())
    [rate] = count_planned("run", verdict, 8, 4)

    assert rate.trials == 2 * 2 * 4
    assert rate.hits <= 3
