"""A field in which two runs differ."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict

ABSENT = "absent"
MOST_SHOWN = 60
"""Characters of a value in a message: mitigations of a CPU fill a page."""


class Disagreement(BaseModel):
    """A field in which two runs differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (
            value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…"
            for value in (self.before, self.after)
        )
        if before == after:
            return f"{self.field}: differs, both begin with {before}"
        return f"{self.field}: {before} → {after}"


def list_disagreements(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Disagreement]:
    """The fields of two descriptions whose values differ, or that one of them lacks."""
    for field in dict.fromkeys((*before, *after)):
        first, second = before.get(field, ABSENT), after.get(field, ABSENT)
        if first != second:
            yield Disagreement(field=field, before=first, after=second)
