"""A container of a trial: what is done in it and asked of Docker about it is evidence."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container

from bench.lab.hosts import command
from bench.lab.servers.engine import Engine
from bench.walkthrough.transcript import Notes, wait


@dataclass(frozen=True)
class Running:
    """A container that was asked for; `container` is None where Docker would not create it."""

    notes: Notes
    engine: Engine
    name: str
    container: Container | None
    warnings: tuple[str, ...]
    refusal: str
    """Docker's reason for not creating or starting it."""

    def exec(self, *argv: str) -> command.Done:
        """`docker exec`, as evidence."""
        typed = shlex.join(["docker", "exec", self.name, *argv])
        assert self.container
        try:
            done = self.container.exec_run(list(argv))
            status, output = done.exit_code or 0, _bytes(done.output).decode(errors="replace")
        except APIError as fault:
            status, output = 1, f"Error response from daemon: {fault.explanation}"
        self.notes.note(self.engine.host, typed, output, status)
        return command.Done(status, output)

    def exec_quietly(self, *argv: str) -> str:
        """Output of a command in the container that is no evidence: for waiting."""
        assert self.container
        try:
            return _bytes(self.container.exec_run(list(argv)).output).decode(errors="replace")
        except APIError:
            return ""

    def logs(self, expected: str = "") -> str:
        """`docker logs`, as evidence, once `expected` is in it."""
        assert self.container
        container = self.container
        wait(lambda: expected in container.logs().decode(errors="replace"))
        said = container.logs().decode(errors="replace")
        self.notes.note(self.engine.host, f"docker logs {self.name}", said)
        return said

    def inspect(self, path: str) -> Any:
        """`docker inspect` of one dotted path, as evidence."""
        assert self.container
        self.container.reload()
        value: Any = self.container.attrs
        for key in path.split("."):
            value = value[key]
        form = "{{json ." + path + "}}"
        self.notes.note(self.engine.host, f"docker inspect -f '{form}' {self.name}", json.dumps(value))
        return value

    def wait_for_end(self) -> bool:
        """Whether its main process ended within PATIENCE_S."""

        def ended() -> bool:
            assert self.container
            self.container.reload()
            return self.container.status == "exited"

        return wait(ended)

    @property
    def pid(self) -> int:
        """Its main process as the Docker host numbers it."""
        assert self.container
        self.container.reload()
        return int(self.container.attrs["State"]["Pid"])


def _bytes(output: bytes | Iterator[bytes]) -> bytes:
    """Docker's client streams only where it is asked to."""
    assert isinstance(output, bytes)
    return output
