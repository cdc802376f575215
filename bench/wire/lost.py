"""Where a segment was lost that its sender sent again and again: the farthest tap that saw one as large."""

from collections.abc import Sequence

import numpy as np

from bench.slots.stalls_record import LostSegment
from bench.wire.exchanges import Tap
from bench.wire.segments import sort_segments


def find_lost_segment(taps: Sequence[tuple[Tap, int]]) -> LostSegment | None:
    """Of answers' segments, the one that the tap nearest to the server saw most often; None where none came
    twice.

    `taps`: in the order in which requests pass them, each with the server's port there. Their packets that
    are not TCP are ICMP errors that say "too big": a stall's captures hold no others.
    """
    nearest, port = taps[-1]
    keys = sort_segments(nearest.packets, nearest.name).keys
    answers = (nearest.packets["source_port"] == port) & (nearest.packets["payload_bytes"] > 0)
    found, counts = np.unique(keys[answers], return_counts=True)
    if not len(found) or counts.max() < 2:
        return None
    again = answers & (keys == found[counts.argmax()])
    # What was first sent as one piece that the link should cut (TSO) is sent again a segment at a time.
    size = int(nearest.packets["payload_bytes"][again].min())
    last_seen_at = nearest.name
    for tap, port_there in reversed(taps):
        large = (tap.packets["source_port"] == port_there) & (tap.packets["payload_bytes"] >= size)
        if not large.any():
            break
        last_seen_at = tap.name
    return LostSegment(
        payload_bytes=size,
        sent=int(counts.max()),
        last_seen_at=last_seen_at,
        too_big={tap.name: tap.not_tcp for tap, _ in taps if tap.not_tcp},
    )
