"""What a service needs beside it, in the way that a person would run it in the same network mode.

By name everywhere: on a user-defined network Docker's own DNS knows it; on the default bridge, which has
none, and in host mode, the name stands in the service's hosts file.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from docker.models.containers import Container
from docker.types import EndpointConfig

from bench.errors import MeasurementInvalid
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Host
from bench.lab.servers.containers import (
    API_VERSION,
    address_in,
    container_options,
    create_container,
    describe_state,
    has_said,
    last_words,
    start_container,
)
from bench.lab.servers.engine import Engine
from bench.lab.servers.listening import describe_listeners, read_listeners
from bench.scenario.modes.model import NetworkMode
from bench.scenario.service import Companion

LOOK_S = 0.02


@contextmanager
def start_companions(
    engine: Engine,
    network: NetworkMode,
    name: str,
    companions: Sequence[tuple[Companion, str]],
    files: Mapping[str, str],
) -> Iterator[Mapping[str, str]]:
    """Start each of `companions` (with its image's id) for the server `name`, and wait until all serve.

    Yields entries of the service's hosts file: name -> address. Raises MeasurementInvalid where one does not.
    """
    with ExitStack() as stack:
        hosts: dict[str, str] = {}
        for companion, image_id in companions:
            doing = f"Starting the companion {companion.name} ({companion.source})"
            filled = {"address": "0.0.0.0", "port": str(companion.port), "listen": str(companion.port)}  # noqa: S104
            options = container_options(companion, filled, files) | _join(network, companion.name)
            options |= {"extra_hosts": dict(hosts)} if hosts else {}
            container = stack.enter_context(
                create_container(engine, doing, f"{name}-{companion.name}", image_id, options)
            )
            start_container(container, doing)
            container.reload()
            _await_ready(engine.host, doing, companion, container)
            if network.in_host_network:
                hosts[companion.name] = "127.0.0.1"
            elif not network.network:
                hosts[companion.name] = address_in(container)
        yield hosts


def _join(network: NetworkMode, name: str) -> dict[str, Any]:
    if network.network:
        endpoint = EndpointConfig(API_VERSION, aliases=[name])
        return {"network": network.docker, "networking_config": {network.docker: endpoint}}
    return {"network_mode": network.docker}


def _await_ready(host: Host, doing: str, companion: Companion, container: Container) -> None:
    """Until it listens on its port and has said what it shall say."""
    pid = int(container.attrs["State"]["Pid"])

    def is_ready() -> bool:
        listens = any(port == companion.port for _, port in read_listeners(host, pid))
        return listens and has_said(container, companion.ready.log)

    def has_ended() -> bool:
        return not host.has(f"/proc/{pid}/ns/net")

    waiting.wait_until(lambda: is_ready() or has_ended(), companion.ready.timeout_s, LOOK_S)
    if has_ended() or not is_ready():
        state = describe_state(container, lives=not has_ended())
        words = last_words(container)
        wanted = f"port {companion.port}" + (
            f" and a line like {companion.ready.log!r}" if companion.ready.log else ""
        )
        raise MeasurementInvalid(
            doing,
            f"it does not serve ({wanted}) within {companion.ready.timeout_s:g} s: it is {state}, listens on"
            f" {describe_listeners(read_listeners(host, pid))}; its last words: {words or 'none'}",
            "See `port`, `ready` and what it says.",
        )
