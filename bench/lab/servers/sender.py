"""Where the load on a server comes from: a host that stands, or a container that is started for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.lab.hosts.guest import Guest
from bench.lab.hosts.host import Host
from bench.lab.servers.containers import (
    MEANWHILE,
    address_in,
    create_container,
    describe_network,
    start_container,
)
from bench.lab.servers.site import Site
from bench.scenario.modes.model import NetworkMode, Vantage

LINK = "eth0"
"""As Docker calls a container's first."""


def standing_sender(site: Site, network: NetworkMode) -> Host | None:
    """The sender that is there before the server, on the cores that the load has anywhere; None where it is a
    container's network.
    """
    if site.vantage is Vantage.CLIENT:
        return site.client
    if site.vantage.is_in_container and not network.in_host_network:
        return None
    engine = site.peer if site.vantage is Vantage.PEER else site.engine
    assert engine
    return engine.host.on_cores(site.client.cpus)


@contextmanager
def place_sender(site: Site, network: NetworkMode, name: str) -> Iterator[Host]:
    """The sender, for as long as the `with` lasts; of a container's network, the container with it.

    Raises MeasurementInvalid where Docker refuses.
    """
    standing = standing_sender(site, network)
    if standing:
        yield standing
        return
    engine = site.peer if site.vantage is Vantage.PEER else site.engine
    assert engine
    doing = f"Starting the container on {engine.host.name} from whose network the load comes"
    options = {"command": MEANWHILE, **describe_network(network)}
    with create_container(engine, doing, f"{name}-client", site.provided.stand_in_id, options) as container:
        start_container(container, doing)
        address = address_in(container)
        pid = int(container.attrs["State"]["Pid"])
        called = f"a container of {engine.host.name}"
        yield Guest(engine.host.on_cores(site.client.cpus), pid, called, (address,), LINK)
