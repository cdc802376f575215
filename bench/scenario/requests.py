"""What a service is asked: the requests that a load is made of, and what their answers must be."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bench.scenario.load import Load
from bench.scenario.model import Frozen
from bench.scenario.service import InsidePath, Path, require_expression

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of a request's body: it is held in memory by every worker."""
MOST_REQUESTS = 100


class Expected(Frozen):
    """What a whole answer must be, seen before the first slot and after the last."""

    text: str | None = None
    """The body, equal."""
    bytes: int | None = Field(default=None, ge=0)
    """Its length."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the body, in hexadecimal digits."""
    same_json: str | None = None
    """JSON that it is the same as, whatever its spaces and the order of its keys."""
    pattern: str | None = Field(default=None, min_length=1, max_length=2000)
    """A regular expression that some part of it matches."""

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if self.pattern is not None:
            require_expression("pattern", self.pattern)
        if self.same_json is not None:
            try:
                json.loads(self.same_json)
            except ValueError as fault:
                raise ValueError(f"same_json: {self.same_json!r:.80} is no JSON: {fault}") from None
        return self


class Request(Frozen):
    """One of the requests that a load is made of."""

    path: Path = "/"
    """With its query, as it is sent: percent-encoded."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """Of HTTP."""
    headers: Mapping[
        Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")],
        Annotated[str, Field(pattern=r"^[\x20-\x7e\t]*$")],
    ] = {}
    """Beside `Host` and what frames a body."""
    body: str | None = None
    """Text that is sent."""
    body_file: InsidePath | None = None
    """Or a file of the scenario's folder."""
    body_bytes: int | None = Field(default=None, ge=0, le=LARGEST_BODY)
    """Or so many bytes of nothing in particular."""
    weight: int = Field(default=1, ge=1, le=1000)
    """How often it is sent, beside the others."""
    status: int = Field(default=200, ge=200, le=599)
    """Of its answer; any other is an error. Redirects are answers."""
    expect: Expected = Expected()
    """What its whole answer must be."""

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if sum(body is not None for body in (self.body, self.body_file, self.body_bytes)) > 1:
            raise ValueError("give one of body, body_file and body_bytes")
        framing = {name.lower() for name in self.headers} & {"content-length", "transfer-encoding"}
        if framing:
            raise ValueError(f"headers: {framing.pop()} is said by the load itself")
        return self

    @property
    def called(self) -> str:
        """For tables: `POST /upload`."""
        return f"{self.method} {self.path}"


def page_of(load: Load) -> Request:
    """What the built-in service is asked for."""
    return Request(path=f"/{load.page_bytes}")
