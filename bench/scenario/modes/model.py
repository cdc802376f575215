"""What a network mode is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bench.scenario.modes.footprint import Counter, Expected, Path

LOOPBACK = "lo"
TAP = "tap0"
"""Of RootlessKit's namespace, to the network stack in user space."""
MAPPED = "container"
"""`container:<arm>`: shares the network of another arm's container."""


class Vantage(StrEnum):
    """Where the load comes from."""

    CLIENT = "client"
    """The client host, over the wire: another network stack than the server's."""
    HOST_LOOPBACK = "host-loopback"
    """The Docker host itself, asking at 127.0.0.1 (::1), where the arm is then served."""
    HOST_ADDRESS = "host-address"
    """The Docker host itself, asking at the address that others use."""
    SAME_NETWORK = "same-network"
    """A container beside the server's, in the arm's own network, asking at the server's own address; in host
    mode the Docker host itself."""
    PEER = "peer"
    """A container in the arm's mode on another Docker host, over the wire; in host mode that host itself."""

    @property
    def is_on_wire(self) -> bool:
        """Whether requests reach the server's host by its uplink."""
        return self in (Vantage.CLIENT, Vantage.PEER)

    @property
    def is_in_container(self) -> bool:
        """Whether the load is in a container's network, which lives and ends with each server."""
        return self in (Vantage.SAME_NETWORK, Vantage.PEER)

    @property
    def label(self) -> str:
        """As a person says where a load is from."""
        return {
            Vantage.CLIENT: "the client host",
            Vantage.HOST_LOOPBACK: "the Docker host itself at its loopback",
            Vantage.HOST_ADDRESS: "the Docker host itself at the address that others use",
            Vantage.SAME_NETWORK: "a container of the same network on the same Docker host",
            Vantage.PEER: "a container of the same mode on another Docker host",
        }[self]


class Mode(StrEnum):
    """How an arm's server is joined to the network."""

    HOST = "host"
    BRIDGE = "bridge"
    CONTAINER = MAPPED
    NONE = "none"
    WIRED = "wired"
    BRIDGE_ROUTED = "bridge-routed"
    USER_BRIDGE = "user-bridge"
    PROXY = "proxy"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    HOST_IPV6 = "host-ipv6"
    BRIDGE_IPV6 = "bridge-ipv6"
    BRIDGE_IPV6_PROXIED = "bridge-ipv6-proxied"
    OVERLAY = "overlay"
    NATIVE = "native"
    ROOTLESS_BUILTIN = "rootless-builtin"
    ROOTLESS_SLIRP4NETNS = "rootless-slirp4netns"
    ROOTLESS_PASTA = "rootless-pasta"


@dataclass(frozen=True)
class DockerNetwork:
    """A network that is created before the container and removed after it."""

    driver: str
    subnet: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_swarm(self) -> bool:
        """Whether it spans the Docker hosts of a swarm, which is then made for it."""
        return self.driver == "overlay"


@dataclass(frozen=True)
class TradeOffs:
    """What a person gives up or gets besides speed: the decision card's words."""

    ports: str
    """What happens when two containers want one port."""
    replicas: str
    """How many of one image a host can run."""
    client_address: str
    """Whether the server sees the client's own address."""
    firewall: str
    """Which of the host's rules a request meets."""
    reachable_from: str
    advice: str
    tried_by: tuple[str, ...] = ()
    """Statements of the walkthrough that try from where it is reachable, by their ids."""


@dataclass(frozen=True)
class Step:
    """A command run by hand on `where`: the Docker host, or the client host."""

    where: str
    argv: tuple[str, ...]
    undo: tuple[str, ...] = ()
    """Takes it back when the container is gone; empty where it goes by itself."""
    needs_rules: bool = False
    """Only where the engine writes forwarding rules (iptables on), that would drop the packets."""


@dataclass(frozen=True)
class Rootless:
    """An engine that an unprivileged user runs by RootlessKit: how it is joined to its host's network."""

    network: str
    """Network driver (`--net`): the program that is the network stack of RootlessKit's namespace."""
    ports: str
    """Port driver (`--port-driver`): who takes what comes for a published port."""

    def __str__(self) -> str:
        return f"{self.network} and {self.ports} ports"

    @property
    def entry(self) -> str:
        """Link of RootlessKit's namespace on which the packets for a published port come."""
        return LOOPBACK if self.ports == "builtin" else TAP


@dataclass(frozen=True)
class NetworkMode:
    """One mode. `docker` is the word after `--network`; None runs Apache without Docker."""

    summary: str
    docker: str | None
    path: Path
    """Over the wire; what all have in common (the uplink, the server's connections) is not named."""
    trade_offs: TradeOffs
    publishes: bool = False
    """A port of the host is mapped to the container's port 80."""
    in_host_network: bool = False
    """The server binds the host's own address and port."""
    network: DockerNetwork | None = None
    container_address: str | None = None
    """Of a container that the client reaches by its own address; None: Docker chooses it."""
    reached_at_container: bool = False
    ipv6: bool = False
    local_paths: Mapping[Vantage, Path] = field(default_factory=dict)
    """From the Docker host itself; without a vantage from which the mode cannot be reached."""
    unproxied_paths: Mapping[Vantage, Path] = field(default_factory=dict)
    """What of `local_paths` is another where the engine has no docker-proxy (`lab.userland_proxy`)."""
    tried_from: Vantage = Vantage.CLIENT
    """From where it is known whether it can be had."""
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    """Of daemon.json: an engine of its own is started where the default one lacks them."""
    rootless: Rootless | None = None
    """A user's engine of its own is started; None: root's."""
    steps: tuple[Step, ...] = ()
    reachable: bool = True
    """False for a control, that must not answer."""

    @property
    def holds(self) -> frozenset[str]:
        """What only one container at a time can have of a Docker host and its client: a subnet, an address,
        a link or route by a fixed name. Where it is empty, several of this mode can be alive together.
        """
        fixed = (" ".join(step.argv) for step in self.steps)
        of_one = ("{container_address}", "{container_pid}", "{port}")
        held = [command for command in fixed if not any(field in command for field in of_one)]
        held += [self.network.subnet] if self.network else []
        held += [self.container_address] if self.container_address else []
        return frozenset(held)

    @property
    def is_of_swarm(self) -> bool:
        """Whether its network spans the Docker hosts of a swarm."""
        return self.network is not None and self.network.is_of_swarm

    def path_from(self, vantage: Vantage, *, userland_proxy: bool = True) -> Path:
        """Every counter that a load from `vantage` must move, on an engine with docker-proxy or without."""
        local = self.local_paths if userland_proxy else {**self.local_paths, **self.unproxied_paths}
        path = self.path if vantage.is_on_wire else local.get(vantage, {})
        # From wherever: this arm's server takes the load. It comes by the wire, or was opened here: by the
        # Docker host itself, or in a network beside its own.
        arrival: Path = {Counter.OPENED: Expected.EACH_CONNECTION}
        if vantage.is_on_wire:
            arrival = {Counter.UPLINK: Expected.EACH_REQUEST}
        elif vantage.is_in_container and not self.in_host_network:
            arrival = {}
        return {Counter.SERVED: Expected.EACH_CONNECTION, **arrival, **path}

    @property
    def path_of_names(self) -> Path:
        """Every counter that a container's questions for names move: those of packets on the way of its
        requests, which a port mapping is no part of."""
        way = self.path_from(Vantage.CLIENT)
        return {counter: how for counter, how in way.items() if how is Expected.EACH_REQUEST}
