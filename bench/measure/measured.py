"""What a run has measured so far: on the disk slot by slot, and whole when it ends."""

from collections.abc import Sequence
from pathlib import Path

from bench.judgement.precision import is_decided, is_reached, predict_blocks
from bench.records.run import RunRecord, SlotRecord
from bench.results import store
from bench.slots.surroundings import Facts


class Measured:
    """A run's slots; the cost of adding one does not grow with their number."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record
        """The run's, without what the slots of this session add to it."""
        self.slots = {slot.slot.index: slot for slot in record.slots}
        self._surroundings = dict(record.surroundings)

    def reopen(self, record: RunRecord) -> None:
        """Put `record`, as far as it is known before the next slot, on the disk."""
        self.record = store.reopen_run(self.folder, record)
        self.slots = {slot.slot.index: slot for slot in self.record.slots}

    def add(self, slot: SlotRecord, facts: Facts, warnings: Sequence[str]) -> None:
        """Put a slot on the disk; run.json is written again only where there is a warning that is new."""
        self.slots[slot.slot.index] = store.write_slot(self.folder, slot, facts)
        if slot.surroundings:
            self._surroundings[slot.surroundings] = facts
        if new := [warning for warning in warnings if warning not in self.record.warnings]:
            self.record = self.record.model_copy(update={"warnings": (*self.record.warnings, *new)})
            store.write_run(self.folder, self.record.model_copy(update={"slots": ()}))

    def whole(self) -> RunRecord:
        """The record with all slots, in the run's order."""
        slots = tuple(self.slots[index] for index in sorted(self.slots))
        return self.record.model_copy(update={"slots": slots, "surroundings": self._surroundings})

    def is_enough(self) -> bool:
        """Whether it has what it was to end at; a look at every slot."""
        return is_enough(self.whole())

    def expected_blocks(self) -> int:
        """Blocks that the run will probably have: its plan's, or fewer where a precision ends it."""
        record = self.record
        planned = record.planned[-1].block + 1
        if record.precision is None:
            return record.scenario.schedule.blocks if record.decide else planned
        metrics = [slot.metrics() for slot in self.whole().slots]
        return min(planned, predict_blocks(record.scenario, metrics, record.precision) or planned)


def is_enough(record: RunRecord) -> bool:
    """Whether the precision is reached, or the decision made, that was asked for; never where neither was."""
    metrics = [slot.metrics() for slot in record.slots]
    if record.precision is not None:
        return is_reached(record.scenario, metrics, record.precision, list(record.unavailable))
    return record.decide and is_decided(record.scenario, metrics, list(record.unavailable))
