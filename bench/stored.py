"""A stored record: how every model that is written and read again behaves."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A number of things, or a clock's ns: whatever a column of int64 holds."""
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A difference of such numbers."""
Amount = Annotated[float, Field(ge=0, le=1e15)]
"""A time, a rate or a share. The bound is no measurement's: it keeps sums of them finite."""


def _require_moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r:.60} is no time of ISO 8601") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r:.60} has no time zone")
    return text


def _require_moment_if_any(text: str) -> str:
    return text and _require_moment(text)


Moment = Annotated[str, AfterValidator(_require_moment)]
"""A time of ISO 8601, with its zone."""
MomentIfAny = Annotated[str, AfterValidator(_require_moment_if_any)]
"""The same, or empty where nothing was begun."""


class Stored(BaseModel):
    """Immutable, stored as JSON, which has no infinity and no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one from JSON, as strictly as it was written: no text or boolean stands for a number.

        Raises ValueError, and of that pydantic's ValidationError where the text is JSON at all.
        """
        # Of a key that stands twice pydantic takes the last, and other readers may take the first.
        json.loads(text, object_pairs_hook=_refuse_repeated)
        return cls.model_validate_json(text, strict=True)


def digest_plain(said: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of plain JSON as `json.dumps(said, sort_keys=True)` writes it.

    Of everything that stands in a file and of nothing else, so a reader needs only the file, and neither
    a field that a later version adds nor a default that it changes makes another of it.
    """
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated:.80} stands twice in one table")
