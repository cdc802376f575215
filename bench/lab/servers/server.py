"""One fresh server, joined to the network in an arm's mode, for as long as the `with` lasts.

How each mode is started is data (`scenario.modes`); this module is its one interpreter.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from docker.models.containers import Container
from docker.types import EndpointConfig

from bench.errors import MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.servers import native
from bench.lab.servers.companions import start_companions
from bench.lab.servers.containers import (
    API_VERSION,
    address_in,
    container_options,
    create_container,
    create_network,
    describe_state,
    ended_at_once,
    last_words,
    start_container,
)
from bench.lab.servers.engine import Engine
from bench.lab.servers.listening import describe_listeners, read_listeners
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode, Step, Vantage
from bench.scenario.placement import DockerHost
from bench.scenario.server_limits import USUAL_LIMITS, ServerLimits
from bench.scenario.service import Companion, Secret, Service

BUSY_WAIT = "/usr/lib/bench/busy_wait.so"
"""In the image; of bench/image/busy_wait.c."""
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - as the kernel tells them
MEANWHILE = ["/bin/sleep", "3600"]
"""What the container whose network is shared runs: an hour is longer than any slot."""


@dataclass(frozen=True)
class Provided:
    """What is served, as one engine has it."""

    service: Service
    image_id: str
    stand_in_id: str
    """Of the built-in image, for a container whose network is shared: it has a program that does nothing."""
    files: Mapping[str, str] = field(default_factory=dict)
    """A file or folder of the scenario's, or of the run's -> where it is on the Docker host."""
    companions: tuple[tuple[Companion, str], ...] = ()
    """Each with its image's id."""


@dataclass(frozen=True)
class Site:
    """Where an arm is put: its Docker host's engine, and the client that shall reach it."""

    engine: Engine
    client: Host
    place: DockerHost
    provided: Provided
    vantage: Vantage = Vantage.CLIENT
    """From where the arm shall be reached."""
    limits: ServerLimits = USUAL_LIMITS
    """Of the server: the same wherever it is put."""
    dns: tuple[str, ...] = ()
    """Name servers that its containers are given; none: as the engine has them."""
    wait_us: int = 0
    """Positive control: microseconds that the built-in server waits, busy, before each response."""


@dataclass(frozen=True)
class Server:
    """A server that was started. That it answers is seen from the client host, not here."""

    endpoint: Endpoint
    """Where the load finds it."""
    pid: int
    """Of its first process, as the Docker host numbers them."""
    started_ns: int
    """CLOCK_MONOTONIC of the client, just before it was asked to start."""
    container: Container | None
    """None without Docker."""
    image_id: str
    """Of the container as the engine has it, not as it was asked for."""
    secret: Secret | None
    """By which it is known for this run's: nobody else has it. None of a service that says none."""
    filled: Mapping[str, str]
    """Of its command and environment: each field's value."""

    def last_words(self) -> str:
        """End of what it wrote to its log."""
        if self.container is None:
            return ""
        return last_words(self.container)

    def state(self, host: Host) -> str:
        """`running`, or how its first process ended."""
        # A process that is dead and waits for its parent to take notice has no namespaces any more.
        lives = host.has(f"/proc/{self.pid}/ns/net")
        if self.container is None:
            return "running" if lives else "ended"
        return describe_state(self.container, lives=lives)


@dataclass(frozen=True)
class Order:
    """What Docker is asked for, of one container."""

    doing: str
    """For a person."""
    address: str
    """At which it is served, with its port."""
    port: int
    options: dict[str, Any]
    """Docker's, but for the network."""
    joined: dict[str, Any]
    """Of the network."""
    filled: Mapping[str, str]
    """Of its command and environment: each field's value."""
    told: Secret | None
    """The word by which it is known."""


def prepare(site: Site, arm: Arm, network: NetworkMode, port: int) -> Order:
    """What is asked of Docker for the service of `arm` in `network`, at `port`.

    Raises MeasurementInvalid where that port of the host is taken.
    """
    service = site.provided.service
    address = site.place.served_at(arm, network, site.vantage)
    word = secrets.token_hex(16)
    filled = {**_listening(service, network, address, port), **site.limits.fields, "word": word}
    doing = f"Starting {service.called} for the arm {arm.name} ({arm.mode} mode, port {port})"
    options = container_options(service, filled, site.provided.files)
    if site.wait_us:
        options["environment"] |= {"LD_PRELOAD": BUSY_WAIT, "BENCH_BUSY_WAIT_NS": f"{site.wait_us * 1000}"}
    if network.in_host_network:
        where = {address, *EVERYWHERE} if service.moves else None
        _require_free_port(site.engine.host, doing, port, where)
    return Order(
        doing=doing,
        address=address,
        port=port,
        options=options,
        joined=_options(network, address, port, service.port) | ({"dns": list(site.dns)} if site.dns else {}),
        filled=filled,
        told=Secret(service.word_path, word) if service.word_path else None,
    )


