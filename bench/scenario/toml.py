"""What another person needs to run the same again: the registered scenario as a file."""

import json

from bench.scenario.scenario import Scenario


def scenario_toml(scenario: Scenario) -> str:
    """`scenario` as TOML; `parse_scenario` reads the same scenario from it.

    Of a stored run every default is written out that there was when it was registered; a setting
    without a value is left out, since TOML cannot say that. Written by hand, since the standard library
    only reads TOML: strings, numbers, booleans and arrays are written in JSON as they are in TOML.
    """
    said = json.loads(scenario.model_dump_json(exclude_unset=True, exclude_none=True))
    top = ("name", "question", "baseline", "ladder", "walkthrough")
    lines = _assign({key: said[key] for key in top if key in said})
    lines += _list_tables("arms", said["arms"])
    for table in ("load", "lab", "schedule", "margins", "capacity"):
        lines += ["", f"[{table}]", *_assign(said[table])] if said.get(table) else []
    if said.get("factors"):
        quoted = {json.dumps(key): levels for key, levels in said["factors"].items()}
        lines += ["", "[factors]", *_assign(quoted)]
    lines += _list_tables("claims", said.get("claims", []))
    return "\n".join(lines) + "\n"


def _list_tables(name: str, tables: list[dict[str, object]]) -> list[str]:
    return [line for table in tables for line in ("", f"[[{name}]]", *_assign(table))]


def _assign(table: dict[str, object]) -> list[str]:
    # DEL is the one control character that JSON leaves as it is and TOML forbids.
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in table.items()
        if value is not None  # TOML has no null: what is not given is not written
    ]
