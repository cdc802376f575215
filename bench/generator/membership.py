"""How workers join, begin and leave: words between the controller, Locust's master and its workers."""

from typing import Literal

from bench.generator.message import Message


class Listening(Message):
    """The first word of a master whose workers are started by others: where they find it."""

    port: int


class Gathered(Message):
    """The answer to `Gather`."""

    missing: list[int]
    """Numbers of those that did not join, or that were given up since."""


class Gather(Message):
    """Wait until workers that others started have joined, each under its name."""

    do: Literal["gather"] = "gather"
    names: dict[int, str]
    """By number."""


class Armed(Message):
    """A worker's word that its connections are open, and that it waits for `Start`."""


class Start(Message):
    """Begin the warm-up."""

    at_ns: int | None
    """By the worker's clock; None: never, for another worker could not begin."""


class Clock(Message):
    """What a worker's clock says, told when it joins and when it is asked."""

    monotonic_ns: int
    boot_id: str
    """Two processes of one boot of a kernel have one clock."""
