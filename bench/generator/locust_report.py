"""Locust's own report: the order to write it, and the answer."""

from typing import Literal

from bench.generator.message import Message


class Reported(Message):
    """The answer to `Report`."""

    requests: int
    """Locust's own count of everything so far."""


class Report(Message):
    """Write Locust's own HTML report of everything so far to the file `path`."""

    do: Literal["report"] = "report"
    path: str
