"""A figure's entry in the page: its name, when it is there, what draws it, what to see in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from matplotlib.figure import Figure

from bench.errors import InputError
from bench.results.run import Run

Drawn = TypeVar("Drawn")


def require_some(found: Sequence[Drawn], what: str) -> Sequence[Drawn]:
    """`found`. Raises InputError where it is empty: a run has no figure of what it has not."""
    if not found:
        raise InputError(
            "Drawing a figure", f"this run has no {what}", "docs/files.md says which figures a run has."
        )
    return found


def has_valid_slot(run: Run) -> bool:
    """Whether any slot counts; without one there is nothing to show but when each failed."""
    return any(record.valid for record in run.record.slots)


def has_requests(run: Run) -> bool:
    """Whether a slot that counts is one of requests."""
    return has_valid_slot(run) and not run.record.scenario.load.is_start


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of a run's page."""

    name: str
    """Of its file, figures/<name>.svg."""
    title: str
    """`{baseline}` stands for the baseline's name."""
    draw: Callable[[Run], Figure]
    caption: Callable[[Run], str]
    """What to see in it."""
    is_there: Callable[[Run], bool] = has_valid_slot
