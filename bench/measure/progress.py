"""What a measurement tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bench.records.run import SlotRecord

if TYPE_CHECKING:
    from bench.results.run import Run


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def stage(self, what: str) -> None:
        """A part of the set-up or of the end begins."""

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """A slot is measured and stored."""


@dataclass(frozen=True)
class Watch:
    """Who looks on, and what becomes of a run in the end."""

    progress: Progress
    publish: Callable[["Run"], None]
    """Writes what a person reads of a run into its folder; called once, however the run ends."""
    web_ui_port: int | None = None
