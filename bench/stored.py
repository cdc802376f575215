"""A stored record: how every model that is written and read again behaves."""

from pydantic import BaseModel, ConfigDict


class Stored(BaseModel):
    """Immutable, stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")
