"""The controller's end: an agent's container on a machine, and its word over Docker's forwarded socket."""

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.types import LogConfig
from requests.exceptions import RequestException

from bench.errors import EnvironmentLacks, Interrupted, MeasurementInvalid
from bench.lab.hosts.waiting import sleep, wait_readable, wait_until
from bench.lab.instruments.idle_states import CPU_DMA_LATENCY
from bench.lab.remote.labels import AGENT, RUN, remove_labelled
from bench.lab.remote.link import HEARTBEAT_S, Parser, Streams, raise_fault, write_message

NAME = "bench-agent"
"""One a Docker Engine: the name is the lock of a machine, which the engine keeps."""
ANSWER_S = 20.0
"""Beyond what an order itself may take."""
READY_S = 60.0
OTHERS_END_S = 30.0
"""For an agent of this run's to have ended, where its connection was lost and there is a new one."""
RIGHTS = ["SYS_PTRACE", "SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_NICE"]
"""Looking into the network of a container, reading firewall rules' counters, capturing, taking cores."""
PART_BYTES = 1 << 20


class HostGone(MeasurementInvalid):
    """A host does not answer any more: the slot is void, and the next may find it again."""


@dataclass
class AgentLink:
    """A living agent."""

    host: str
    stream: socket.socket
    _streams: Streams
    _parser: Parser
    _lock: threading.Lock
    _number: int = 0
    _gone: str = ""

    def ask(
        self, do: str, order: dict[str, Any] | None = None, *, timeout_s: float = 0.0, body: bytes = b""
    ) -> Any:
        """What the agent returns of `do`, an `order` that may take `timeout_s`.

        Raises what it raised there, and HostGone where it does not answer.
        """
        with self._lock:
            return self._ask({"do": do, **(order or {})}, body, timeout_s + ANSWER_S)

    @property
    def is_alive(self) -> bool:
        """Whether it has not been found gone."""
        return not self._gone

    def _ask(self, order: dict[str, Any], body: bytes, patience_s: float) -> Any:
        if self._gone:
            raise self._fault(self._gone)
        self._number += 1
        try:
            # Not by the client's socket's own method: an interrupt must not cut a message in two.
            socket.socket.sendall(self.stream, write_message(self._number, order, body))
            _, told, content = self._hear(patience_s)
        except OSError as fault:
            raise self._lost(str(fault)) from fault
        if "fault" in told:
            raise_fault(told["fault"], told["told"])
        return content if content or told["value"] is None else told["value"]

    def _hear(self, patience_s: float) -> tuple[int, dict[str, Any], bytes]:
        until_s = time.monotonic() + patience_s
        while True:
            # An answer that an interrupt kept from being waited for may come first.
            try:
                for message in self._parser.messages():
                    if message[0] == self._number:
                        return message
            except ValueError as fault:
                raise self._lost(f"what it said is {fault}") from fault
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not wait_readable(self.stream.fileno(), left_s):
                raise self._lost(f"no answer within {patience_s:g} s")
            part = socket.socket.recv(self.stream, PART_BYTES)
            if not part:
                raise self._lost("its connection has ended")
            until_s = max(until_s, time.monotonic() + ANSWER_S)  # However long it is, it comes.
            self._parser.feed(self._streams.feed(part))

    def _lost(self, why: str) -> HostGone:
        said = self._streams.messages.decode(errors="replace").strip()
        self._gone = f"{why}; its agent said: {said[-500:]}" if said else why
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        return self._fault(self._gone)

    def _fault(self, why: str) -> HostGone:
        return HostGone(
            f"Asking the host {self.host}", why, "The slot is void; the run goes on when the host is back."
        )

    def beat(self, ended: threading.Event) -> None:
        """Tell the agent that there is a controller, until `ended`."""
        while not ended.wait(HEARTBEAT_S):
            try:
                self.ask("clock")
            except (HostGone, Interrupted):
                if self._gone:
                    return


@dataclass(frozen=True)
class Berth:
    """Where an agent is put, and for whom."""

    host: str
    client: DockerClient
    socket_path: str
    """Of the engine, there."""
    image_id: str
    run_id: str


