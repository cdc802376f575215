"""A swarm of two Docker hosts, and the networks that arms' modes need, for as long as a server lives."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from docker.errors import APIError, NotFound

from bench.errors import MeasurementInvalid
from bench.lab.servers.containers import create_network
from bench.lab.servers.engine import Engine
from bench.lab.servers.site import Site
from bench.scenario.modes.addresses import SWARM_POOL, SWARM_POOL_BITS
from bench.scenario.modes.model import NetworkMode

PORT = 2377
"""Of a manager, as Docker has it."""
GATEWAY_BRIDGE = "docker_gwbridge"
"""By which containers of an overlay network reach what is outside of it; a swarm leaves it behind."""


@contextmanager
def provide_network(site: Site, network: NetworkMode) -> Iterator[None]:
    """The network that `network` has to find, on every Docker host from which it is used."""
    if network.network is None or network.docker is None:
        yield
        return
    with ExitStack() as stack:
        engines = [site.engine]
        if network.is_of_swarm:
            stack.enter_context(_swarm(site))
        elif site.peer:
            engines.append(site.peer)
        for engine in engines:
            stack.enter_context(create_network(engine, network.docker, network.network))
        yield


def describe_swarm(manager: str, worker: str | None) -> list[str]:
    """What is done by the engines' APIs, as Docker's own commands: the addresses are the Docker hosts'."""
    made = (
        f"docker swarm init --advertise-addr {manager} --listen-addr {manager}:{PORT}"
        f" --data-path-addr {manager} --default-addr-pool {SWARM_POOL}"
        f" --default-addr-pool-mask-length {SWARM_POOL_BITS}"
    )
    joined = (
        f"docker swarm join --advertise-addr {worker} --listen-addr {worker}:{PORT} --data-path-addr {worker}"
        f" --token <of the manager> {manager}:{PORT}"
    )
    return [made, *([joined] if worker else [])]


@contextmanager
def _swarm(site: Site) -> Iterator[None]:
    """A swarm of the site's engine and its peer's; both have left it on the way out, and it is gone."""
    members = [engine for engine in (site.engine, site.peer) if engine]
    [manager, *workers] = [(engine, _address(engine)) for engine in members]
    doing = f"Making a swarm of {', '.join(engine.host.name for engine in members)}"
    try:
        try:
            engine, address = manager
            engine.client.swarm.init(
                advertise_addr=address,
                listen_addr=f"{address}:{PORT}",
                data_path_addr=address,
                default_addr_pool=[SWARM_POOL],
                subnet_size=SWARM_POOL_BITS,
            )
            token = engine.client.swarm.attrs["JoinTokens"]["Worker"]
            for worker, own in workers:
                worker.client.swarm.join(
                    remote_addrs=[f"{address}:{PORT}"],
                    join_token=token,
                    advertise_addr=own,
                    listen_addr=f"{own}:{PORT}",
                    data_path_addr=own,
                )
        except APIError as fault:
            raise MeasurementInvalid(doing, str(fault.explanation), "See dockerd's messages.") from fault
        yield
    finally:
        for engine in reversed(members):
            _leave(engine)


def _address(engine: Engine) -> str:
    """The first of its host's."""
    return engine.host.addresses[0].partition("/")[0]


def _leave(engine: Engine) -> None:
    """Leave the swarm, if it came to one, with what a swarm leaves behind."""
    if not engine.is_alive:
        return
    if engine.client.info()["Swarm"]["LocalNodeState"] != "inactive":
        engine.client.swarm.leave(force=True)
    with suppress(NotFound):
        engine.client.networks.get(GATEWAY_BRIDGE).remove()
