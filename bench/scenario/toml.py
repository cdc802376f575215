"""What another person needs to run the same again: the registered scenario as a file."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.scenario.model import Frozen
from bench.scenario.scenario import Scenario

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def scenario_toml(scenario: Scenario) -> str:
    """`scenario` as TOML; `parse_scenario` reads the same scenario from it.

    Every field is written that was given or is not as by default, whatever the models have: of a stored
    run so every default that there was when it was registered. Written by hand, since the standard
    library only reads TOML: strings, numbers, booleans and arrays are written in JSON as they are in TOML.
    """
    return "\n".join(_write_table(_list_said(scenario), ())) + "\n"


def tables_toml(tables: Mapping[str, Frozen | Sequence[Frozen]]) -> list[str]:
    """Lines of some tables of a scenario by their names, or of lists of them; an empty list has none."""
    return list(_write_table({name: table for name, table in tables.items() if table}, ()))


def _list_said(table: Any) -> dict[str, Any]:
    """The keys of a table and their values; TOML cannot say that there is none."""
    if not isinstance(table, Frozen):
        return dict(table)
    said = {}
    for name, field in type(table).model_fields.items():
        value, default = getattr(table, name), field.get_default(call_default_factory=True)
        if value != default or (name in table.model_fields_set and value not in (None, (), {})):
            said[name] = value
    return said


def _write_table(said: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    """Lines of a table: its own keys, and behind them the tables in it."""
    for key, value in said.items():
        if not _is_table(value) and not _is_array_of_tables(value):
            yield f"{_write_key(key)} = {_write_value(value)}"
    for key, value in said.items():
        inside = (*place, _write_key(key))
        if _is_table(value):
            yield from ("", f"[{'.'.join(inside)}]", *_write_table(_list_said(value), inside))
        elif _is_array_of_tables(value):
            for each in value:
                yield from ("", f"[[{'.'.join(inside)}]]", *_write_table(_list_said(each), inside))


def _is_table(value: Any) -> bool:
    return isinstance(value, Frozen | Mapping)


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(map(_is_table, value))


def _write_key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _write_value(key)


def _write_value(value: Any) -> str:
    # What is no value of JSON is written as its field's text, which `str` gives. DEL is the one control
    # character that JSON leaves as it is and TOML forbids.
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