@contextmanager
def serve(
    site: Site, arm: Arm, network: NetworkMode, name: str, *, port: int, shared: bool = False
) -> Iterator[Server]:
    """Start the service for `arm` in `network`, at `port`; take all of it away on the way out.

    `network` is the arm's own mode or, `shared`, the one of the arm whose network it joins: a
    container that does nothing stands for that arm. Raises MeasurementInvalid where Docker refuses.
    """
    service = site.provided.service
    order = prepare(site, arm, network, port)
    doing, address, filled, options = order.doing, order.address, order.filled, order.options
    with ExitStack() as stack:
        if network.docker is None:
            root = native.unpack(site.engine.client, site.provided.image_id, site.engine.host)
            started_ns = site.client.monotonic_ns()
            pid = stack.enter_context(native.apache(site.engine.host, root, options["environment"], name))
            image_id = site.provided.image_id
            yield Server(Endpoint(address, port), pid, started_ns, None, image_id, order.told, filled)
            return
        if network.network:
            stack.enter_context(create_network(site.engine, network.docker, network.network))
        joined = order.joined
        hosts = stack.enter_context(
            start_companions(site.engine, network, name, site.provided.companions, site.provided.files)
        )
        options |= {"extra_hosts": hosts} if hosts else {}
        if shared:
            stand_in = {"command": MEANWHILE, **joined}
            first = stack.enter_context(
                create_container(site.engine, doing, f"{name}-first", site.provided.stand_in_id, stand_in)
            )
            start_container(first, doing)
            joined = {"network_mode": f"container:{first.id}"}
        container = stack.enter_context(
            create_container(site.engine, doing, name, site.provided.image_id, {**options, **joined})
        )
        started_ns = site.client.monotonic_ns()
        start_container(container, doing)
        container.reload()
        pid = int(container.attrs["State"]["Pid"])
        if not pid:
            raise ended_at_once(doing, container)
        inside = network.container_address or address_in(first if shared else container)
        values = {
            "address": address,
            "port": port,
            "container_address": inside,
            "container_pid": pid,
        }
        for step in network.steps:
            stack.enter_context(take_step(site, step, values))
        # A container with an address of its own is not on its host's loopback: it is asked for all the same.
        at_container = network.reached_at_container and site.vantage is not Vantage.HOST_LOOPBACK
        endpoint = Endpoint(inside, service.port) if at_container else None
        yield Server(
            endpoint or Endpoint(address, port),
            pid,
            started_ns,
            container,
            str(container.attrs["Image"]),
            order.told,
            filled,
        )


def _require_free_port(host: Host, doing: str, port: int, addresses: set[str] | None) -> None:
    """Raise MeasurementInvalid where somebody listens on `port` of `host` already, at one of `addresses`, or
    at any of them (None)."""
    listening = [found for found in read_listeners(host, 1) if found[1] == port]
    taken = [found for found in listening if addresses is None or found[0] in addresses]
    if taken:
        raise MeasurementInvalid(
            doing,
            f"port {port} of {host.name} is taken before it starts, at {describe_listeners(taken)}",
            "In host mode a service has its own port of the host: give the one or the other another.",
        )


def _listening(service: Service, network: NetworkMode, address: str, port: int) -> dict[str, str]:
    """Where it shall listen, as the fields of its command and environment say it."""
    if not network.in_host_network:
        everywhere = "[::]" if network.ipv6 else "0.0.0.0"  # noqa: S104 - of a network of its own
        return {"address": everywhere, "port": str(service.port), "listen": str(service.port)}
    own = f"[{address}]" if network.ipv6 else address
    return {"address": own, "port": str(port), "listen": f"{own}:{port}"}


def _options(network: NetworkMode, address: str, port: int, inside: int) -> dict[str, Any]:
    """Docker's options for the mode: the one thing in which arms differ."""
    options: dict[str, Any] = {"network_mode": network.docker}
    if network.network and network.container_address:
        endpoint = EndpointConfig(API_VERSION, ipv4_address=network.container_address)
        options = {"network": network.docker, "networking_config": {network.docker: endpoint}}
    if network.publishes:
        # Of RootlessKit's namespace the host's address is none: published as most do, at all of them.
        at = "0.0.0.0" if network.rootless else address  # noqa: S104 - of a lab's host
        options["ports"] = {f"{inside}/tcp": (at, port)}
    return options


@contextmanager
def take_step(site: Site, step: Step, values: Mapping[str, object]) -> Iterator[None]:
    """A command by hand, and what takes it back on the way out."""
    if step.needs_rules and not site.engine.writes_rules:
        yield
        return
    where = site.client if step.where == "client" else site.engine.host
    where.run([word.format(**values) for word in step.argv])
    try:
        yield
    finally:
        if step.undo:
            # A container that died took its link along, and that is no fault of the undoing.
            with suppress(command.CommandFailed):
                where.run([word.format(**values) for word in step.undo])


def network_inode(server: Server, engine: Engine) -> int:
    """Inode of the network namespace in which the server's first process really is.

    Raises MeasurementInvalid where it has ended.
    """
    try:
        return engine.host.namespace(server.pid)
    except FileNotFoundError as fault:
        raise MeasurementInvalid(
            "Looking at the server's network", f"it has ended ({fault})", "Try again."
        ) from fault
