"""What of a scenario can be asked on machines of a person's own: whatever changes nothing of theirs."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scenario.conditions import conditions
from bench.scenario.engine_source import OWN_ENGINE
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode, Vantage
from bench.scenario.placement import DockerHost
from bench.scenario.scenario import Scenario

NEEDS = {
    **dict.fromkeys(("macvlan", "ipvlan"), "it needs an address of its own in its owner's network"),
    "overlay": "it needs a swarm, which its owner's engines would have to join",
}
"""What a network of that driver would need there."""


@dataclass(frozen=True)
class RealPlace(DockerHost):
    """The Docker host of a hosts file: one for all arms, at one address."""

    real_name: str = ""
    real_address: str = ""

    @property
    def name(self) -> str:
        """As the hosts file calls it."""
        return self.real_name

    def address(self, arm: Arm) -> str:  # noqa: ARG002 - it has one
        """The address under test, whichever of the lab's two an arm names."""
        return self.real_address

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address under test."""
        return (self.real_address,)

    @property
    def description(self) -> str:
        """For a person."""
        return "its owner's engine"


def real_place(name: str, address: str) -> RealPlace:
    """Where every arm is put."""
    return RealPlace(0, OWN_ENGINE, {}, real_name=name, real_address=address)


def find_arms_lacking(scenario: Scenario) -> dict[str, str]:
    """Arm -> why it cannot be had on a machine of a person's own."""
    reasons = {arm.name: _lacks(scenario.network(arm)) for arm in scenario.arms}
    return {name: reason for name, reason in reasons.items() if reason}


def _lacks(network: NetworkMode) -> str:
    if network.docker is None:
        return "without an engine, which its owner would have to stop: see docs/real-hosts.md"
    if network.engine_options or network.rootless:
        return "it needs an engine that is set otherwise, and the engine is its owner's"
    if network.network and (needed := NEEDS.get(network.network.driver)):
        return needed
    if network.ipv6:
        return "a hosts file names no IPv6 address"
    if any(not step.undo or step.where == "client" or "iptables" in step.argv for step in network.steps):
        return "it needs links, routes and rules that are made by hand on its owner's machines"
    return ""


def find_load_lacking(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Settings of its load and schedule that cannot be had there, each with the reason."""
    found = conditions(scenario)
    if any(condition.load.vantage is not Vantage.CLIENT for condition in found):
        yield "load.vantage", "load is sent by load hosts, not by a Docker host or a container"
    hosted = [arm.name for arm in scenario.arms if scenario.network(arm).in_host_network]
    if hosted and any(condition.lab.sysctls for condition in found):
        yield "lab.sysctls", f"{hosted[0]} is in the machine's own namespace, whose settings are its owner's"
    if any(condition.load.measures_cpu for condition in found):
        yield "CPU a request (load.model open, load.pacing sleep)", "it is not measured across machines yet"
    if scenario.load.is_lookup:
        yield "load.model lookup", "its name servers are the lab's"
    if any(condition.load.is_start for condition in found):
        yield "load.model start", "its stamps are of one clock, and the listening sockets of one kernel"
    if any(condition.load.by_locustfile for condition in found):
        yield "load.engine locustfile", "load hosts run bench's own loops, and no file of the person's own"
    if scenario.service is not None:
        yield (
            "a service of one's own",
            "load goes to nothing that cannot prove, by an unguessable word, that this run started it",
        )
    if scenario.schedule.sessions > 1:
        yield "schedule.sessions", "another session restarts the engine, which is its owner's"