@contextlib.contextmanager
def agent_link(berth: Berth) -> Iterator[AgentLink]:
    """Start an agent; it removes what the run made on its engine, and itself, at the end.

    Raises EnvironmentLacks where another run has the machine, or the agent does not start.
    """
    container_id, stream = _board(berth)
    ended = threading.Event()
    try:
        link = AgentLink(berth.host, stream, Streams(), Parser(), threading.Lock())
        link.ask("clock", timeout_s=READY_S)
        beating = threading.Thread(target=link.beat, args=(ended,), daemon=True)
        beating.start()
        yield link
    finally:
        ended.set()
        # The end of its standard input is the agent's sign.
        with contextlib.suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
        _see_off(berth, container_id)


def _board(berth: Berth) -> tuple[str, socket.socket]:
    """A started agent, and the connection to it."""
    # A machine without the device has no idle states that could be held.
    for devices in ([f"{CPU_DMA_LATENCY}:{CPU_DMA_LATENCY}:rw"], []):
        container_id = _create(berth, devices)
        try:
            stream: Any = berth.client.api.attach_socket(
                container_id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            berth.client.api.start(container_id)
        except APIError as fault:
            refused = fault
            _remove(berth, container_id)
        except BaseException:
            _remove(berth, container_id)
            raise
        else:
            return container_id, stream._sock
    raise EnvironmentLacks(
        f"Starting bench's agent on {berth.host}",
        str(refused.explanation),
        "Its Docker must let a container be in the host's network and processes.",
    ) from refused


def _remove(berth: Berth, container_id: str) -> None:
    """An agent that never came to live."""
    with contextlib.suppress(DockerException, RequestException):
        berth.client.api.remove_container(container_id, force=True)


def _create(berth: Berth, devices: list[str]) -> str:
    deadline = time.monotonic() + OTHERS_END_S
    while True:
        try:
            return _create_once(berth, devices)
        except APIError as fault:
            if fault.status_code != 409:
                raise EnvironmentLacks(
                    f"Creating bench's agent on {berth.host}",
                    str(fault.explanation),
                    "Its Docker must let a container be in the host's network and processes.",
                ) from fault
        _make_way(berth, must=time.monotonic() > deadline)


def _make_way(berth: Berth, *, must: bool) -> None:
    """Wait for, or remove, the agent that has the name. Raises EnvironmentLacks where it is another's."""
    try:
        other = berth.client.containers.get(NAME)
    except NotFound:
        return
    if AGENT not in other.labels:
        raise EnvironmentLacks(
            f"Taking the machine {berth.host}",
            f"a container there is called {NAME} and is none of bench's",
            "Rename it for the time of the run.",
        )
    theirs = other.labels.get(RUN, "")
    if other.status == "running" and theirs == berth.run_id and not must:
        sleep(0.5)
        return
    if other.status in ("running", "paused", "restarting") and theirs != berth.run_id:
        raise EnvironmentLacks(
            f"Taking the machine {berth.host}",
            f"the run {theirs or 'of another'} has it: its agent {NAME} runs there",
            "Two measurements on one machine spoil each other: wait for that one to end. An agent whose"
            " controller died ends by itself within a minute.",
        )
    with contextlib.suppress(APIError):
        other.remove(force=True)


def _create_once(berth: Berth, devices: list[str]) -> str:
    api = berth.client.api
    created = api.create_container(
        berth.image_id,
        command=["python3", "-m", "bench.lab.remote.agent", berth.run_id],
        name=NAME,
        # Docker closes its standard input when the one connection to it ends: on that its life hangs.
        stdin_open=True,
        labels={RUN: berth.run_id, AGENT: secrets.token_hex(8)},
        host_config=api.create_host_config(
            cap_add=RIGHTS,
            security_opt=["apparmor=unconfined", "seccomp=unconfined", "label=disable"],
            devices=devices,
            network_mode="host",
            pid_mode="host",
            userns_mode="host",
            auto_remove=True,
            log_config=LogConfig(type="none"),
            tmpfs={"/run/bench": ""},
            binds=[f"{berth.socket_path}:/run/docker.sock", "/sys/fs/cgroup:/sys/fs/cgroup:ro"],
        ),
    )
    return str(created["Id"])


def _see_off(berth: Berth, container_id: str) -> None:
    """Wait until the agent has cleaned up and is gone; do its work where it cannot."""
    with contextlib.suppress(DockerException, RequestException):

        def is_gone() -> bool:
            try:
                berth.client.api.inspect_container(container_id)
            except NotFound:
                return True
            return False

        wait_until(is_gone, ANSWER_S, step_s=0.05)
        # It may have been killed, or have found its engine dead.
        remove_labelled(berth.client, berth.run_id, agents=True)
