"""The controller's end of waiting for many servers at once, while they are started."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bench.errors import MeasurementInvalid
from bench.generator.ask import Ask
from bench.generator.client import Generator
from bench.generator.protocol import AwaitAll, AwaitedAll
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Endpoint

BEYOND_S = 5.0
"""Beyond its patience, for the generator to say that it is over."""


@dataclass(frozen=True)
class Awaiting:
    """A generator that waits, and is told from which server on it may ask."""

    news: int
    """Descriptor of the FIFO that it listens to."""
    asked: "Future[AwaitedAll]"
    timeout_s: float

    def tell(self, number: int, endpoint: Endpoint) -> None:
        """Let it ask server `number`, from now on. From any thread: a short line is written at once."""
        os.write(self.news, f"{number} {endpoint.address} {endpoint.port}\n".encode())

    @property
    def is_over(self) -> bool:
        """Whether all have answered, or the time is up."""
        return self.asked.done()

    def first_ns(self) -> tuple[int, ...]:
        """CLOCK_MONOTONIC ns, by number, of the first of three right answers in a row; 0 where none came."""
        waiting.wait_until(self.asked.done, self.timeout_s + BEYOND_S)
        answer = self.asked.result(timeout=0)
        if answer.failure:
            raise MeasurementInvalid("Asking servers that are started", answer.failure, "Try again.")
        return answer.first_ns


@contextmanager
def awaiting_all(generator: Generator, ask: Ask, count: int, timeout_s: float) -> Iterator[Awaiting]:
    """Have `generator`, which runs on this machine, wait for `count` servers until each answers `ask`.

    It gives nothing else to do meanwhile.
    """
    news = f"{generator.home.scratch}/news"
    path = generator.home.get(news)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    # For reading as well: so it is there before the generator opens it, and none waits for the other.
    written = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    order = AwaitAll(count=count, ask=ask, timeout_s=timeout_s, news=news)
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(generator.ask, order, AwaitedAll)
            try:
                yield Awaiting(written, asked, timeout_s)
            finally:
                os.write(written, b"stop\n")
    finally:
        os.close(written)
        path.unlink(missing_ok=True)
