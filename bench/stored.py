"""A stored record: how every model that is written and read again behaves."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


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


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated:.80} stands twice in one table")
