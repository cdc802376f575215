"""A load that several workers share: what is whose, and their results as one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.generator.protocol import Driven, Records, Turn
from bench.lab.hosts.host import Host, parse_cpus
from bench.scenario.load import Load
from bench.slots.requests import NO_CONNECTION, RECORD_DTYPE

STAMPS = [name for name in RECORD_DTYPE.names or () if name.endswith("_ns")]


class Offset(NamedTuple):
    """What is to be added to a worker's stamps, so that they are the generator's own."""

    offset_ns: int
    error_ns: int
    """By which that may be wrong."""


SAME_CLOCK = Offset(0, 0)


def share(count: int, worker: int, workers: int) -> range:
    """Those of `count` connections that are the worker's: as many as the others', or one more."""
    each, more = divmod(count, workers)
    first = worker * each + min(worker, more)
    return range(first, first + each + (worker < more))


def sum_up(answers: Sequence[Driven], offsets: Sequence[Offset], locust_requests: int) -> Driven:
    """The workers' answers as one: the window is what all of them had, from the last start to the first end.

    `locust_requests`: the master's count.
    """
    connected = [answer.connected for answer in answers if answer.connected is not None]
    return Driven(
        parts=[
            found.model_copy(update={"clock_offset_ns": offset.offset_ns, "clock_error_ns": offset.error_ns})
            for answer, offset in zip(answers, offsets, strict=True)
            for found in answer.parts
        ],
        window_start_ns=max(
            answer.window_start_ns + offset.offset_ns for answer, offset in zip(answers, offsets, strict=True)
        ),
        window_end_ns=min(
            answer.window_end_ns + offset.offset_ns for answer, offset in zip(answers, offsets, strict=True)
        ),
        opened=sum(answer.opened for answer in answers),
        without_port=sum(answer.without_port for answer in answers),
        handshakes=sum(answer.handshakes for answer in answers),
        resumed=sum(answer.resumed for answer in answers),
        core_busy={
            core: max(answer.core_busy.get(core, 0.0) for answer in answers)
            for core in sorted(set().union(*(answer.core_busy for answer in answers)))
        },
        cpu_share=max(answer.cpu_share for answer in answers),
        locust_requests=locust_requests,
        readings=answers[0].readings,
        connected=sum(connected) if len(connected) == len(answers) else None,
        loop="; ".join(dict.fromkeys(answer.loop for answer in answers)),
        failure="",
    )


def shift_turn(turn: Turn, offset_ns: int) -> Turn:
    """The same cell by another clock."""
    stamps = ("start_ns", "settled_ns", "end_ns")
    return turn.model_copy(update={name: getattr(turn, name) + offset_ns for name in stamps})


def describe_parts(parts: Sequence[Records]) -> str:
    """`4`; with what their clocks were apart, where they have not one."""
    errors_ns = [part.clock_error_ns for part in parts]
    apart = f", clocks compared to {max(errors_ns) / 1e3:.1f} us" if any(errors_ns) else ""
    return f"{len(parts)}{apart}"


def merge(parts: Sequence[np.ndarray], connections: Sequence[int], offsets_ns: Sequence[int]) -> np.ndarray:
    """The workers' records (RECORD_DTYPE each) as one array, in the order in which the requests ended.

    `connections` says how many each has, which are numbered on from the last's; `offsets_ns` is added to the
    stamps of each, but to those of moments that never came. One part is returned as it is.
    """
    if len(parts) == 1 and not offsets_ns[0]:
        return parts[0]
    merged: np.ndarray = np.empty(sum(map(len, parts)), RECORD_DTYPE)
    begin, first = 0, 0
    for part, count, offset_ns in zip(parts, connections, offsets_ns, strict=True):
        target = merged[begin : begin + len(part)]
        target[:] = part
        target["connection"][target["connection"] != NO_CONNECTION] += first
        for stamp in STAMPS:
            target[stamp][target[stamp] > 0] += offset_ns
        begin, first = begin + len(part), first + count
    ended_ns = np.where(merged["done_ns"] > 0, merged["done_ns"], np.iinfo(np.int64).max)
    ordered: np.ndarray = merged[np.argsort(ended_ns, kind="stable")]
    return ordered


def count_workers(load: Load, client: Host) -> int:
    """Processes that share `load`; each has a connection at least."""
    if load.workers == "cores":
        return min(len(parse_cpus(client.cpus)), load.connections)
    return load.workers
