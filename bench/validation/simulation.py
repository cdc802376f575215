"""Experiments whose truth is known: slots of a plan with noise of a declared kind.

Pure: a seed gives the same slots. Noise is drawn along the plan's order, so that what the plan's
shuffle is to balance (drift, memory, levels that last) falls on arms as it would on a machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Claim, Schedule
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics

LATENCY_US = 42.0
FACTOR = "load.connections"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What makes slots of one arm differ. Sizes are of logarithms: 0.015 is about 1.5 %."""

    name: str
    slot: float = 0.015
    """Standard deviation of what is a slot's own, its container's luck included."""
    tail: float | None = None
    """Degrees of freedom of Student's t, where the slot's own part is not normal."""
    drift: float = 0.0
    """From the first slot of the run to the last, in a line."""
    memory: float = 0.0
    """Correlation of the slot's own part with that of the slot before: AR(1)."""
    outliers: float = 0.0
    """Share of slots that take half as long again."""
    level: float = 0.0
    """Of the slower of two levels that the whole machine switches between."""
    dwell: float = 8.0
    """Slots that a level lasts, on average."""
    session: float = 0.0
    """Standard deviation of what a session does to one arm and not to another."""
    sessions: int = 1


BIMODAL = log(49 / 42)
NOISES = (
    Noise(name="normal, 0.5 %", slot=0.005),
    Noise(name="normal, 1.5 %"),
    Noise(name="normal, 5 %", slot=0.05),
    Noise(name="drift of 20 %", drift=0.2),
    Noise(name="AR(1), 0.5", memory=0.5),
    Noise(name="AR(1), 0.9", memory=0.9),
    Noise(name="outliers: 2 % of slots, +50 %", outliers=0.02),
    Noise(name="two levels, 42 and 49 us", slot=0.005, level=BIMODAL),
    Noise(name="heavy tails: t, 3 df", tail=3.0),
    Noise(name="as here: all but sessions", level=BIMODAL, outliers=0.01, drift=0.05, memory=0.3),
    Noise(name="4 sessions, no effect", sessions=4),
    Noise(name="4 sessions, 2 %", session=0.02, sessions=4),
    Noise(name="4 sessions, 0.7 %", session=0.007, sessions=4),
    Noise(name="2 sessions, 2 %", session=0.02, sessions=2),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A kind of noise and a size of experiment."""

    noise: Noise
    blocks: int
    slots_per_arm: int


SETTINGS = tuple(
    Setting(noise=noise, blocks=blocks, slots_per_arm=slots_per_arm)
    for noise in NOISES
    for blocks, slots_per_arm in ((6, 2), (12, 2), (18, 2), (30, 2), (12, 4))
)


def make_experiment(setting: Setting) -> Scenario:
    """Two arms and a claim on all metrics."""
    return _make_scenario(setting, arms=2)


def make_family(setting: Setting) -> Scenario:
    """A ladder of four arms under two conditions, and a claim: as many verdicts as a large run has."""
    return _make_scenario(
        setting, arms=4, ladder=tuple(f"arm-{number}" for number in range(4)), factors={FACTOR: (1, 16)}
    )


def _make_scenario(setting: Setting, arms: int, **more: object) -> Scenario:
    names = [f"arm-{number}" for number in range(arms)]
    fields: dict[str, object] = {
        "name": "simulated",
        "question": "Is there a difference?",
        "baseline": names[0],
        "arms": tuple(Arm(name=name, mode=Mode.BRIDGE) for name in names),
        "schedule": Schedule(
            blocks=setting.blocks, slots_per_arm=setting.slots_per_arm, sessions=setting.noise.sessions
        ),
        "claims": (Claim(id="claim", text="The first is better.", better=names[0], than=names[-1]),),
    }
    return Scenario.model_validate(fields | more)


def simulate(scenario: Scenario, noise: Noise, truth: Mapping[Metric, float], seed: int) -> list[SlotMetrics]:
    """A run of `scenario` in which the baseline is better than every other arm by the ratios `truth`.

    Throughput follows the latency; p99 has as much noise again of its own. A metric that `truth` lacks
    is one that the slots could not give, and costs the verdict no time.
    """
    generator = np.random.default_rng(seed)
    planned = plan_slots(scenario, seed)
    shared = draw_noise(noise, planned, generator)
    own = noise.slot * generator.standard_normal((2, len(planned)))
    logs = {
        Metric.P50_LATENCY_US: log(LATENCY_US) + shared,
        Metric.P99_LATENCY_US: log(3 * LATENCY_US) + shared + own[0],
        Metric.THROUGHPUT_RPS: log(1e6 / LATENCY_US) - shared + 0.2 * own[1],
    }
    values = {metric: np.exp(of_metric).tolist() for metric, of_metric in logs.items()}
    return [
        SlotMetrics(
            session=slot.session,
            block=slot.block,
            arm=slot.arm,
            condition=slot.condition,
            repeat=slot.repeat,
            valid=True,
            values={
                metric: values[metric][index]
                * (1.0 if slot.arm == scenario.baseline else worsen(metric, truth))
                for metric in truth
            },
        )
        for index, slot in enumerate(planned)
    ]


def worsen(metric: Metric, truth: Mapping[Metric, float]) -> float:
    """The factor on a value of `metric` that makes an arm worse by its ratio in `truth`."""
    return 1 / truth[metric] if metric.higher_is_better else truth[metric]


def draw_noise(noise: Noise, planned: tuple[Slot, ...], generator: np.random.Generator) -> np.ndarray:
    """What is added to the logarithm of each slot's latency, in the order of the plan."""
    count = len(planned)
    own = generator.standard_normal(count) if noise.tail is None else generator.standard_t(noise.tail, count)
    for index in range(1, count) if noise.memory else ():
        own[index] = noise.memory * own[index - 1] + sqrt(1 - noise.memory**2) * own[index]
    total = noise.slot * own + noise.drift * np.linspace(0, 1, count)
    total += log(1.5) * (generator.random(count) < noise.outliers)
    switches = generator.random(count) < 1 / noise.dwell
    switches[0] = generator.random() < 0.5
    total += noise.level * (np.cumsum(switches) % 2)
    effects: dict[tuple[int, str], float] = {}
    for index, slot in enumerate(planned) if noise.session else ():
        place = (slot.session, slot.arm)
        if place not in effects:
            effects[place] = noise.session / sqrt(2) * generator.standard_normal()
        total[index] += effects[place]
    return np.asarray(total)
