"""One fresh Apache, joined to the network in an arm's mode, for as long as the `with` lasts.

How each mode is started is data (`core.modes`); this module is its one interpreter.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig, IPAMConfig, IPAMPool
from requests.exceptions import RequestException

from bench.errors import MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.servers import native
from bench.lab.servers.engine import Engine
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import CONTAINER_PORT
from bench.scenario.modes.model import DockerNetwork, NetworkMode, Step, Vantage
from bench.scenario.placement import DockerHost
from bench.scenario.server_limits import USUAL_LIMITS, ServerLimits

NOTICE_S = 10
API_VERSION = "1.41"
"""Of Docker 20.10, the oldest engine that is tried: what an endpoint's options are written for."""
BUSY_WAIT = "/usr/lib/bench/busy_wait.so"
"""In the image; of bench/image/busy_wait.c."""
MEANWHILE = ["/bin/sleep", "3600"]
"""What the container whose network is shared runs: an hour is longer than any slot."""


@dataclass(frozen=True)
class Site:
    """Where an arm is put: its Docker host's engine, and the client that shall reach it."""

    engine: Engine
    client: Host
    place: DockerHost
    image_id: str
    vantage: Vantage = Vantage.CLIENT
    """From where the arm shall be reached."""
    limits: ServerLimits = USUAL_LIMITS
    """Of Apache: the same wherever it is put."""
    wait_us: int = 0
    """Positive control: microseconds that the server waits, busy, before each response."""


@dataclass(frozen=True)
class Apache:
    """A started Apache. That it answers is seen from the client host, not here."""

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
    word: str
    """That it answers with to whoever asks for what it does not have: nobody else knows it."""

    def last_words(self) -> str:
        """End of what Apache wrote to its error log, without the notices that it started."""
        if self.container is None:
            return ""
        lines = self.container.logs(tail=20).decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if ":notice]" not in line)[-1000:]

    def state(self, host: Host) -> str:
        """`running`, or how its first process ended."""
        # A process that is dead and waits for its parent to take notice has no namespaces any more.
        lives = host.has(f"/proc/{self.pid}/ns/net")
        if self.container is None:
            return "running" if lives else "ended"
        if not lives:
            self.container.wait(timeout=NOTICE_S)  # Docker notices a moment after the kernel.
        self.container.reload()
        state = self.container.attrs["State"]
        if state["OOMKilled"]:
            return "killed by the kernel: out of its memory"
        if state["Status"] == "running":
            return "running"
        return f"{state['Status']}, exit code {state['ExitCode']}{state['Error'] and ': '}{state['Error']}"


@contextmanager
def apache(
    site: Site, arm: Arm, network: NetworkMode, name: str, *, shared: bool = False
) -> Iterator[Apache]:
    """Start Apache for `arm` in `network`; take all of it away on the way out.

    `network` is the arm's own mode or, `shared`, the one of the arm whose network it joins: a
    container that does nothing stands for that arm. Raises MeasurementInvalid where Docker refuses.
    """
    address = site.place.served_at(arm, network, site.vantage)
    listen = f"[{address}]" if network.ipv6 else address
    environment = {"BENCH_LISTEN": f"{listen}:{arm.port}" if network.in_host_network else f"{CONTAINER_PORT}"}
    word = secrets.token_hex(16)
    environment |= {"BENCH_WORD": word, **site.limits.environment}
    if site.wait_us:
        environment |= {"LD_PRELOAD": BUSY_WAIT, "BENCH_BUSY_WAIT_NS": f"{site.wait_us * 1000}"}
    with ExitStack() as stack:
        if network.docker is None:
            root = native.unpack(site.engine.client, site.image_id, site.engine.host)
            started_ns = site.client.monotonic_ns()
            pid = stack.enter_context(native.apache(site.engine.host, root, environment, name))
            yield Apache(Endpoint(address, arm.port), pid, started_ns, None, site.image_id, word)
            return
        options = {"environment": environment}
        if network.network:
            stack.enter_context(_network(site, network.docker, network.network))
        joined = _options(network, address, arm.port)
        if shared:
            first = stack.enter_context(
                _container(site, arm, f"{name}-first", {"command": MEANWHILE, **joined})
            )
            _start(first, arm)
            joined = {"network_mode": f"container:{first.id}"}
        container = stack.enter_context(_container(site, arm, name, {**options, **joined}))
        started_ns = site.client.monotonic_ns()
        _start(container, arm)
        container.reload()
        pid = int(container.attrs["State"]["Pid"])
        inside = network.container_address or _address_in(first if shared else container)
        values = {
            "address": address,
            "port": arm.port,
            "container_address": inside,
            "container_pid": pid,
        }
        for step in network.steps:
            stack.enter_context(_step(site, step, values))
        # A container with an address of its own is not on its host's loopback: it is asked for all the same.
        at_container = network.reached_at_container and site.vantage is not Vantage.HOST_LOOPBACK
        endpoint = Endpoint(inside, CONTAINER_PORT) if at_container else None
        yield Apache(
            endpoint or Endpoint(address, arm.port),
            pid,
            started_ns,
            container,
            str(container.attrs["Image"]),
            word,
        )


