"""Every combination of the factors' levels."""

from itertools import product
from typing import Any

from bench.scenario.model import Frozen, LabSettings, Load
from bench.scenario.scenario import Scenario


class Condition(Frozen):
    """One combination of the factors' levels, as the settings that result from it."""

    label: str
    """Empty where a scenario has no factors."""
    load: Load
    lab: LabSettings

    @property
    def is_compared(self) -> bool:
        """Whether arms are judged under it: taps cost one arm more than another, by what they are."""
        return not self.lab.taps


def conditions(scenario: Scenario) -> tuple[Condition, ...]:
    """Every combination of the factors' levels, in the order in which the file gives them."""
    keys = list(scenario.factors)
    found = []
    for levels in product(*scenario.factors.values()):
        changed: dict[str, dict[str, Any]] = {"load": {}, "lab": {}}
        for key, level in zip(keys, levels, strict=True):
            table, field = key.split(".")
            changed[table][field] = level
        found.append(
            Condition(
                label=", ".join(
                    f"{key.split('.')[1]}={str(level).lower()}"
                    for key, level in zip(keys, levels, strict=True)
                ),
                load=Load.model_validate(scenario.load.model_dump() | changed["load"]),
                lab=LabSettings.model_validate(scenario.lab.model_dump() | changed["lab"]),
            )
        )
    return tuple(found)
