"""Whether a run can go on: how many of its slots failed, one after another."""

from pathlib import Path

from bench.errors import MeasurementInvalid
from bench.records.run import SlotRecord

MAX_FAILED_IN_A_ROW = 3
"""Slots (sets, where arms take turns) that fail to start, one after another, before the run gives up."""


class Health:
    """Slots, or sets, that fail to start, one after another, end a run: a dead engine does not heal."""

    def __init__(self, run_id: str, folder: Path) -> None:
        self._run_id, self._folder = run_id, folder
        self._failed_in_a_row = 0

    def check(self, life: list[SlotRecord]) -> None:
        """Raise MeasurementInvalid at the last of too many; `life`: a slot, or those of a set."""
        came_far = any(slot.valid or slot.requests or slot.starts for slot in life)
        self._failed_in_a_row = 0 if came_far else self._failed_in_a_row + 1
        if self._failed_in_a_row == MAX_FAILED_IN_A_ROW:
            what = "slots" if life[0].slot.life is None else "sets"
            raise MeasurementInvalid(
                f"Measuring the run {self._run_id}",
                f"{self._failed_in_a_row} {what} in a row could not be measured, the last because of "
                + "; ".join(gate.detail for gate in life[-1].failed_gates),
                f"Mend that, then `bench resume {self._folder}`.",
            )
