"""Which Docker hosts a scenario needs: one for each engine that its arms ask for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import InputError
from bench.scenario.conditions import Condition, conditions
from bench.scenario.engine_source import OWN_ENGINE, EngineSource
from bench.scenario.model import Arm
from bench.scenario.modes.addresses import (
    ADDRESSES,
    MAX_DOCKER_HOSTS,
    docker_host_addresses,
    docker_host_ipv6,
)
from bench.scenario.modes.model import NetworkMode, Rootless, Vantage
from bench.scenario.scenario import Scenario


@dataclass(frozen=True)
class DockerHost:
    """A Docker host of the lab before it exists. `number` counts from 0."""

    number: int
    engine: EngineSource
    options: Mapping[str, Any]
    """Of its daemon.json."""
    firewall: str = "machine"
    """Into which its rules go: see `LabSettings.firewall`."""
    rootless: Rootless | None = None
    """How a user's own engine is joined to the host's network; None: the engine is root's."""
    peer_of: str = ""
    """The Docker host whose peer it is: from here the load comes, and no arm is put here."""

    @property
    def is_usual(self) -> bool:
        """Whether it is the machine's own engine as it is."""
        return replace(self, number=0) == DOCKER1

    @property
    def name(self) -> str:
        """docker1, docker2, ... as in the article."""
        return f"docker{self.number + 1}"

    def address(self, arm: Arm) -> str:
        """IPv4 address of this host at which `arm` is served."""
        return self.addresses[ADDRESSES.index(arm.address)]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Both IPv4 addresses, without prefix length."""
        return docker_host_addresses(self.number)

    @property
    def address_ipv6(self) -> str:
        """IPv6 address, without prefix length."""
        return docker_host_ipv6(self.number)

    def served_at(self, arm: Arm, network: NetworkMode, vantage: Vantage) -> str:
        """The one address of this host at which `arm`, in `network`, is served to a load from `vantage`."""
        if vantage is Vantage.HOST_LOOPBACK:
            return "::1" if network.ipv6 else "127.0.0.1"
        return self.address_ipv6 if network.ipv6 else self.address(arm)

    @property
    def description(self) -> str:
        """For a person: the engine, and how it is set differently."""
        rootless = f", rootless by {self.rootless}" if self.rootless else ""
        options = f" with {json.dumps(dict(self.options))}" if self.options else ""
        rules = f", its rules by iptables-{self.firewall}" if self.firewall != "machine" else ""
        peer = f", the peer of {self.peer_of}" if self.peer_of else ""
        return f"{self.engine.description}{rootless}{options}{rules}{peer}"


DOCKER1 = DockerHost(0, OWN_ENGINE, {})
"""The machine's own engine as it is."""


def docker_hosts(scenario: Scenario) -> tuple[DockerHost, ...]:
    """The hosts that `scenario` needs, in the order in which its conditions and arms name them.

    Raises InputError where they are more than the lab has addresses for.
    """
    found: list[DockerHost] = []
    for condition in conditions(scenario):
        for arm in scenario.arms:
            place = replace(_place(scenario, arm, condition), number=len(found))
            if not any(_is_same(place, other) for other in found):
                found.append(place)
    peered = dict.fromkeys(
        docker_host.name
        for condition in conditions(scenario)
        if condition.load.vantage is Vantage.PEER
        for arm in scenario.arms
        for docker_host in found
        if _is_same(docker_host, _place(scenario, arm, condition))
    )
    for host in [host for host in found if host.name in peered]:
        found.append(replace(host, number=len(found), peer_of=host.name))
    if len(found) > MAX_DOCKER_HOSTS:
        raise InputError(
            f"Placing the arms of {scenario.name}",
            f"they need {len(found)} Docker hosts, and the lab has addresses for {MAX_DOCKER_HOSTS}",
            "Name fewer engines in one scenario.",
        )
    return tuple(found)


def docker_host_of(scenario: Scenario, arm: Arm, condition: Condition) -> DockerHost:
    """The host on which `arm` runs under `condition`."""
    place = _place(scenario, arm, condition)
    return next(host for host in docker_hosts(scenario) if _is_same(host, place))


def peer_of(scenario: Scenario, host: DockerHost) -> DockerHost | None:
    """The Docker host from which containers ask those of `host`; None where none does."""
    return next((peer for peer in docker_hosts(scenario) if peer.peer_of == host.name), None)


def _place(scenario: Scenario, arm: Arm, condition: Condition) -> DockerHost:
    """What `arm` needs under `condition`, without a number yet."""
    lab = condition.lab
    network = scenario.network(arm)
    options = {**lab.engine_options, **network.engine_options}
    return DockerHost(0, lab.engine, options, lab.firewall, network.rootless)


def _is_same(one: DockerHost, other: DockerHost) -> bool:
    """But for their numbers."""
    return replace(one, number=other.number) == other
