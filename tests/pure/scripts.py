"""Random scripts for a server, good answers and bad ones, and what a loop records when it meets them."""

import fcntl
import random
import select
import socket
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.open_loop import OpenConnections, OpenFreshConnections
from bench.generator.request_log import RequestLog
from bench.generator.thinking import ThinkingConnections
from bench.slots.requests import NO_CONNECTION, Outcome

from .acts import BIG_BYTES, Act, make_act
from .servers import PATIENCE_S, after, at, do_nothing, page, read_body, read_head, reset

BETWEEN_PARTS_S = 0.0002
PLAY_S = 4.0
"""No script takes longer, but where a loop waits for what does not come."""
Kind = Literal[
    "rounds",
    "window",
    "thinking window",
    "arrivals",
    "fresh window",
    "thinking fresh window",
    "fresh arrivals",
]
THINK_NS = 30_000
PAGE = page().asks


@dataclass(frozen=True)
class Script:
    """A load of a kind, and the server's acts in the order of the requests; then it is silent."""

    kind: Kind
    count: int
    sleeps: bool
    acts: tuple[Act, ...]
    asks: tuple[Ask, ...] = PAGE
    """Their paths are the actor's."""
    seed: int = 0
    """Of their order."""

    @property
    def mix(self) -> Mix:
        """Whose turn it is."""
        return Mix(self.asks, self.seed)


def make_script(seed: int) -> Script:
    """The script of that seed."""
    dice = random.Random(seed)
    kind: Kind = dice.choice(
        [
            "rounds",
            "rounds",
            "window",
            "thinking window",
            "arrivals",
            "arrivals",
            "fresh window",
            "thinking fresh window",
            "fresh arrivals",
        ]
    )
    count = 1 if "window" in kind else dice.choice([1, 1, 2, 3])
    idle_may_end = count == 1 and kind not in ("arrivals", "thinking window")
    how = {"fresh": "fresh" in kind, "idle_may_end": idle_may_end}
    asks = _draw_asks(dice) if dice.random() < 0.6 else PAGE
    if len(asks) > 1:
        count = 1  # Which of several connections takes which ask is chance.
    if not asks[0].numbered and "arrivals" in kind:
        count = 1  # No number says which act is whose.
    length = dice.randint(1, 8)
    acts = tuple(make_act(dice, **how) for _ in range(length))
    return Script(kind, count, dice.random() < 0.3, acts, asks, seed)


def _draw_asks(dice: random.Random) -> tuple[Ask, ...]:
    bodies = [None, None, b"", b"b" * 1_000, b"c" * 300_000, *[b"d" * BIG_BYTES] * (dice.random() < 0.2)]
    return tuple(
        Ask(
            method=dice.choice(["GET", "GET", "HEAD", "POST", "PUT", "DELETE"]),
            path="/",
            body=dice.choice(bodies),
            status=dice.choice([200, 200, 204, 304, 404]),
            headers=dice.choice([(), (("X-A", "b"),), (("Connection", "keep-alive"), ("Host", "other"))]),
            weight=dice.choice([1, 1, 2, 5]),
        )
        for _ in range(dice.choice([1, 1, 2, 3]))
    )


ROOM_BYTES = 262_144
"""Of a server whose handler is an actor: a big body has no room."""


