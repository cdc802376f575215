"""The null server: compiled once, run on a host of the lab."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host

SOURCE = Path(__file__).with_suffix(".c")
PORT = 8080


@contextmanager
def null_server(host: Host, cache: Path) -> Iterator[Endpoint]:
    """Compile the null server where `cache` lacks it, and run it on `host`, on the host's cores."""
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / f"null-server-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        partial = program.with_suffix(".partial")
        command.run(["cc", "-O2", "-o", str(partial), str(SOURCE)])
        partial.replace(program)
    running = host.start([str(program), str(PORT)], "null-server")
    try:
        yield Endpoint(host.addresses[0].split("/")[0], PORT)
    finally:
        running.stop()
