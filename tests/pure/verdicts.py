"""What the tests of the verdict and of its parts share."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.judgement.change import Change
from bench.judgement.comparison import Comparison
from bench.judgement.verdict import Unavailable, Verdict, judge
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.model import Arm, Claim, Margins
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.statistics import estimate

from .conftest import Latency, make_scenario, noise

P50, P99, THROUGHPUT = PERFORMANCE
P10 = Metric.P10_LATENCY_US
CLAIM = Claim(id="article", text="Host is faster.", better="host", than="bridge")
NARROW = Margins(p50_latency_us=0.001, p99_latency_us=0.001, throughput_rps=0.001)


def verdict_on(scenario: Scenario, slots: list[SlotMetrics], resamples: int = 199, **gaps: Any) -> Verdict:
    """With few resamples, whose time would be most of these tests'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "RESAMPLES", resamples)
        return judge(scenario, slots, {}, seed=1, unavailable=Unavailable(**gaps))


def compared(
    verdict: Verdict, metric: Metric = P50, kind: str = "arms", baseline: str = "host"
) -> Comparison:
    [found] = [c for c in verdict.comparisons if (c.metric, c.kind, c.baseline) == (metric, kind, baseline)]
    return found


def costing(factor: float, size: float = 0.01) -> Latency:
    """Host at about 20 us, every other arm at `factor` times that."""
    return lambda slot: 20 * (1 if slot.arm == "host" else factor) * noise(slot, size)


def ratio_of(comparison: Comparison) -> float:
    assert comparison.ratio is not None
    return comparison.ratio


def interval_of(comparison: Comparison) -> tuple[float, float]:
    assert comparison.ci95 is not None
    return comparison.ci95


def in_block(number: int, arm: str = "bridge") -> Callable[[Slot], bool]:
    return lambda slot: (slot.block, slot.arm, slot.repeat) == (number, arm, 0)


def disturbed(scenario: Scenario, latency: Latency, arm: str, condition: int, before: str) -> Latency:
    """`latency`, a tenth longer for slots of `arm` under `condition` that follow one of the arm `before`."""
    planned = plan_slots(scenario, seed=1)
    arm_before = {slot.index: other.arm for other, slot in itertools.pairwise(planned)}

    def disturb(slot: Slot) -> float:
        hit = (slot.arm, slot.condition) == (arm, condition) and arm_before.get(slot.index) == before
        return latency(slot) * (1.1 if hit else 1)

    return disturb


# Of scenarios with factors.

ENGINES = {"lab.engine": ("machine", "debian:trixie")}
STEERING = {"lab.receive_steering": (True, False)}
THIRD = Arm(name="third", mode=Mode.BRIDGE, port=81)


def make_factors(
    factors: dict[str, tuple[Any, ...]] = ENGINES, *, blocks: int = 12, **changes: Any
) -> Scenario:
    return make_scenario(blocks=blocks, factors=factors, **changes)


def random_noise(slot: Slot, size: float, seed: int) -> float:
    """Log-normal, and independent between all slots, as conftest's is not between arms."""
    arm = {"host": 0, "bridge": 1, "third": 2}[slot.arm]
    generator = np.random.default_rng([seed, slot.block, slot.repeat, slot.condition, arm])
    return float(np.exp(size * generator.standard_normal()))


def costing_by_condition(*factors: float, size: float = 0.003, seed: int = 1) -> Latency:
    """Host at about 20 us; every other arm at `factors[condition]` times that."""
    return lambda slot: (
        20 * (1 if slot.arm == "host" else factors[slot.condition]) * random_noise(slot, size, seed)
    )


def change_of(verdict: Verdict, kind: str, candidate: str = "bridge", metric: Metric = P50) -> Change:
    """The one change of that kind, in a scenario of two conditions."""
    [found] = [c for c in verdict.changes if (c.kind, c.candidate, c.metric) == (kind, candidate, metric)]
    return found
