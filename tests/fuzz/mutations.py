"""Seeded changes of structured values, of texts and of bytes, as somebody or a bad disk would make them."""

import io
import json
import math
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

HOSTILE = (
    "",
    " ",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\r\n",
    "<script>alert(1)</script>",
    "![x](http://x/)",
    "$x$",
    "{{ 1 }}",
    "%s%n",
    "../../x",
    "a" * 1_000_000,
    "\ud7ff\U0010ffff",
    "NaN",
    "1e400",
    "-0",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    0.0,
    -0.0,
    1e-320,
    1.7e308,
    math.inf,
    -math.inf,
    math.nan,
    [],
    {},
    [[]],
    [{}],
    {"a": 1},
    *HOSTILE,
)
"""Values that somebody may put anywhere."""


def mutate(value: Any, dice: random.Random, changes: int = 1) -> Any:
    """A copy of a value of JSON or TOML with so many changes, each at a random place of it."""
    changed = deepcopy(value)
    for _ in range(changes):
        places = list(_places(changed))
        if not places:
            return dice.choice(ODD)
        holder, key = dice.choice(places)
        _change(holder, key, dice)
    return changed


def mutate_bytes(content: bytes, dice: random.Random) -> bytes:
    """A copy with one bit, byte or stretch changed, left out, doubled or cut off."""
    changed = bytearray(content)
    at = dice.randrange(max(len(changed), 1))
    length = dice.choice([1, 1, 2, 8, 64, 1024])
    kind = dice.randrange(6)
    if kind == 0 and changed:
        changed[at] ^= 1 << dice.randrange(8)
    elif kind == 1:
        changed[at : at + length] = dice.randbytes(length)
    elif kind == 2:
        del changed[at : at + length]
    elif kind == 3:
        changed[at:at] = changed[at : at + length]
    elif kind == 4:
        del changed[at:]
    else:
        changed[at : at + length] = bytes([dice.choice([0, 255])]) * length
    return bytes(changed)


def mutate_columns(content: bytes, dice: random.Random) -> bytes:
    """A Parquet file written anew with one column left out or another."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    name, length = dice.choice(table.column_names), len(table)
    place = table.column_names.index(name)
    column = dice.choice(
        [
            pa.array(["x"] * length),
            pa.nulls(length),
            pa.array([dice.choice([-(2**63), -1, 0, 2**62, 2**63 - 1])] * length),
            pa.array([float("nan")] * length),
            pa.array([[1]] * length),
            table[name].take(pa.array(dice.sample(range(length), length))),
        ]
    )
    changed = table.remove_column(place) if dice.random() < 0.2 else table.set_column(place, name, column)
    sink = io.BytesIO()
    pq.write_table(changed, sink)
    return sink.getvalue()


def mutate_text(text: str, dice: random.Random) -> str:
    """A copy with a line or a piece of hostile text put in, left out, doubled or moved."""
    lines = text.splitlines(keepends=True)
    at = dice.randrange(max(len(lines), 1))
    kind = dice.randrange(5)
    if kind == 0:
        del lines[at : at + 1]
    elif kind == 1:
        lines[at:at] = lines[at : at + 1]
    elif kind == 2:
        dice.shuffle(lines)
    else:
        line = lines[at] if lines else ""
        column = dice.randrange(len(line) + 1)
        lines[at : at + 1] = [line[:column] + dice.choice(HOSTILE) + line[column:]]
    return "".join(lines)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) below `value`."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield value, key
        yield from _places(inner)


def _change(holder: Any, key: Any, dice: random.Random) -> None:
    old = holder[key]
    kind = dice.randrange(7)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[dice.choice(["extra", *HOSTILE[:8], *map(str, holder)])] = deepcopy(old)
    elif kind == 1:
        holder.insert(key, deepcopy(old))
    elif kind == 2 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = dice.choice([-old, old + 1, old * 1000, old / 7, old * 1e300, int(old) - 1])
    elif kind == 3 and isinstance(old, str):
        holder[key] = mutate_text(old, dice)
    elif kind == 4:
        holder[key] = [deepcopy(old)]
    elif kind == 5 and isinstance(holder, list):
        dice.shuffle(holder)
    else:
        holder[key] = deepcopy(dice.choice(ODD))


def write_toml(table: dict[str, Any]) -> str:
    """TOML of a value, whatever it is: every table inline but the outermost."""
    return "".join(
        f"{json.dumps(str(key))} = {_toml(value)}\n" for key, value in table.items() if value is not None
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(
            f"{json.dumps(str(key))} = {_toml(each)}" for key, each in value.items() if each is not None
        )
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value if each is not None)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, -inf, nan.
    return json.dumps(value)
