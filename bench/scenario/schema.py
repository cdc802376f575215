"""The scenario file as a JSON Schema, for editors: names, types, limits and descriptions of every option.

What needs several fields at once (a claim's arms, what an open loop must have) is beyond it:
`bench scenario check` says that.
"""

from typing import Any

from bench.scenario.contradictions import MAX_ARMS
from bench.scenario.factors import FACTORS
from bench.scenario.modes.addresses import ADDRESSES
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.scenario import TABLES, Scenario

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What Taplo and Even Better TOML read."""


def describe_scenario_file() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema()
    options = schema["properties"]
    options["arms"] |= {"minItems": 2, "maxItems": MAX_ARMS}
    options["factors"] |= {
        "properties": {key: _describe_factor(key) for key in sorted(FACTORS)},
        "additionalProperties": False,
    }
    arm = schema["$defs"]["Arm"]["properties"]
    arm["mode"] = {
        "description": "How the arm's server is joined to the network.",
        "anyOf": [
            *(
                {"const": str(mode), "description": about.summary}
                for mode, about in MODES.items()
                if mode is not Mode.CONTAINER
            ),
            {"pattern": f"^{Mode.CONTAINER}:.+$", "description": MODES[Mode.CONTAINER].summary},
        ],
        "type": "string",
    }
    arm["address"]["enum"] = list(ADDRESSES)
    return {"$schema": DIALECT, **_plain(schema), "title": "A scenario of bench"}


def _describe_factor(key: str) -> dict[str, Any]:
    table, field = key.split(".")
    option = TABLES[table].model_json_schema()["properties"][field]
    level = {name: value for name, value in option.items() if name not in ("default", "description")}
    return {
        "description": option["description"],
        "type": "array",
        "items": level,
        "minItems": 2,
        "uniqueItems": True,
    }


def _plain(schema: Any) -> Any:
    """Without pydantic's titles, which repeat the names; descriptions on one line."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if isinstance(schema, str):
        return schema.replace("\n", " ")
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
    }
