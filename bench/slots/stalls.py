"""Stalls among a slot's requests."""

import numpy as np

from bench.slots.requests import Outcome
from bench.slots.stalls_record import Stalls


def find_stalls(records: np.ndarray, asked_bytes: int | None) -> Stalls | None:
    """Stalls among a slot's requests (RECORD_DTYPE), its warm-up included; None where there is none."""
    stalled = records[records["outcome"] == Outcome.STALLED]
    if not len(stalled):
        return None
    return Stalls(
        stalled=len(np.unique(stalled["connection"])),
        connections=len(np.unique(records["connection"][records["sent_ns"] > 0])),
        asked_bytes=asked_bytes,
        received_bytes=(int(stalled["bytes"].min()), int(stalled["bytes"].max())),
        unanswered=int((stalled["first_byte_ns"] == 0).sum()),
    )
