"""Random scripts for a server, good answers and bad ones, and what a loop records when it meets them."""

import fcntl
import random
import socket
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.open_loop import OpenConnections, OpenFreshConnections
from bench.generator.request_log import RequestLog
from bench.generator.thinking import ThinkingConnections
from bench.slots.requests import Outcome

from .servers import ADDRESS, PATIENCE_S, UNFRAMED, after, do_nothing, read_request, reset, response

BETWEEN_PARTS_S = 0.0002
PLAY_S = 4.0
"""No script takes longer, but where a loop waits for what does not come."""
Ending = Literal["keep", "close", "half-close", "reset"]
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


@dataclass(frozen=True)
class Act:
    """What the server does on one request."""

    name: str
    parts: tuple[bytes, ...]
    """Sent one by one, so that they come, as a rule, in a read each."""
    ending: Ending = "keep"


@dataclass(frozen=True)
class Script:
    """A load of a kind, and the server's acts in the order of the requests; then it is silent."""

    kind: Kind
    count: int
    sleeps: bool
    acts: tuple[Act, ...]


def cut(content: bytes, dice: random.Random, last: int, pieces: int = 2) -> tuple[bytes, ...]:
    """`content` in `pieces`, the last cut before byte `last`."""
    at = sorted(dice.randint(0, last) for _ in range(pieces - 1))
    return tuple(content[a:b] for a, b in zip([0, *at], [*at, len(content)], strict=True))


@dataclass(frozen=True)
class _Setting:
    """What an act is made of."""

    dice: random.Random
    fresh: bool
    good: bytes
    """A whole answer."""
    end: Ending
    """After a good answer."""
    headers: str

    @property
    def bad_end(self) -> Ending:
        return "close" if self.fresh else "keep"

    @property
    def sudden_end(self) -> Ending:
        return self.dice.choice(["close", "half-close", "reset"])


def _cut_good(s: _Setting) -> Act:
    return Act("cut", cut(s.good, s.dice, len(s.good), s.dice.choice([2, 2, 3, 5])), s.end)


def _byte_by_byte(s: _Setting) -> Act:
    return Act("byte by byte", tuple(bytes([byte]) for byte in response(b"tiny", headers=s.headers)), s.end)


def _mebibyte(s: _Setting) -> Act:
    return Act("a mebibyte", (response(b"m" * 1_048_576, headers=s.headers),), s.end)


def _long_head(s: _Setting) -> Act:
    answer = response(b"x", headers=f"A: {'a' * 70_000}\r\n")
    return Act("a long head", cut(answer, s.dice, 70_000, 3), s.end)


def _another_status(s: _Setting) -> Act:
    status = s.dice.choice(["404 No", "500 Bad", "204 ", "301 Moved", "100 Continue"])
    answer = response(b"sorry", status=status, headers=s.headers)
    return Act("another status", cut(answer, s.dice, len(answer)), s.end)


def _same_size(s: _Setting) -> Act:
    """As long as its like, to the byte; only the head tells."""
    other = s.dice.choice([b"HTTP/1.1 404 No", b"HTTP/1.1 500 No", b"HTTP/1.0 200 OK"])
    return Act("another head of the same size", (s.good.replace(b"HTTP/1.1 200 OK", other),), s.bad_end)


def _too_long(s: _Setting) -> Act:
    more = b"!" * s.dice.choice([1, 1, 2, 2000])
    return Act("too long", cut(s.good + more, s.dice, len(s.good) - 1), s.bad_end)


def _two_answers(s: _Setting) -> Act:
    return Act("two answers", cut(s.good * 2, s.dice, len(s.good) - 1), s.bad_end)


def _unframed(s: _Setting) -> Act:
    name, answer = s.dice.choice(list(UNFRAMED.items()))
    return Act(name, cut(answer, s.dice, answer.index(b"\r\n\r\n") + 3), s.bad_end)


