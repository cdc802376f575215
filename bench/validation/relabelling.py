"""Recorded slots of one arm become A/A experiments: what the method concludes where nothing differs.

The arm's slots are divided at random, within every block, into two pseudo-arms. Their true ratio
is 1, or what is multiplied into one of them; the noise is the machine's own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.scenario.metric import Metric
from bench.scenario.model import Arm
from bench.scenario.modes.model import Mode
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.validation.simulation import worsen

ONE, OTHER = "one", "other"


def make_pseudo_scenario(recorded: Scenario) -> Scenario:
    """The scenario of an A/A experiment with two pseudo-arms, and the margins that were registered.

    Where a recorded arm has two slots a block, a pseudo-arm has one: too few for A/A pairs of its
    own, and the only scenario to have so few. Its comparison with itself is then INVALID, and no doubt.
    """
    pseudo = Scenario(
        name="relabelled",
        question="Does the method find a difference where there is none?",
        baseline=ONE,
        arms=(Arm(name=ONE, mode=Mode.BRIDGE), Arm(name=OTHER, mode=Mode.BRIDGE)),
        schedule=recorded.schedule,
        margins=recorded.margins,
    )
    slots_per_arm = recorded.schedule.slots_per_arm // 2
    schedule = pseudo.schedule.model_copy(update={"slots_per_arm": slots_per_arm})
    # The load says which metrics are compared; its rate may be a factor, which a pseudo-arm has not.
    return pseudo.model_copy(update={"schedule": schedule, "load": recorded.load})


def relabel(
    slots: Sequence[SlotMetrics],
    arm: str,
    condition: int,
    truth: Mapping[Metric, float],
    generator: np.random.Generator,
) -> list[SlotMetrics]:
    """The slots of `arm` under `condition` as slots of two pseudo-arms, half of each block's in each.

    OTHER is made worse than ONE by the ratios `truth`. Of an odd number of slots, one at random is left out.
    """
    blocks: dict[int, list[SlotMetrics]] = {}
    for slot in slots:
        if (slot.arm, slot.condition) == (arm, condition):
            blocks.setdefault(slot.block, []).append(slot)
    relabelled = []
    for of_block in blocks.values():
        half = len(of_block) // 2
        for place, index in enumerate(generator.permutation(len(of_block))[: 2 * half]):
            slot, is_other = of_block[index], place >= half
            values = {
                metric: value * worsen(metric, truth) if is_other and value is not None else value
                for metric, value in slot.values.items()
                if metric in truth
            }
            pseudo = {
                "arm": OTHER if is_other else ONE,
                "condition": 0,
                "repeat": place % half,
                "values": values,
            }
            relabelled.append(slot.model_copy(update=pseudo))
    return relabelled
