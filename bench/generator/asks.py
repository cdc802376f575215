"""A load's requests: as they are sent, and in which order.

The order is drawn beforehand from the order's seed, so that every arm is asked the same in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from math import gcd

import numpy as np

from bench.generator.ask import Ask
from bench.generator.heads import Head
from bench.scenario.load import Load
from bench.wire.exchanges import ID_DIGITS, request_target

DRAWN = 16_384
"""Requests until the order begins anew, or some more: whole rounds, of which each has its exact shares."""
WITH_BODY = ("POST", "PUT", "PATCH")
"""Methods whose request says its length even where it has none (RFC 9110, 8.6)."""


def page_asks(load: Load) -> tuple[Ask, ...]:
    """The one request of a load on bench's own server: for the page, numbered in an open loop."""
    return (Ask(path=f"/{load.page_bytes}", numbered=True),)


def authority(address: str, port: int) -> str:
    """`address:port` as it stands in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def render(ask: Ask, host: str, *, keep_alive: bool) -> bytes:
    """The bytes of a request to `host`, which has no keep-alive where it ends its connection."""
    given = {name.lower() for name, _ in ask.headers}
    lines = [f"{ask.method} {ask.path} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in ask.headers]
    if ask.body is not None or ask.method in WITH_BODY:
        lines.append(f"Content-Length: {len(ask.body or b'')}")
    if not keep_alive and "connection" not in given:
        lines.append("Connection: close")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + (ask.body or b"")


def draw_order(weights: tuple[int, ...], seed: int) -> np.ndarray:
    """Indexes of asks in the order in which they are sent (uint16), to begin anew at its end.

    Each round of it has every ask as often as its weight says, in an order of its own. PCG64's stream is
    the same in every version of numpy (NEP 19), as is a stable sort of what it draws.
    """
    least = gcd(*weights)
    one = np.repeat(np.arange(len(weights), dtype=np.uint16), [weight // least for weight in weights])
    if len(weights) == 1:
        return one
    rounds = -(-DRAWN // len(one))
    drawn = np.random.default_rng(seed).random((rounds, len(one)))
    order: np.ndarray = one[np.argsort(drawn, axis=1, kind="stable")].ravel()
    return order


@dataclass(frozen=True)
class Mix:
    """The asks of a load, and whose turn it is in one of the workers that share it."""

    asks: tuple[Ask, ...]
    seed: int = 0
    worker: int = 0
    workers: int = 1
    """Of the requests of all, this worker sends every `workers`-th, from number `worker` on."""

    def order(self) -> np.ndarray:
        """Indexes of the worker's own requests (uint16), to begin anew at their end."""
        order = draw_order(tuple(ask.weight for ask in self.asks), self.seed)
        length = len(order)
        own = self.worker + self.workers * np.arange(length // gcd(length, self.workers))
        return np.ascontiguousarray(order[own % length])

    def prepare(
        self, address: str, port: int, *, keep_alive: bool = True, is_open: bool = False
    ) -> list["Asked"]:
        """The asks as a loop sends them to the server there."""
        host, numbers = authority(address, port), is_open and keep_alive
        return [
            _prepare(index, ask, host, keep_alive=keep_alive, numbers=numbers and ask.numbered)
            for index, ask in enumerate(self.asks)
        ]

    def turns(self, asked: list["Asked"]) -> Iterator["Asked"]:
        """Whose turn it is, request after request, without end; each with its number where it carries one."""
        for taken, index in enumerate(cycle(self.order().tolist())):
            if asked[index].number_at >= 0:
                asked[index].write_number(self.worker + taken * self.workers)
            yield asked[index]


@dataclass(slots=True)
class Asked:
    """An ask as a loop sends it, and what the loop knows of its answers."""

    index: int
    request: bytes
    status: int
    """That its answer must have."""
    is_head: bool
    """Whether its answers have no body, whatever their heads say."""
    asks_end: bool
    """Whether it asks the server to end the connection."""
    number_at: int = -1
    """Where in the request its number stands; -1: nowhere."""
    known_head: bytes = b""
    """Head of its last answer, to its empty line: it changes once a second, with its Date."""
    known: Head = field(default_factory=lambda: Head(0, 0, closes=False))
    known_bytes: int = -1
    """Length of that whole answer; no read is as long where none is known, or where its head does not say."""

    def write_number(self, number: int) -> None:
        """Have the next request carry `number`."""
        before, after = self.request[: self.number_at], self.request[self.number_at + ID_DIGITS :]
        self.request = b"%b%0*d%b" % (before, ID_DIGITS, number, after)

    def know(self, content: bytes, head: Head) -> None:
        """Keep the head of an answer, for those that are like it."""
        self.known_head, self.known = content, head
        is_known = head.length >= 0 and not head.closes
        self.known_bytes = len(content) + head.length if is_known else -1


def _prepare(index: int, ask: Ask, host: str, *, keep_alive: bool, numbers: bool) -> Asked:
    sent = ask.model_copy(update={"path": request_target(ask.path, 0)}) if numbers else ask
    connection = [value for name, value in ask.headers if name.lower() == "connection"]
    tokens = {token.strip().lower() for value in connection for token in value.split(",")}
    return Asked(
        index=index,
        request=render(sent, host, keep_alive=keep_alive),
        status=ask.status,
        is_head=ask.method == "HEAD",
        asks_end="close" in tokens or not (keep_alive or connection),
        number_at=len(f"{ask.method} {sent.path}") - ID_DIGITS if numbers else -1,
    )
