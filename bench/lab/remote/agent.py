"""Runs on a machine of a person's own, in a container of ours, and does there what the controller asks.

    python3 -m bench.lab.remote.agent RUN_ID

It shares the machine's network and process namespaces. Orders come on standard input and answers leave on
standard output (link.py). Its life hangs on its controller: where standard input ends, or nothing is
heard for LEASE_S, it removes what the run made on this engine, and itself.
"""

import glob
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import DockerException

from bench.lab.hosts import command, machine
from bench.lab.hosts.leader import start_leader
from bench.lab.hosts.requirements import require_descriptors
from bench.lab.instruments import activity, core_speed, idle_states
from bench.lab.instruments.idle_states import IdleStates
from bench.lab.remote.labels import remove_labelled
from bench.lab.remote.link import LEASE_S, Framer, Parser, say_fault

SCRATCH = Path("/run/bench")
"""In memory, and gone with the container."""
SOCKET = "unix:///run/docker.sock"
RELEASE = Path("/proc/1/root/etc/os-release")
"""Of the machine, not of this container."""
CLEANING_S = 60.0
"""Patience with an engine that is being started again."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Agent:
    """What is done for the controller, an order after another."""

    def __init__(self) -> None:
        self._started: dict[str, command.Process] = {}
        self._held = ExitStack()
        self._activity: activity.ActivityStart | None = None

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
        """Carry out one order: its value, and what does not fit into JSON."""
        do: Callable[..., Any] = getattr(self, f"do_{order.pop('do')}")
        if body:
            order["body"] = body
        value = do(**order)
        return (None, value) if isinstance(value, bytes) else (value, b"")

    def do_clock(self) -> dict[str, Any]:
        """Its clocks, and which boot of which kernel they are of."""
        return {
            "monotonic_ns": time.monotonic_ns(),
            "realtime_offset_ns": time.time_ns() - time.monotonic_ns(),
            "boot_id": BOOT_ID.read_text().strip(),
        }

    def do_run(self, argv: list[str], timeout_s: float) -> str:
        """Standard output of a program."""
        return command.run(argv, timeout_s=timeout_s)

    def do_attempt(
        self, argv: list[str], timeout_s: float, environment: dict[str, str], text_in: str | None
    ) -> list[Any]:
        """Exit status and output of a program."""
        done = command.attempt(argv, timeout_s=timeout_s, environment=environment, text_in=text_in)
        return [done.status, done.output]

    def do_start(self, argv: list[str], name: str) -> None:
        """Start a program, that ends with this process."""
        self._started[name] = start_leader(argv, SCRATCH / f"{name}.started", SCRATCH / f"{name}.log")

    def do_is_alive(self, name: str) -> bool:
        """Whether a program still runs."""
        return self._started[name].poll() is None

    def do_ends(self, name: str, timeout_s: float) -> bool:
        """Whether it ends in time."""
        return command.has_ended(self._started[name], timeout_s)

    def do_let_go(self, name: str) -> None:
        """End what stands for it."""
        command.stop(self._started[name])

    def do_read(self, patterns: list[str]) -> dict[str, str]:
        """Text of the files that there are."""
        return dict(_read(patterns))

    def do_has(self, path: str) -> bool:
        """Whether it is there."""
        return Path(path).exists()

    def do_put(self, path: str, body: bytes = b"") -> None:
        """Write a file."""
        Path(path).write_bytes(body)

    def do_get(self, path: str) -> bytes:
        """Content of a file."""
        return Path(path).read_bytes()

    def do_namespace(self, pid: int, kind: str) -> int:
        """Inode of a process's namespace."""
        return Path(f"/proc/{pid}/ns/{kind}").stat().st_ino

    def do_allow_descriptors(self, wanted: int) -> None:
        """Let what is started from here on have so many open files."""
        require_descriptors(wanted)

    def do_cores(self) -> list[int]:
        """That this container may use."""
        return machine.usable_cores()

    def do_describe(self) -> dict[str, str]:
        """The machine."""
        return machine.describe_machine(RELEASE).stated()

    def do_begin_activity(self) -> None:
        """From here on."""
        self._activity = activity.begin_activity()

    def do_end_activity(self, own_pids: list[int], own_names: list[str]) -> dict[str, Any]:
        """What else ran since."""
        assert self._activity
        found = activity.end_activity(self._activity, own_pids, own_names)
        return asdict(found)

    def do_time_fixed_work(self) -> float:
        """Of the slowest core."""
        return core_speed.time_fixed_work()

    def do_hold_idle_states(self) -> IdleStates:
        """Until they are let go."""
        return self._held.enter_context(idle_states.hold_idle_states(None))

    def do_release_idle_states(self) -> None:
        """They were held."""
        self._held.close()


def _read(patterns: list[str]) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        names = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        for name in names:
            with suppress(OSError):  # It ended, or never was.
                yield name, Path(name).read_text(errors="replace")


def serve() -> None:
    """Answer until the controller is gone."""
    agent, parser, framer = Agent(), Parser(), Framer(sys.stdout.fileno())
    while True:
        for number, order, body in parser.messages():
            told, more = _answer(agent, order, body)
            try:
                framer.send(number, told, more)
            except OSError:
                return  # Nobody reads.
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], LEASE_S)
        part = os.read(sys.stdin.fileno(), 1 << 20) if ready else b""
        if not part:
            break
        parser.feed(part)


def _answer(agent: Agent, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        value, more = agent.answer(order, body)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the controller is told and the agent lives
        return say_fault(fault), b""
    return {"value": value}, more


def _clean_up(run_id: str) -> None:
    """Remove what carries the run's label but this container, which its end removes."""
    until_s = time.monotonic() + CLEANING_S
    while time.monotonic() < until_s:
        try:
            remove_labelled(DockerClient(SOCKET), run_id)
            return
        except (DockerException, OSError):
            time.sleep(1)


if __name__ == "__main__":
    SCRATCH.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `docker stop`: by the way out below.
    try:
        serve()
    finally:
        _clean_up(sys.argv[1])
