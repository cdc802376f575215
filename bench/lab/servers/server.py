"""One fresh server, joined to the network in an arm's mode, for as long as the `with` lasts.

How each mode is started is data (`scenario.modes`); this module is its one interpreter.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container
from docker.types import EndpointConfig

from bench.errors import MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.hosts.sysctls import hold_sysctls
from bench.lab.servers import native
from bench.lab.servers.companions import start_companions
from bench.lab.servers.containers import (
    API_VERSION,
    MEANWHILE,
    address_in,
    container_options,
    create_container,
    describe_network,
    describe_state,
    ended_at_once,
    last_words,
    start_container,
)
from bench.lab.servers.engine import Engine
from bench.lab.servers.listening import describe_listeners, read_listeners
from bench.lab.servers.sender import place_sender
from bench.lab.servers.site import Site
from bench.lab.servers.swarm import provide_network
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode, Step, Vantage
from bench.scenario.service import Secret, Service

BUSY_WAIT = "/usr/lib/bench/busy_wait.so"
"""In the image; of bench/image/busy_wait.c."""
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - as the kernel tells them


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
    sender: Host
    """Where the load on it comes from."""

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
        joined=_options(network, address, port, service.port) | _of_namespace(site, network),
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
        if network.in_host_network:
            stack.enter_context(hold_sysctls(site.engine.host, site.sysctls))
        if network.docker is None:
            root = native.unpack(site.engine.client, site.provided.image_id, site.engine.host)
            started_ns = site.client.monotonic_ns()
            pid = stack.enter_context(native.apache(site.engine.host, root, options["environment"], name))
            image_id = site.provided.image_id
            sender = stack.enter_context(place_sender(site, network, name))
            yield Server(Endpoint(address, port), pid, started_ns, None, image_id, order.told, filled, sender)
            return
        stack.enter_context(provide_network(site, network))
        sender = stack.enter_context(place_sender(site, network, name))
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
        inside = network.container_address or address_in(first if shared else container, ipv6=network.ipv6)
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
        at_container |= site.vantage is Vantage.SAME_NETWORK and not network.in_host_network
        endpoint = Endpoint(inside, service.port) if at_container else None
        yield Server(
            endpoint or Endpoint(address, port),
            pid,
            started_ns,
            container,
            str(container.attrs["Image"]),
            order.told,
            filled,
            sender,
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
    options = describe_network(network)
    if network.network and network.container_address:
        endpoint = EndpointConfig(API_VERSION, ipv4_address=network.container_address)
        options = {"network": network.docker, "networking_config": {network.docker: endpoint}}
    if network.publishes:
        # Of RootlessKit's namespace the host's address is none: published as most do, at all of them.
        at = "0.0.0.0" if network.rootless else address  # noqa: S104 - of a lab's host
        options["ports"] = {f"{inside}/tcp": (at, port)}
    return options


def _of_namespace(site: Site, network: NetworkMode) -> dict[str, Any]:
    """Name servers, and settings of a network namespace of its own."""
    found: dict[str, Any] = {"dns": list(site.dns)} if site.dns else {}
    return found if network.in_host_network else found | {"sysctls": dict(site.sysctls)}


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
