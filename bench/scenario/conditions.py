"""Every combination of the factors' levels."""

from itertools import product
from typing import Any

from bench.scenario.load import Load
from bench.scenario.model import Frozen, LabSettings
from bench.scenario.scenario import Scenario


class Condition(Frozen):
    """One combination of the factors' levels, as the settings that result from it."""

    label: str
    """Its settings joined; empty where a scenario has no factors."""
    settings: tuple[tuple[str, str], ...] = ()
    """Each factor with what is said of its level: `("load.connections", "connections=16")`."""
    load: Load
    lab: LabSettings

    @property
    def is_compared(self) -> bool:
        """Whether arms are judged under it: taps cost one arm more than another, by what they are."""
        return not self.lab.taps


def name_level(level: object) -> str:
    """As people and tables name it: `16`, `true`; an empty text is `none`."""
    return "none" if level == "" else str(level).lower()


def name_setting(factor: str, level: object) -> str:
    """A factor with its level: `connections=16`, `taps=true`, `sysctls=none`."""
    return f"{factor.split('.')[1]}={name_level(level)}"


def conditions(scenario: Scenario) -> tuple[Condition, ...]:
    """Every combination of the factors' levels, in the order in which the file gives them."""
    keys = list(scenario.factors)
    found = []
    for levels in product(*scenario.factors.values()):
        changed: dict[str, dict[str, Any]] = {"load": {}, "lab": {}}
        for key, level in zip(keys, levels, strict=True):
            table, field = key.split(".")
            changed[table][field] = level
        named = tuple((key, name_setting(key, level)) for key, level in zip(keys, levels, strict=True))
        found.append(
            Condition(
                label=", ".join(name for _, name in named),
                settings=named,
                load=Load.model_validate(scenario.load.model_dump() | changed["load"]),
                lab=LabSettings.model_validate(scenario.lab.model_dump() | changed["lab"]),
            )
        )
    return tuple(found)
