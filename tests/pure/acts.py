"""What a scripted server does on a request: good answers of every kind, and bad ones."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .servers import CHUNKED, MISCHUNKED, UNFRAMED, chunked, response

BIG_BYTES = 12_582_912
"""Of a body: more than fits between a client and a server that does not read."""
Ending = Literal["keep", "close", "half-close", "reset"]


@dataclass(frozen=True)
class Act:
    """What the server does on one request."""

    name: str
    parts: tuple[bytes, ...]
    """Sent one by one, so that they come, as a rule, in a read each."""
    ending: Ending = "keep"
    is_early: bool = False
    """Whether the server reads no more than the head of a request with a big body."""
    knows_head: bool = True
    """Whether it answers to HEAD without a body."""

    def answer_to(self, head: bytes, *, fresh: bool) -> "Act":
        """What is done on the request with that `head`."""
        if not head.startswith(b"HEAD "):
            return self
        before, blank, body = b"".join(self.parts).partition(b"\r\n\r\n")
        own = before + blank
        # Of a whole answer: whether its end is seen before the next request is chance.
        ending = "keep" if blank and not fresh else self.ending
        # At once where it is too long: whether what is too much comes later is a matter of time.
        parts = (own[: len(own) // 2], own[len(own) // 2 :]) if self.knows_head else (own + body[:100],)
        return replace(self, parts=parts, ending=ending)


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
    status = s.dice.choice(["404 No", "500 Bad", "206 Part", "301 Moved", "100 Continue"])
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


def _ends_by_word(s: _Setting) -> Act:
    """A whole answer that says that the connection ends, and is then kept or not."""
    word = s.dice.choice(["Connection: close\r\n", "connection: x, CLOSE\r\n"])
    answer = response(b"w" * s.dice.choice([0, 7, 1024]), headers=s.headers + word)
    return Act("ends by word", cut(answer, s.dice, len(answer)), s.end)


def _of_old(s: _Setting) -> Act:
    keeps = s.dice.choice(["", "", "Connection: keep-alive\r\n"])
    answer = response(b"old", headers=s.headers + keeps).replace(b"HTTP/1.1", b"HTTP/1.0")
    return Act("of an older version", cut(answer, s.dice, len(answer)), s.end)


def _without_body(s: _Setting) -> Act:
    """Where a length is stated, no body follows it all the same."""
    status, length = s.dice.choice(
        [
            ("204 No", ""),
            ("204 No", "Content-Length: 0\r\n"),
            ("304 No", ""),
            ("304 No", "Content-Length: 77\r\n"),
            ("304 No", "Transfer-Encoding: chunked\r\n"),
        ]
    )
    answer = f"HTTP/1.1 {status}\r\n{s.headers}{length}\r\n".encode()
    return Act("without a body", cut(answer, s.dice, len(answer)), s.end)


def _body_where_none_is(s: _Setting) -> Act:
    answer = response(b"more", status="304 No", headers=s.headers)
    return Act("a body where there is none", cut(answer, s.dice, len(answer) - 5), s.bad_end)


def _make_chunks(s: _Setting) -> bytes:
    sizes = s.dice.choices([1, 2, 15, 16, 300, 5000], k=s.dice.choice([0, 1, 1, 2, 5]))
    extension = s.dice.choice(["", "", "", " ", ";a=b", " \t; c"])
    trailers = s.dice.choice(["", "", "A: b\r\n", "A: b\r\nC: d\r\n"])
    return chunked(*(b"c" * size for size in sizes), extension=extension, trailers=trailers)


def _chunks(s: _Setting) -> Act:
    answer = _make_chunks(s)
    return Act("chunks", cut(answer, s.dice, len(answer), s.dice.choice([1, 1, 2, 4])), s.end)


def _many_chunks(s: _Setting) -> Act:
    return Act("many chunks", (chunked(*[b"m" * 8_000] * 100),), s.end)


def _bad_chunks(s: _Setting) -> Act:
    name, body = s.dice.choice(list(MISCHUNKED.items()))
    answer = CHUNKED + body
    return Act(name, cut(answer, s.dice, len(CHUNKED)), s.bad_end)


def _garbled_chunks(s: _Setting) -> Act:
    """One byte of a good answer is another: refused, or another body, or one that does not end."""
    answer = bytearray(_make_chunks(s))
    answer[s.dice.randrange(len(CHUNKED), len(answer))] = s.dice.choice(b"\r\n;0aZ ")
    return Act("garbled chunks", cut(bytes(answer), s.dice, len(CHUNKED)), "close")


def _chunks_cut_off(s: _Setting) -> Act:
    answer = _make_chunks(s)
    part = answer[: s.dice.randrange(len(answer))]
    return Act("chunks cut off", cut(part, s.dice, len(part)), s.sudden_end)


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
    _ends_by_word: 8,
    _of_old: 5,
    _without_body: 6,
    _body_where_none_is: 3,
    _chunks: 20,
    _many_chunks: 2,
    _bad_chunks: 10,
    _garbled_chunks: 6,
    _chunks_cut_off: 5,
}
"""With the weight of each."""
MAY_END_AFTERWARDS = (_ends_afterwards, _garbled_chunks)


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
    makers = [maker for maker in ACTS if maker not in MAY_END_AFTERWARDS or idle_may_end]
    [maker] = dice.choices(makers, [ACTS[maker] for maker in makers])
    return replace(maker(setting), is_early=dice.random() < 0.5, knows_head=dice.random() < 0.8)
