from statistics import fmean

import numpy as np
import pytest

from bench.judgement.comparison import Word
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.plan import plan_slots
from bench.validation.simulation import (
    NOISES,
    SETTINGS,
    Noise,
    Setting,
    draw_noise,
    make_experiment,
    simulate,
)

from .verdicts import P50, P99, THROUGHPUT, compared, interval_of, ratio_of, verdict_on

QUIET = Noise(name="quiet", slot=0.0001)


def setting_of(noise: Noise, blocks: int = 12, slots_per_arm: int = 2) -> Setting:
    return Setting(noise=noise, blocks=blocks, slots_per_arm=slots_per_arm)


def noise_of(noise: Noise, blocks: int = 500, seed: int = 1) -> np.ndarray:
    """A long run's, in the order of its slots."""
    planned = plan_slots(make_experiment(setting_of(noise, blocks)), seed)
    return draw_noise(noise, planned, np.random.default_rng(seed))


@pytest.mark.parametrize("metric", PERFORMANCE)
@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.02, 1.5])
def test_the_ratio_that_is_put_in_is_what_the_verdict_finds(metric: Metric, ratio: float) -> None:
    scenario = make_experiment(setting_of(QUIET))
    truth = {**dict.fromkeys(PERFORMANCE, 1.0), metric: ratio}
    verdict = verdict_on(scenario, simulate(scenario, QUIET, truth, seed=1))

    for other in PERFORMANCE:
        found = compared(verdict, other, baseline="arm-0")
        assert ratio_of(found) == pytest.approx(truth[other], rel=1e-3)
    word = compared(verdict, metric, baseline="arm-0").word
    if ratio != 1:
        assert word is (Word.BETTER if ratio > 1 else Word.WORSE)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_a_simulation_has_every_slot_of_the_plan_and_the_same_seed_gives_the_same(noise: Noise) -> None:
    scenario = make_experiment(setting_of(noise, blocks=6))
    slots = simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=3)

    assert [(slot.block, slot.arm, slot.repeat) for slot in slots] == [
        (slot.block, slot.arm, slot.repeat) for slot in plan_slots(scenario, 3)
    ]
    assert slots == simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=3)
    assert slots != simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=4)


def test_every_kind_of_noise_is_what_it_says() -> None:
    memory = noise_of(Noise(name="", slot=0.02, memory=0.9))
    assert np.std(memory) == pytest.approx(0.02, rel=0.2)
    assert np.corrcoef(memory[1:], memory[:-1])[0, 1] == pytest.approx(0.9, abs=0.05)

    drift = noise_of(Noise(name="", slot=0.0, drift=0.2))
    assert (drift[0], drift[-1]) == (0, pytest.approx(0.2))

    outliers = noise_of(Noise(name="", slot=0.0, outliers=0.02))
    assert set(np.round(np.exp(outliers), 9)) == {1.0, 1.5}
    assert fmean(outliers > 0) == pytest.approx(0.02, abs=0.01)

    levels = noise_of(Noise(name="", slot=0.0, level=0.1, dwell=10)) > 0
    assert fmean(levels) == pytest.approx(0.5, abs=0.15)
    assert len(levels) / (np.diff(levels).sum() + 1) == pytest.approx(10, rel=0.3)

    tails = noise_of(Noise(name="", slot=1.0, tail=3.0))
    assert fmean(np.abs(tails) > 5) > 0.005  # of normal ones it would be one in two million


def test_what_a_session_does_to_an_arm_is_in_all_of_its_slots_there_and_nowhere_else() -> None:
    noise = Noise(name="", slot=0.0, session=0.02, sessions=4)
    scenario = make_experiment(setting_of(noise))
    slots = simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=1)
    found = {(slot.session, slot.arm, slot.values[P50]) for slot in slots}

    assert len(found) == 4 * 2
    contrasts = [np.ptp([value or 0 for s, _, value in found if s == session]) for session in range(4)]
    assert all(contrast > 0 for contrast in contrasts)


def test_the_metrics_go_together_and_p99_has_more_noise() -> None:
    noise = Noise(name="", slot=0.02)
    scenario = make_experiment(setting_of(noise, blocks=200))
    slots = simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=1)
    logs = {metric: np.log([slot.values[metric] or 0 for slot in slots]) for metric in PERFORMANCE}

    assert np.corrcoef(logs[P50], logs[THROUGHPUT])[0, 1] < -0.95
    assert 0.5 < np.corrcoef(logs[P50], logs[P99])[0, 1] < 0.9
    assert np.std(logs[P99]) > np.std(logs[P50])


def test_the_settings_are_all_kinds_of_noise_in_all_sizes() -> None:
    assert {setting.noise for setting in SETTINGS} == set(NOISES)
    assert {setting.blocks for setting in SETTINGS} == {6, 12, 18, 30}
    assert {setting.slots_per_arm for setting in SETTINGS} == {2, 4}
    assert len({noise.name for noise in NOISES}) == len(NOISES)


def test_a_simulated_interval_grows_with_the_noise() -> None:
    widths = []
    for noise in NOISES[:3]:
        scenario = make_experiment(setting_of(noise))
        slots = simulate(scenario, noise, dict.fromkeys(PERFORMANCE, 1.0), seed=1)
        low, high = interval_of(compared(verdict_on(scenario, slots), baseline="arm-0"))
        widths.append(high - low)

    assert widths == sorted(widths)
