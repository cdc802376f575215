"""The null server: compiled once, run on a host of the lab."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lab.hosts.compiler import compile_once
from bench.lab.hosts.host import Endpoint, Host

SOURCE = Path(__file__).with_suffix(".c")
PORT = 8080


def compile_null_server(cache: Path) -> Path:
    """The program, compiled where `cache` lacks it."""
    return compile_once(SOURCE, ["-O2"], cache)


@contextmanager
def null_server(host: Host, cache: Path, wait_ms: int = 0) -> Iterator[Endpoint]:
    """Compile the null server where `cache` lacks it, and run it on `host`, on the host's cores.

    It rests `wait_ms` before each answer.
    """
    program = compile_null_server(cache)
    running = host.start([str(program), str(PORT), str(wait_ms)], "null-server")
    try:
        yield Endpoint(host.addresses[0].split("/")[0], PORT)
    finally:
        running.stop()
