"""Where a Docker Engine comes from: the machine's own, or that of a Debian suite."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^(machine|debian:[a-z]{3,20})$"


@dataclass(frozen=True)
class EngineSource:
    """Written as `machine` or `debian:<suite>`."""

    suite: str | None = None
    """Of Debian; None: the machine's own dockerd."""

    def __str__(self) -> str:
        return f"debian:{self.suite}" if self.suite else "machine"

    @property
    def description(self) -> str:
        """For a person."""
        return f"engine of {self}" if self.suite else "the machine's own engine"


OWN_ENGINE = EngineSource()
"""The machine's own dockerd."""


def parse_engine_source(text: str) -> EngineSource:
    """Read `machine` or `debian:<suite>`. Raises ValueError, saying so, for anything else."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r:.60} is no engine: say machine, or debian:trixie")
    return EngineSource(text.partition(":")[2] or None)


def _parse(given: Any) -> Any:
    return parse_engine_source(given) if isinstance(given, str) else given


EngineField = Annotated[
    EngineSource,
    BeforeValidator(_parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"pattern": PATTERN, "type": "string"}),
]
"""An engine's source as a field of a model, where it is text."""
