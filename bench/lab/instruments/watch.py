"""A machine that is watched while something is measured on it: what else runs there, how fast it is."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from bench.lab.hosts.journal import Journal
from bench.lab.instruments import activity, core_speed, idle_states
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.idle_states import IdleStates


class Watch(Protocol):
    """One machine."""

    def begin_activity(self) -> None:
        """Look from here on at what runs there."""

    def end_activity(self) -> Activity:
        """What ran there since, ours aside."""

    def time_fixed_work(self) -> float:
        """Microseconds of the same loop on its slowest core."""

    def hold_idle_states(self, *, by_loop: bool) -> AbstractContextManager[IdleStates]:
        """Keep its cores awake for the duration, `by_loop` if need be; yields what they do."""


class OwnWatch:
    """The machine that bench itself runs on."""

    def __init__(self, find_own: Callable[[], Iterable[int]], journal: Journal) -> None:
        """`find_own`: processes whose descendants are ours; `journal`: for what loops need."""
        self._find_own = find_own
        self._journal = journal

    def begin_activity(self) -> None:
        """From /proc."""
        self._begun = activity.begin_activity()

    def end_activity(self) -> Activity:
        """From /proc."""
        return activity.end_activity(self._begun, {os.getpid(), *self._find_own()})

    def time_fixed_work(self) -> float:
        """In this process."""
        return core_speed.time_fixed_work()

    def hold_idle_states(self, *, by_loop: bool) -> AbstractContextManager[IdleStates]:
        """By a file of this process's, or its children."""
        return idle_states.hold_idle_states(self._journal if by_loop else None)


@contextmanager
def hold_all(watches: Iterable[Watch], *, by_loop: bool) -> Iterator[IdleStates]:
    """Keep the cores of all of them awake; yields what those of the least awake do."""
    with ExitStack() as stack:
        held = [stack.enter_context(watch.hold_idle_states(by_loop=by_loop)) for watch in watches]
        yield min(held, key=list(IdleStates).index)


def sum_up(found: Mapping[str, Activity]) -> Activity:
    """What ran on several machines, by name: the worst of each; of one machine it is its own."""
    if len(found) == 1:
        return next(iter(found.values()))
    each = found.values()
    return Activity(
        stray_cpu={
            f"{process} on {name}": share
            for name, one in found.items()
            for process, share in one.stray_cpu.items()
        },
        new_processes_per_s=max(one.new_processes_per_s for one in each),
        steal_share=max(one.steal_share for one in each),
        seconds=min(one.seconds for one in each),
        slept_s=max(one.slept_s for one in each),
    )
