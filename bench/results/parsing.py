"""Stored JSON as models, or refused in one paragraph."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import InputError
from bench.results.files import describe_fault

OTHER_VERSION = "Read it with the version of bench that wrote it."
AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


def read_text(path: Path, doing: str, advice: str) -> str:
    """What a file holds. Raises InputError with the reason where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(doing, f"{path.name}: {describe_fault(fault)}", advice) from fault


def parse_record(
    kind: type[AnyRecord], text: str, file: str, doing: str, version: int, advice: str = OTHER_VERSION
) -> AnyRecord:
    """`text` as a model. Raises InputError with the first fault of `file`, and how many more there are."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as fault:
        first, *more = fault.errors(include_url=False)
        message = first["msg"].removeprefix("Invalid JSON: ")
        if first["type"] == "json_invalid":
            advice = advice if advice != OTHER_VERSION else "Take it from a copy."
            raise InputError(doing, f"its {file} is damaged: {message}", advice) from fault
        place = ".".join(str(part) for part in first["loc"])
        seen = f"its {file} is not of schema version {version} ({place}{place and ': '}{message}"
        seen += f"; and {len(more)} more faults)" if more else ")"
        raise InputError(doing, seen, advice) from fault
