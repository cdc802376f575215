"""Faults of a scenario file in words: the dotted field, what was found, the nearest that is known."""

import re
from typing import Any, get_args

from bench.scenario.factors import FACTORS
from bench.scenario.model import Frozen
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


def tables_of(root: type[Frozen]) -> dict[str, type[Frozen]]:
    """Fields of `root` that are tables of their own, or lists of them, with what each may hold; tables of
    these too, as `schedule.interleave`."""
    found: dict[str, type[Frozen]] = {}
    for name, field in root.model_fields.items():
        # `Load`, `Capacity | None` or `tuple[Arm, ...]`.
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Frozen):
                found[name] = kind
                found |= {f"{name}.{inner}": table for inner, table in tables_of(kind).items()}
    return found


def _suggest_option(place: tuple[int | str, ...], root: type[Frozen]) -> str:
    """The nearest option of the same table, or the same one where it belongs."""
    *table, name = place
    tables = tables_of(root)
    words = [part for part in table if isinstance(part, str)]
    # The last word may be a name that the person gave: `load.gen1` is a table of `load`.
    model = tables.get(".".join(words)) or tables.get(".".join(words[:-1]), root)
    before = "".join(f"{part}." for part in table)
    near = suggest(str(name), model.model_fields, before)
    elsewhere = [f"{title}.{name}" for title, other in tables.items() if name in other.model_fields]
    if name not in model.model_fields and elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return near


def suggest_factor(key: str) -> str:
    """`; did you mean ...?` with the factor that `key` may have meant; empty where none is near."""
    whole = [factor for factor in sorted(FACTORS) if factor.partition(".")[2] == key]
    if whole:
        return f"; did you mean {whole[0]}?"
    table, dot, field = key.partition(".")
    inside = [
        factor.removeprefix(f"{table}.") for factor in sorted(FACTORS) if factor.startswith(f"{table}.")
    ]
    return suggest(field, inside, f"{table}.") if dot and inside else suggest(key, sorted(FACTORS))
