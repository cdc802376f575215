"""What a measurement tells whoever watches it."""

from typing import Protocol

from bench.records.run import SlotRecord


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def stage(self, what: str) -> None:
        """A part of the set-up or of the end begins."""

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """A slot is measured and stored."""