def _garbage(s: _Setting) -> Act:
    junk = bytes(s.dice.choices(b"HTP/1. 20\r\n:ab\x00\xff", k=s.dice.randint(1, 200)))
    return Act("garbage", cut(junk.replace(b"\r\n\r\n", b""), s.dice, len(junk) // 2), "close")


def _endless_head(s: _Setting) -> Act:
    return Act("a head without end", (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 600_000,), s.bad_end)


def _cut_off(s: _Setting) -> Act:
    part = s.good[: s.dice.randint(0, len(s.good) - 1)]
    return Act("cut off", cut(part, s.dice, len(part)), s.sudden_end)


def _ends_afterwards(s: _Setting) -> Act:
    return Act("ends afterwards", (s.good,), s.sudden_end)


ACTS: dict[Callable[[_Setting], Act], int] = {
    lambda s: Act("whole", (s.good,), s.end): 30,
    _cut_good: 15,
    _byte_by_byte: 3,
    _mebibyte: 2,
    _long_head: 3,
    _another_status: 6,
    _same_size: 6,
    _too_long: 6,
    _two_answers: 3,
    _unframed: 10,
    _garbage: 4,
    _endless_head: 2,
    _cut_off: 12,
    _ends_afterwards: 4,
}
"""With the weight of each."""


def make_act(dice: random.Random, *, fresh: bool, idle_may_end: bool) -> Act:
    """A random act of those whose records do not depend on time.

    `idle_may_end`: the next request leaves at once on a connection that has ended. Where it does not, it is
    a matter of time whether the end is seen first.
    """
    headers = f"Server: unit\r\n{dice.choice(['', '', f'Date: {dice.randint(0, 2)}'])}\r\n".replace(
        "\r\n\r\n", "\r\n"
    )
    headers += "Connection: close\r\n" if fresh and dice.random() < 0.7 else ""
    length = dice.choice([0, 1, 10, 1024, 1024, 1024, 5000, 300_000])
    end: Ending = dice.choice(["close", "half-close", "reset"]) if fresh else "keep"
    setting = _Setting(dice, fresh, response(b"b" * length, headers=headers), end, headers)
    makers = [maker for maker in ACTS if maker is not _ends_afterwards or idle_may_end]
    [maker] = dice.choices(makers, [ACTS[maker] for maker in makers])
    return maker(setting)


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
    acts = tuple(make_act(dice, **how) for _ in range(dice.randint(1, 8)))
    return Script(kind, count, dice.random() < 0.3, acts)


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
        self._number += 1
        self._path = f"/{self._number}"
        return self._path

    @property
    def has_ended(self) -> bool:
        """Whether every act is over, and every connection has met silence."""
        return self._silent >= self._script.count and self._done >= len(self._script.acts)

    def handle(self, connection: socket.socket, number: int) -> None:
        """Serve one connection."""
        while request := read_request(connection):
            script, target = self._script, request.split(b" ", 2)[1].decode()
            if target.partition("?")[0] != self._path:
                return
            act = self._next(target)
            if act is None:
                with self._lock:
                    self._silent += script is self._script
                _read_to_the_end(connection)
                return
            try:
                _carry_out(connection, act)
            finally:
                with self._lock:
                    self._done += script is self._script
            if act.ending != "keep":
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
    if act.ending == "reset":
        _wait_until_taken(connection)
        reset(connection)
    if act.ending == "half-close":
        connection.shutdown(socket.SHUT_WR)
        _read_to_the_end(connection)


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def _wait_until_taken(connection: socket.socket) -> None:
    """A reset throws away what was sent and is not acknowledged."""
    give_up_ns = after(PATIENCE_S)
    while any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))) and time.monotonic_ns() < give_up_ns:
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
    log = RequestLog()
    how = {"sleeps": script.sleeps} if "arrivals" in script.kind else {}
    loop = factories[script.kind](ADDRESS, port, path, script.count, log, **how)
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
            int(row["connection"]) if numbered else int(row["connection"]) >= 0,
            int(row["status"]),
            int(row["bytes"]),
            Outcome(int(row["outcome"])).name,
            *(bool(row[name]) for name in ("intended_ns", "sent_ns", "first_byte_ns", "done_ns")),
        )
        for row in records
    ]
    # Which of several fresh connections the server's threads serve first is chance.
    return sorted(rows) if script.kind == "fresh arrivals" and script.count > 1 else rows
