"""The captures of one slot: begun at every tap of its path, and read into its requests' hops."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.generator.results import LoadResult
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.instruments.tcpdump import Capture, Captured, RootlessNetwork, capture, find_taps
from bench.records.run import CaptureRecord, TapRecord
from bench.results import columns
from bench.slots.gates.captures import check_captures
from bench.slots.gates.gate import Gate
from bench.slots.metrics import number_requests
from bench.slots.stalls_record import LostSegment
from bench.wire import lost
from bench.wire.exchanges import Sight, Tap, find_exchanges, read_tap
from bench.wire.hops import Hops, match


@dataclass(frozen=True, eq=False)
class Found:
    """What the captures of a slot showed."""

    record: CaptureRecord
    hops: Hops
    gates: list[Gate]


def begin_capture(
    sender: Host | None,
    docker_host: Host,
    server_pid: int,
    endpoint: Endpoint,
    cpus: str,
    rootless: RootlessNetwork | None = None,
) -> AbstractContextManager[Capture]:
    """Capture on the way from `sender` (None: on another machine) to the server, on `cpus`."""
    return capture(find_taps(sender, docker_host, server_pid, endpoint, rootless), cpus)


def read_captures(captured: Sequence[Captured], path: str, result: LoadResult) -> Found:
    """Match the requests of a load for `path` over all taps, and judge the captures.

    Expected are the window's requests that were answered; what became of the others is the load's gates'
    matter.
    """
    sights = [find_exchanges(_read(tap, path)) for tap in captured]
    hops = match(sights, _answered(result))
    missing = {tap.place.name: tap.missing for tap in captured}
    record = CaptureRecord(
        taps=tuple(
            TapRecord(
                name=tap.place.name,
                host=tap.place.host,
                link=tap.place.link,
                received=tap.received,
                dropped=missing[tap.place.name],
                counts=sight.counts,
                handshakes_us=_handshakes_us(sight),
            )
            for tap, sight in zip(captured, sights, strict=True)
        ),
        expected=hops.expected,
        matched=len(hops.rows),
    )
    return Found(record, hops, [check_captures(missing), *hops.gates])


def store_captures(folder: Path, slot_directory: str, captured: Sequence[Captured], found: Found) -> None:
    """Write hops.parquet, and the beginning of each capture for whoever wants to see packets."""
    columns.write_hops(folder, slot_directory, found.hops.rows)
    for tap in captured:
        columns.write_packets(folder, slot_directory, tap.place.name, tap.file)


def find_lost_segment(captured: Sequence[Captured], path: str) -> LostSegment | None:
    """Of a slot whose connections stalled: what its captures saw being lost."""
    return lost.find_lost_segment([(_read(tap, path), tap.place.port) for tap in captured])


def _read(tap: Captured, path: str) -> Tap:
    with tap.file.open("rb", buffering=0) as stream:
        return read_tap(tap.place.name, stream, path)


def _handshakes_us(sight: Sight) -> tuple[float, ...]:
    shaken = sight.handshakes[(sight.handshakes["syn_ns"] > 0) & (sight.handshakes["syn_ack_ns"] > 0)]
    return tuple(((shaken["syn_ack_ns"] - shaken["syn_ns"]) / 1e3).tolist())


def _answered(result: LoadResult) -> NDArray[np.int64]:
    records, numbers = result.records, number_requests(result.records)
    intended_ns = records["intended_ns"]
    inside = (intended_ns >= result.window_start_ns) & (intended_ns < result.window_end_ns)
    answered: NDArray[np.int64] = numbers[inside & (records["outcome"] == 0)]
    return answered
