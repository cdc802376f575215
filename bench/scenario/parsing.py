"""A scenario read from TOML, or every fault of it."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bench.errors import InputError
from bench.scenario.messages import describe_fault
from bench.scenario.model import Parsed
from bench.scenario.scenario import Scenario

MAX_SCENARIO_BYTES = 1_000_000
"""A scenario is a page of text; anything larger is not one."""


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario from TOML `text`; `source` names it in messages.

    Raises InputError with every fault of the file, one line each, by dotted field.
    """
    return parse_file(Scenario, text, f"Reading the scenario {source}")


def parse_file(model: type[Parsed], text: str, doing: str, described_in: str = "docs/scenarios.md") -> Parsed:
    """Read a `model` from TOML `text`. Raises InputError with every fault, by dotted field."""
    if len(text) > MAX_SCENARIO_BYTES:
        raise InputError(
            doing, f"it is larger than {MAX_SCENARIO_BYTES:,} characters", "Give a scenario file."
        )
    try:
        table = tomllib.loads(text)
        return validate(model, table, doing, described_in)
    except (ValueError, TypeError, RecursionError) as fault:
        raise InputError(
            doing, f"it is not valid TOML for a scenario ({fault})", "Correct the file and try again."
        ) from fault


def validate(
    model: type[Parsed], table: Mapping[str, Any], doing: str, described_in: str = "docs/scenarios.md"
) -> Parsed:
    """A `model` of plain tables. Raises InputError with every fault, by dotted field; ValueError, TypeError
    or RecursionError for what is not plain."""
    # By way of JSON, so that strict validation (which keeps "1" from passing as 1) still takes a
    # list for a tuple and a word for an enum's member. A date, which JSON lacks, fits no field.
    text = json.dumps(table, default=lambda date: {"a date": str(date)})
    try:
        return model.model_validate_json(text)
    except ValidationError as fault:
        described = [describe_fault(error, model) for error in fault.errors(include_url=False)]
        faults = [line.strip() for fault_ in described for line in fault_.splitlines()]
        raise InputError(
            doing,
            f"{len(faults)} fault{'s' * (len(faults) > 1)}:\n  " + "\n  ".join(faults) + "\n",
            f"Correct the file and try again; every option is described in {described_in}.",
        ) from fault
