"""One of a load's requests, as controller and load generator say it to one another."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.generator.message import Message

NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
"""A method's or a header's name (RFC 9110, 5.6.2)."""
VALUE = r"^[^\x00\r\n]*$"
MOST_BODY_BYTES = 16_777_216
MOST_WEIGHT = 10_000
FRAMING_HEADERS = ("content-length", "transfer-encoding")


class Ask(Message):
    """One of a load's requests."""

    method: str = Field(default="GET", pattern=NAME)
    path: str = Field(pattern=r"^[!-~]+$")
    """The target, query included, as it is sent."""
    headers: tuple[tuple[Annotated[str, Field(pattern=NAME)], Annotated[str, Field(pattern=VALUE)]], ...] = ()
    """In their order. `Host` and `Connection` take the place of the loop's own; the length is never given."""
    body: bytes | None = Field(default=None, max_length=MOST_BODY_BYTES)
    status: int = Field(default=200, ge=200, le=599)
    """That its answer must have; any other is an error."""
    weight: int = Field(default=1, ge=1, le=MOST_WEIGHT)
    """Its part of the load's requests, beside the other asks' weights."""
    numbered: bool = False
    """Whether it carries its number in its target in an open loop, by which captures find it."""

    @model_validator(mode="after")
    def _is_framed_by_the_loop(self) -> Self:
        for name, _ in self.headers:
            if name.lower() in FRAMING_HEADERS:
                raise ValueError(f"{name} follows from the body, and is not given")
        if self.method == "CONNECT":
            raise ValueError("CONNECT asks for a tunnel, not for an answer")
        return self