def _options(network: NetworkMode, address: str, port: int) -> dict[str, Any]:
    """Docker's options for the mode: the one thing in which arms differ."""
    options: dict[str, Any] = {"network_mode": network.docker}
    if network.network and network.container_address:
        endpoint = EndpointConfig(API_VERSION, ipv4_address=network.container_address)
        options = {"network": network.docker, "networking_config": {network.docker: endpoint}}
    if network.publishes:
        options["ports"] = {f"{CONTAINER_PORT}/tcp": (address, port)}
    return options


@contextmanager
def _container(site: Site, arm: Arm, name: str, options: Mapping[str, Any]) -> Iterator[Container]:
    engine = site.engine
    try:
        container = engine.client.containers.create(
            site.image_id,
            name=engine.prefix + name,
            cpuset_cpus=engine.host.cpus,
            labels=dict(engine.labels),
            **options,
        )
    except APIError as fault:
        raise MeasurementInvalid(_doing(arm), str(fault.explanation), "See dockerd's messages.") from fault
    try:
        yield container
    finally:
        _remove(container.remove, engine, force=True)


def _start(container: Container, arm: Arm) -> None:
    try:
        container.start()
    except APIError as fault:
        raise MeasurementInvalid(
            _doing(arm),
            str(fault.explanation),
            "If the port is in use on the lab's host, give the arm another `port`.",
        ) from fault


@contextmanager
def _network(site: Site, name: str, network: DockerNetwork) -> Iterator[None]:
    pool = IPAMPool(subnet=network.subnet)
    try:
        created = site.engine.client.networks.create(
            name,
            driver=network.driver,
            options=dict(network.options),
            ipam=IPAMConfig(pool_configs=[pool]),
            check_duplicate=True,
            labels=dict(site.engine.labels),
        )
    except APIError as fault:
        raise MeasurementInvalid(
            f"Creating the {network.driver} network {name}", str(fault.explanation), "See dockerd's messages."
        ) from fault
    try:
        yield
    finally:
        _remove(created.remove, site.engine)


def _remove(remove: Callable[..., None], engine: Engine, **how: bool) -> None:
    """Remove something of a slot's. What is gone, or was a dead engine's, needs no removing."""
    try:
        remove(**how)
    except NotFound:
        pass
    except (DockerException, RequestException):
        if engine.is_alive:
            raise


@contextmanager
def _step(site: Site, step: Step, values: Mapping[str, object]) -> Iterator[None]:
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


def _address_in(container: Container) -> str:
    """The container's IPv4 address on its first network; empty where it has none."""
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return next((str(network["IPAddress"]) for network in networks if network["IPAddress"]), "")


def _doing(arm: Arm) -> str:
    return f"Starting Apache for the arm {arm.name} ({arm.mode} mode, port {arm.port})"


def network_inode(apache_: Apache, engine: Engine) -> int:
    """Inode of the network namespace in which Apache's first process really is.

    Raises MeasurementInvalid where it has ended.
    """
    try:
        return engine.host.namespace(apache_.pid)
    except FileNotFoundError as fault:
        raise MeasurementInvalid(
            "Looking at the server's network", f"Apache has ended ({fault})", "Try again."
        ) from fault
