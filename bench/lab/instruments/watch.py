"""A machine that is watched while something is measured on it: what else runs there, how fast it is."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from bench.lab.instruments import activity, core_speed, idle_states
from bench.lab.instruments.activity import Activity


class Watch(Protocol):
    """One machine."""

    def begin_activity(self) -> None:
        """Look from here on at what runs there."""

    def end_activity(self) -> Activity:
        """What ran there since, ours aside."""

    def time_fixed_work(self) -> float:
        """Microseconds of the same loop on its slowest core."""

    def hold_idle_states(self) -> AbstractContextManager[bool]:
        """Keep its cores awake for the duration; yields whether they are held."""


class OwnWatch:
    """The machine that bench itself runs on."""

    def __init__(self, find_own: Callable[[], Iterable[int]]) -> None:
        """`find_own`: processes whose descendants are ours."""
        self._find_own = find_own

    def begin_activity(self) -> None:
        """From /proc."""
        self._begun = activity.begin_activity()

    def end_activity(self) -> Activity:
        """From /proc."""
        return activity.end_activity(self._begun, {os.getpid(), *self._find_own()})

    def time_fixed_work(self) -> float:
        """In this process."""
        return core_speed.time_fixed_work()

    def hold_idle_states(self) -> AbstractContextManager[bool]:
        """By a file of this process's."""
        return idle_states.hold_idle_states(wanted=True)


@contextmanager
def hold_all(watches: Iterable[Watch], *, wanted: bool) -> Iterator[bool]:
    """Keep the cores of all of them awake; yields whether all are."""
    with ExitStack() as stack:
        held = [stack.enter_context(watch.hold_idle_states()) for watch in watches] if wanted else [False]
        yield all(held)


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
