"""A deployment: one fresh container from its start to its removal, however often it is measured."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.errors import MeasurementInvalid
from bench.lab.hosts.host import Host, link_state
from bench.lab.instruments.surroundings import read_surroundings
from bench.lab.servers.server import Apache, Site, network_inode
from bench.measure.testbed import CONTROL_S, Bed
from bench.scenario.conditions import Condition
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode
from bench.slots.gates.gate import Gate
from bench.slots.gates.identity import check_control
from bench.slots.surroundings import Facts

IDLE_PORT = 9001
"""Of the first container that is asked nothing, and so on."""


@dataclass(frozen=True)
class Deployment:
    """A server of an arm that has answered, and where it stands."""

    arm: Arm
    condition: Condition
    network: NetworkMode
    site: Site
    sender: Host
    """Where the load on it comes from."""
    server: Apache
    first_200_ns: int
    """CLOCK_MONOTONIC of the client."""
    inode: int
    """Of the network namespace in which it really is."""
    facts: Facts
    """What it found around itself."""

    @property
    def docker_host(self) -> Host:
        """The host that it is on."""
        return self.site.engine.host

    @property
    def path(self) -> str:
        """Of the page that is asked for."""
        return f"/{self.condition.load.page_bytes}"

    def require_alive(self) -> None:
        """Raise MeasurementInvalid where it has ended, under its load perhaps."""
        host = self.docker_host
        state, link = self.server.state(host), link_state(host, host.uplink)
        if (state, link) != ("running", "up"):
            raise MeasurementInvalid(
                "Looking at the server after its load",
                f"Apache is {state}, {host.name}'s uplink is {link}; Apache's last words:"
                f" {self.server.last_words() or 'none'}",
                "The slot is INVALID.",
            )


@contextmanager
def deploy(bed: Bed, arm: Arm, condition: Condition, name: str) -> Iterator[Deployment]:
    """Start `arm` as `name`, wait for its answer, and take it away on the way out.

    Raises MeasurementInvalid where Docker refuses or no answer comes.
    """
    site = bed.site(arm, condition)
    with bed.serve(arm, condition, name) as server:
        # Not before the engine says that it has started: a packet to a container whose link is not up
        # yet leaves an unanswered ARP request behind, and the kernel's next one comes a second later.
        path = f"/{condition.load.page_bytes}"
        first_200_ns = bed.generator.first_200_ns(server.endpoint, path, word=server.word)
        if first_200_ns is None:
            bed.generator.refuse_stranger(server.endpoint, server.word)  # That is the better reason.
            raise MeasurementInvalid(
                f"Waiting for {arm.name} at {server.endpoint.address}:{server.endpoint.port}",
                f"no 200 came{bed.explain_silence(server.endpoint)}; Apache's last words:"
                f" {server.last_words() or 'none'}",
                "The slot is INVALID.",
            )
        yield Deployment(
            arm=arm,
            condition=condition,
            network=bed.scenario.network(arm),
            site=site,
            sender=bed.sender(site),
            server=server,
            first_200_ns=first_200_ns,
            inode=network_inode(server, site.engine),
            facts=read_surroundings(site.engine.host, server.pid),
        )


@contextmanager
def deploy_idle(bed: Bed, condition: Condition, number: int) -> Iterator[None]:
    """Containers beside those of slot `number` that answered once and are asked nothing more
    (`lab.idle_containers`): of the scenario's modes in turn, as far as several can be alive together.
    """
    scenario = bed.scenario
    arms = [arm for arm in scenario.compared if not scenario.network(arm).holds]
    with ExitStack() as alive:
        for place in range(condition.lab.idle_containers if arms else 0):
            arm = arms[place % len(arms)].model_copy(update={"port": IDLE_PORT + place})
            alive.enter_context(deploy(bed, arm, condition, f"bench-{number:03d}-idle-{place}"))
        yield


def try_control(bed: Bed, arm: Arm, condition: Condition, name: str) -> list[Gate]:
    """A container that nobody shall reach: Apache answers inside it, and the client gets nothing."""
    path = f"/{condition.load.page_bytes}"
    docker_host = bed.site(arm, condition).engine.host
    with bed.serve(arm, condition, name) as server:
        inside = ["nsenter", "-t", str(server.pid), "--net"]
        links = [link["ifname"] for link in json.loads(docker_host.run([*inside, "ip", "-j", "link"]))]
        fetch = ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}"]
        status = docker_host.run([*inside, *fetch, f"http://127.0.0.1{path}"])
        answered = bed.generator.first_200_ns(server.endpoint, path, CONTROL_S) is not None
    return check_control(links, status, answered)
