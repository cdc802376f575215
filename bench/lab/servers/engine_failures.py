"""What an engine that failed, or ended by itself, says of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import EnvironmentLacks
from bench.lab.servers.engine import Engine

GO_ON = "Try again; what was measured before is kept, and `bench resume` goes on from there."


@contextmanager
def explained(engines: dict[str, Engine], next_step: str = GO_ON) -> Iterator[None]:
    """An engine that fails is a known failure, beside slots as well, each of which says so itself."""
    try:
        yield
    except (DockerException, RequestException) as fault:
        raise EnvironmentLacks(
            "Working with the lab's Docker Engine",
            f"it failed: {fault}; {describe_dead(engines) or 'it lives'}",
            next_step,
        ) from fault


def describe_dead(engines: dict[str, Engine]) -> str:
    """Each that ended by itself, with its last words; empty while all live."""
    return "; ".join(
        f"the engine of {name} has ended; its last words: {_last_line(living.last_words())}"
        for name, living in engines.items()
        if not living.is_alive
    )


def _last_line(words: str) -> str:
    return (words.strip().splitlines() or ["none"])[-1][-300:]
