"""Reading a stored record back: whole and as it must be, or refused in one paragraph with all its faults."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import InputError
from bench.results.files import read_stored
from bench.stored import Stored

Record = TypeVar("Record", bound=Stored)
MOST_FAULTS = 20
"""More faults than this are counted: one slip in every slot is one slip."""
FROM_A_COPY = "Take it from a copy."
BY_ITS_WRITER = "Read it with the version of bench that wrote it; one that was changed since cannot be used."


class _Version(BaseModel):
    """What every version of a record says of itself, whatever else is in it."""

    schema_version: int
    bench_version: str = "unknown"


def read_record(
    model: type[Record], path: Path, doing: str, advice: str, versions: Sequence[int] = ()
) -> Record:
    """The `model` in the file at `path`, of one of its readable `versions` where it has any.

    Raises InputError, with `advice` where there is no such file.
    """
    text = read_text(path, doing, advice)
    try:
        if versions:
            _refuse_other_versions(_Version.model_validate_json(text), path, doing, versions)
        return model.parse(text)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise InputError(doing, f"its {path.name} is damaged ({first['msg']})", FROM_A_COPY) from fault
        raise refuse(doing, path, describe_faults(fault)) from fault
    except (ValueError, RecursionError) as fault:
        raise InputError(doing, f"its {path.name} is damaged ({fault})", BY_ITS_WRITER) from fault


def read_text(path: Path, doing: str, advice: str) -> str:
    """The text of the file at `path`. Raises InputError where there is none that can be read."""
    try:
        return read_stored(path).decode()
    except OSError as fault:
        raise InputError(doing, f"{path.name}: {fault.strerror}", advice) from fault
    except UnicodeDecodeError as fault:
        raise InputError(doing, f"its {path.name} is no text ({fault.reason})", advice) from fault


def _refuse_other_versions(found: _Version, path: Path, doing: str, versions: Sequence[int]) -> None:
    if found.schema_version in versions:
        return
    age = "older" if found.schema_version < versions[0] else "newer"
    raise InputError(
        doing,
        f"its {path.name} is of schema version {found.schema_version}, {age} than those that this bench"
        f" reads: {', '.join(map(str, versions))}",
        f"Read it with the version of bench that wrote it: {found.bench_version}.",
    )


def describe_faults(fault: ValidationError) -> list[str]:
    """A line for each fault, by dotted field."""
    lines = []
    for error in fault.errors(include_url=False, include_input=True):
        place = ".".join(str(part) for part in error["loc"])
        about = "is missing" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
        shown = "" if error["type"] in ("missing", "value_error") else f", not {error['input']!r:.60}"
        lines += [f"{place}: {line}{shown}" if place else line for line in about.splitlines()]
    return lines


def refuse(doing: str, path: Path, faults: Sequence[str]) -> InputError:
    """The refusal of a record that has `faults`."""
    rest = len(faults) - MOST_FAULTS
    shown = [*faults[:MOST_FAULTS], *([f"and {rest:,} more"] if rest > 0 else [])]
    return InputError(
        doing,
        f"its {path.name} has {len(faults):,} fault{'s' * (len(faults) > 1)}:\n  "
        + "\n  ".join(shown)
        + "\n",
        BY_ITS_WRITER,
    )
