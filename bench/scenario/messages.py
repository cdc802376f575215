"""Faults of a scenario file in words: the dotted field, what was found, the nearest that is known."""

import re
from typing import Any

from bench.scenario.model import FACTORS, TABLES, Frozen
from bench.spelling import suggest


def describe_fault(error: Any, model: type[Frozen]) -> str:
    """One of pydantic's errors on a `model` as a line: dotted field, fault, the nearest that is known."""
    field = ".".join(str(part) for part in error["loc"])
    message = re.sub(r"^Value error, ", "", error["msg"])
    if error["type"] == "missing":
        message = "is missing"
    elif error["type"] == "extra_forbidden":
        message = f"is not an option here{_suggest_option(error['loc'], model)}"
    elif error["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {error['input']!r:.80}"
        if error["type"] in ("enum", "literal_error"):
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            message += suggest(str(error["input"]), known)
    return f"{field}: {message}" if field else message


def _suggest_option(place: tuple[int | str, ...], root: type[Frozen]) -> str:
    """The nearest option of the same table, or the same one where it belongs."""
    *table, name = place
    title = ".".join(part for part in table if isinstance(part, str))
    model = TABLES.get(title, root)
    before = "".join(f"{part}." for part in table)
    near = suggest(f"{before}{name}", [f"{before}{field}" for field in model.model_fields])
    elsewhere = [f"{title}.{name}" for title, other in TABLES.items() if name in other.model_fields]
    if name not in model.model_fields and elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return near


def suggest_factor(key: str) -> str:
    """`; did you mean ...?` with the factor that `key` may have meant; empty where none is near."""
    whole = [factor for factor in sorted(FACTORS) if factor.partition(".")[2] == key]
    return f"; did you mean {whole[0]}?" if whole else suggest(key, sorted(FACTORS))
