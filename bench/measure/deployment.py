"""A deployment: one fresh container from its start to its removal, however often it is measured."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.errors import MeasurementInvalid
from bench.generator.client import PROBE_TIMEOUT_S
from bench.lab.hosts.host import Host, link_state
from bench.lab.instruments.counters import NetworkCounters, read_network_counters
from bench.lab.instruments.surroundings import read_surroundings
from bench.lab.instruments.tcpdump import RootlessNetwork
from bench.lab.servers.parity import describe_start
from bench.lab.servers.server import Server, Site, network_inode
from bench.measure.links import arrange_veth
from bench.measure.readiness import await_answer
from bench.measure.testbed import CONTROL_S, Bed
from bench.procfs import parse_limits
from bench.scenario.conditions import Condition
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode
from bench.slots.gates.gate import Gate
from bench.slots.gates.identity import check_control
from bench.slots.surroundings import Facts

BUILT_IN_FILES = {"httpd configuration": "/etc/bench/httpd.conf"}
FETCH_S = 10.0
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
    server: Server
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

    @property
    def rootless(self) -> RootlessNetwork | None:
        """Between that host and its container; None of an engine that is root's."""
        pid, rootless = self.site.engine.rootless_pid, self.network.rootless
        return RootlessNetwork(pid, rootless.entry) if pid and rootless else None

    def count(self) -> NetworkCounters:
        """Counters of the networks on its way, now. Raises ProcessLookupError where it has ended."""
        engine = self.site.engine
        return read_network_counters(
            self.sender,
            self.docker_host,
            self.server.pid,
            ipv6=self.network.ipv6,
            writes_rules=engine.writes_rules,
            rootless_pid=engine.rootless_pid,
        )

    def describe_trouble(self) -> str:
        """What is known of a living server whose answers are not right: its descriptors, its last words."""
        host, process = self.docker_host, f"/proc/{self.server.pid}"
        listed = host.attempt(["ls", f"{process}/fd"], timeout_s=5, environment={})
        limits = dict(parse_limits("".join(host.read(f"{process}/limits").values())))
        return (
            f"its first process has {len(listed.output.split())} files open of"
            f" {limits.get('open files', '?')}; its last words: {self.server.last_words() or 'none'}"
        )

    def require_alive(self) -> None:
        """Raise MeasurementInvalid where it has ended, under its load perhaps."""
        host = self.docker_host
        state, link = self.server.state(host), link_state(host, host.uplink)
        if (state, link) != ("running", "up"):
            raise MeasurementInvalid(
                "Looking at the server after its load",
                f"it is {state}, {host.name}'s uplink is {link}; its last words:"
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
        arrange_veth(site.engine.host, server.pid, condition.lab)
        patience_s = max(PROBE_TIMEOUT_S, bed.scenario.served.ready.timeout_s)
        first_200_ns = await_answer(bed, site, server, arm, condition, patience_s)
        yield Deployment(
            arm=arm,
            condition=condition,
            network=bed.scenario.network(arm),
            site=site,
            sender=bed.sender(site),
            server=server,
            first_200_ns=first_200_ns,
            inode=network_inode(server, site.engine),
            facts=describe_facts(site, server),
        )


def describe_facts(site: Site, server: Server) -> Facts:
    """What is around it, and how it was started."""
    service = site.provided.service
    files = {f"mounted {path}": path for path in service.mounts}
    files = BUILT_IN_FILES if service.is_built_in else files
    around = read_surroundings(site.engine.host, server.pid, files)
    return {**around, **describe_start(server, service)}


@contextmanager
def deploy_idle(bed: Bed, condition: Condition, number: int) -> Iterator[None]:
    """Containers beside those of slot `number` that answered once and are asked nothing more
    (`lab.idle_containers`): of the scenario's modes in turn, as far as several can be alive together.
    """
    scenario = bed.scenario
    arms = [arm for arm in scenario.compared if not scenario.is_single(arm)]
    with ExitStack() as alive:
        for place in range(condition.lab.idle_containers if arms else 0):
            arm = arms[place % len(arms)].model_copy(update={"port": IDLE_PORT + place})
            alive.enter_context(deploy(bed, arm, condition, f"bench-{number:03d}-idle-{place}"))
        yield


def try_control(bed: Bed, arm: Arm, condition: Condition, name: str) -> list[Gate]:
    """A container that nobody shall reach: its server answers inside it, and the client gets nothing."""
    ready = bed.ready(condition)
    docker_host = bed.site(arm, condition).engine.host
    with bed.serve(arm, condition, name) as server:
        inside = ["nsenter", "-t", str(server.pid), "--net"]
        links = [link["ifname"] for link in json.loads(docker_host.run([*inside, "ip", "-j", "link"]))]
        fetch = ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}"]
        scheme, port = "https" if bed.scenario.served.tls else "http", bed.scenario.served.port
        url = f"{scheme}://127.0.0.1:{port}{ready.path}"
        done = docker_host.attempt(
            [*inside, *fetch, "-k", "-X", ready.method, url], timeout_s=FETCH_S, environment={}
        )
        answered = bed.probe(server, condition, CONTROL_S) is not None
    return check_control(links, done.output.strip(), answered, str(ready.status))