class Actor:
    """A server's handler that carries out one script after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self.begin(Script("rounds", 1, False, ()))

    def begin(self, script: Script) -> str:
        """Carry out `script` from here on, for requests of the path that is returned: older ones may come."""
        self._script, self._turn = script, 0
        self.round: int | None = None
        """All requests get the act of this round; None: one after another."""
        self._done = self._silent = 0
        self._over = threading.Event()
        self._number += 1
        self._path = f"/{self._number}"
        return self._path

    def end(self) -> None:
        """Let go of the connections of that script that are held."""
        self._over.set()

    @property
    def has_ended(self) -> bool:
        """Whether every act is over, and every connection has met silence."""
        return self._silent >= self._script.count and self._done >= len(self._script.acts)

    def handle(self, connection: socket.socket, number: int) -> None:
        """Serve one connection."""
        while True:
            head, begun = read_head(connection)
            if not head:
                return
            script, over, target = self._script, self._over, head.split(b" ", 2)[1].decode()
            if target.partition("?")[0] != self._path:
                return
            act = self._next(target)
            is_early = act is not None and act.is_early and f"Content-Length: {BIG_BYTES}".encode() in head
            if not is_early:
                read_body(connection, head, begun)
            if act is None:
                with self._lock:
                    self._silent += script is self._script
                _read_to_the_end(connection)
                return
            try:
                _carry_out(connection, act := act.answer_to(head, fresh="fresh" in script.kind))
                if act.ending == "half-close" and not is_early:
                    _read_to_the_end(connection)
            finally:
                with self._lock:
                    self._done += script is self._script
            if is_early and act.ending in ("keep", "half-close"):
                # Nothing more is read: else it is chance whether the client has room to send all of it before
                # it sees the answer, and keeps the connection.
                over.wait(PATIENCE_S)
            if is_early or act.ending != "keep":
                return

    def _next(self, target: str) -> Act | None:
        acts = self._script.acts
        with self._lock:
            if "id=" in target:
                turn = int(target.partition("id=")[2])
            elif self.round is not None:
                turn = self.round
            else:
                turn, self._turn = self._turn, self._turn + 1
        return acts[turn] if turn < len(acts) else None


def _carry_out(connection: socket.socket, act: Act) -> None:
    for index, part in enumerate(act.parts):
        if index:
            time.sleep(BETWEEN_PARTS_S)
        connection.sendall(part)
    if act.ending in ("close", "reset"):
        _wait_until_taken(connection)
    if act.ending == "reset":
        reset(connection)
    if act.ending == "half-close":
        connection.shutdown(socket.SHUT_WR)


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def _wait_until_taken(connection: socket.socket) -> None:
    """A reset throws away what was sent and is not acknowledged; so does a close before all was read."""
    give_up_ns, gone = after(PATIENCE_S), select.poll()
    gone.register(connection, 0)
    while any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))) and time.monotonic_ns() < give_up_ns:
        if gone.poll(0):
            return
        time.sleep(0.0001)


class _Enough(Exception):
    """Raised from a pause: the server has nothing more to say."""


Factory = Callable[..., Any]
PYTHON: dict[Kind, Factory] = {
    "rounds": Connections,
    "window": Connections,
    "arrivals": OpenConnections,
    "thinking window": partial(ThinkingConnections, think_ns=THINK_NS),
    "fresh window": FreshConnections,
    "thinking fresh window": partial(FreshConnections, think_ns=THINK_NS),
    "fresh arrivals": OpenFreshConnections,
}


def compiled(**how: Any) -> dict[Kind, Factory]:
    """The same in C."""
    loop = partial(CompiledLoop, **how)
    return {
        "rounds": loop,
        "window": loop,
        "thinking window": partial(loop, think_ns=THINK_NS),
        "arrivals": partial(loop, is_open=True),
        "fresh window": partial(loop, keep_alive=False),
        "thinking fresh window": partial(loop, keep_alive=False, think_ns=THINK_NS),
        "fresh arrivals": partial(loop, keep_alive=False, is_open=True),
    }


def play(script: Script, actor: Actor, port: int, factories: dict[Kind, Factory]) -> list[Any]:
    """What a loop keeps of `script`, without what depends on time: records, and counts."""
    path = actor.begin(script)
    asks = tuple(ask.model_copy(update={"path": path}) for ask in script.asks)
    log = RequestLog()
    how = {"sleeps": script.sleeps} if "arrivals" in script.kind else {}
    loop = factories[script.kind](at(port), Mix(asks, script.seed), script.count, log, **how)
    arrivals = np.zeros(0, np.int64)
    try:
        if script.kind == "rounds":
            _play_rounds(script, actor, loop)
        elif "window" in script.kind:
            _play_window(actor, loop)
        else:
            # The last ones meet a server that is silent, or are never sent.
            arrivals = time.monotonic_ns() + np.arange(len(script.acts) + script.count + 2) * 100_000
            loop.schedule(arrivals)
            loop.drive(int(arrivals[-1]) + 1, do_nothing)
            _drain_until_silent(actor, loop)
    finally:
        loop.close()
        actor.end()
    records = log.records()
    if "arrivals" in script.kind:
        assert sorted(records["intended_ns"].tolist()) == arrivals.tolist() or script.kind == "fresh arrivals"
        records = records[np.argsort(records["intended_ns"], kind="stable")]
    return [loop.opened, loop.without_port, loop.connected, *_describe(script, records)]


def _play_rounds(script: Script, actor: Actor, loop: Any) -> None:
    for number in range(len(script.acts)):
        actor.round = number
        loop.drive(after(0), do_nothing)
        loop.drain(after(PLAY_S), do_nothing)
    actor.round = len(script.acts)
    loop.drive(after(0), do_nothing)
    loop.drain(after(0.002), do_nothing)


def _play_window(actor: Actor, loop: Any) -> None:
    def pause() -> None:
        if actor.has_ended:
            raise _Enough

    try:
        loop.drive(after(PLAY_S), pause)
    except _Enough:
        loop.drain(after(0.002), do_nothing)


def _drain_until_silent(actor: Actor, loop: Any) -> None:
    give_up_ns = after(PLAY_S)
    while not actor.has_ended and time.monotonic_ns() < give_up_ns:
        loop.drain(after(0.002), do_nothing)
    loop.drain(after(0.01), do_nothing)


def _describe(script: Script, records: np.ndarray) -> list[tuple[Any, ...]]:
    """All but the stamps; of them which there are, having seen that they are in order."""
    stamps = [records[name] for name in ("intended_ns", "sent_ns", "first_byte_ns", "done_ns")]
    for earlier in range(4):
        for later in range(earlier + 1, 4):
            both = (stamps[earlier] > 0) & (stamps[later] > 0)
            assert (stamps[earlier][both] <= stamps[later][both]).all(), (script, records)
    if script.kind == "rounds":
        records = records[np.argsort(records["connection"], kind="stable")]
    numbered = script.count == 1 or script.kind == "rounds"
    rows = [
        (
            int(row["connection"]) if numbered else int(row["connection"]) != NO_CONNECTION,
            int(row["request"]),
            int(row["status"]),
            int(row["bytes"]),
            Outcome(int(row["outcome"])).name,
            *(bool(row[name]) for name in ("intended_ns", "sent_ns", "first_byte_ns", "done_ns")),
        )
        for row in records
    ]
    # Which of several fresh connections the server's threads serve first is chance.
    return sorted(rows) if script.kind == "fresh arrivals" and script.count > 1 else rows
