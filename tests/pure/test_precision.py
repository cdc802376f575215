import pytest
from scipy import stats

from bench.judgement.precision import MIN_BLOCKS_TO_STOP, extend, half_width, is_reached, predict_blocks
from bench.judgement.samples import sort_slots
from bench.scenario.metric import Metric
from bench.scenario.model import Load, Schedule
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics

from .conftest import make_scenario, make_slots, noise


def slots_of(blocks: int, size: float) -> tuple[Scenario, list[SlotMetrics]]:
    scenario = make_scenario(blocks=blocks)
    return scenario, make_slots(
        scenario, lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot, size)
    )


def test_the_interval_narrows_with_more_blocks_and_with_less_noise() -> None:
    def width(blocks: int, size: float) -> float:
        found = half_width(*slots_of(blocks, size))
        assert found is not None
        return found

    assert width(40, 0.02) < width(10, 0.02)
    assert width(10, 0.005) < width(10, 0.02)


def test_a_run_stops_when_its_interval_is_as_narrow_as_was_asked_and_not_before() -> None:
    scenario, slots = slots_of(20, 0.02)
    width = half_width(scenario, slots)
    assert width is not None
    assert is_reached(scenario, slots, width)
    assert not is_reached(scenario, slots, width * 0.999)


@pytest.mark.parametrize(("blocks", "stops"), [(MIN_BLOCKS_TO_STOP - 1, False), (MIN_BLOCKS_TO_STOP, True)])
def test_a_few_blocks_that_happen_to_agree_do_not_stop_a_run(blocks: int, *, stops: bool) -> None:
    assert is_reached(*slots_of(blocks, 0.0001), 0.1) is stops


def test_stopping_does_not_look_at_what_the_interval_says() -> None:
    scenario = make_scenario(blocks=12)

    def same(slot: Slot) -> float:
        return 20 * noise(slot)

    def dearer(slot: Slot) -> float:
        return same(slot) * (3 if slot.arm == "bridge" else 1)

    assert half_width(scenario, make_slots(scenario, same)) == pytest.approx(
        half_width(scenario, make_slots(scenario, dearer))
    )


def test_the_widest_interval_counts_and_one_of_an_arm_that_cannot_be_had_does_not() -> None:
    scenario = make_scenario(blocks=12)
    slots = make_slots(scenario, lambda slot: 20 * noise(slot))
    assert half_width(scenario, slots, ["bridge"]) is None
    assert not is_reached(scenario, slots, 0.5, ["bridge"])


def test_the_forecast_is_the_least_number_of_blocks_whose_interval_is_narrow_enough() -> None:
    scenario, slots = slots_of(30, 0.05)
    measured = sort_slots(scenario, slots, seed=0)
    sides = measured.side("host", 0), measured.side("bridge", 0)
    sample = measured.sample(Metric.P50_LATENCY_US, sides)
    spread = stats.tstd([block.logs[1] - block.logs[0] for block in sample.blocks])
    for precision in (0.002, 0.005, 0.01):
        blocks = predict_blocks(scenario, slots, precision)
        assert blocks is not None
        assert stats.t.ppf(0.975, blocks - 1) * spread / blocks**0.5 <= precision * 1.0001
        fewer = blocks - 1
        if fewer >= MIN_BLOCKS_TO_STOP:
            assert stats.t.ppf(0.975, fewer - 1) * spread / fewer**0.5 > precision * 0.9999


def test_without_enough_blocks_there_is_no_forecast() -> None:
    scenario, slots = slots_of(2, 0.01)
    assert predict_blocks(scenario, slots, 0.01) is None
    assert half_width(scenario, slots) is None


@pytest.mark.parametrize(
    ("blocks", "sessions", "longer"), [(18, 1, (900, 1)), (16, 4, (400, 100)), (2_000, 2, (10_000, 10))]
)
def test_a_run_may_grow_fifty_times_and_its_sessions_keep_their_length(
    blocks: int, sessions: int, longer: tuple[int, int]
) -> None:
    schedule = extend(make_scenario(schedule=Schedule(blocks=blocks, sessions=sessions))).schedule
    assert (schedule.blocks, schedule.sessions) == longer


def test_precision_is_asked_of_slots_without_taps_alone() -> None:
    load = Load(model="open", rate_rps=500)
    scenario = make_scenario(blocks=20, factors={"lab.taps": (False, True)}, load=load)
    slots = make_slots(
        scenario,
        lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot, 0.3 if slot.condition else 0.002),
    )
    without = make_scenario(blocks=20)
    calm = [slot for slot in slots if slot.condition == 0]

    assert half_width(scenario, slots) == half_width(without, calm)
