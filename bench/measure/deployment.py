"""A deployment: one fresh container from its start to its removal, however often it is measured."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.errors import MeasurementInvalid
from bench.generator.client import PROBE_TIMEOUT_S
from bench.lab.hosts.host import Host, link_state
from bench.lab.instruments.counters import NetworkCounters, read_network_counters
from bench.lab.instruments.firewall import read_firewall
from bench.lab.instruments.surroundings import read_surroundings
from bench.lab.instruments.tcpdump import RootlessNetwork
from bench.lab.servers.parity import describe_start
from bench.lab.servers.server import Server, network_inode
from bench.lab.servers.site import Site
from bench.measure.links import arrange_veth
from bench.measure.readiness import await_answer
from bench.measure.testbed import CONTROL_S, Bed
from bench.procfs import parse_limits
from bench.scenario.conditions import Condition
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.modes.footprint import Counter, Path
from bench.scenario.modes.model import NetworkMode, Vantage
from bench.slots.gates.gate import Gate
from bench.slots.gates.identity import check_control
from bench.slots.rules import RulesMet, count_rules
from bench.slots.surroundings import ACCEPT_QUEUE, SOMAXCONN, Facts, fact_of

BUILT_IN_FILES = {"httpd configuration": "/etc/bench/httpd.conf"}
CROSSED = {Counter.FORWARDED, Counter.ACCEPTED, Counter.BRIDGE, Counter.VETH}
"""Counters that move where packets cross the Docker host's stack, and so its firewall."""
FETCH_S = 10.0
OF_PACKETS = (Counter.FILTER, Counter.FORWARDED, Counter.BRIDGE, Counter.VETH, Counter.UPLINK)
"""Counters of a host that every packet moves which is forwarded to whichever of its containers."""
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
    rules: RulesMet | None
    """That its packets look at on their way."""

    @property
    def docker_host(self) -> Host:
        """The host that it is on."""
        return self.site.engine.host

    @property
    def path_taken(self) -> Path:
        """Every counter that its load must move."""
        condition = self.condition
        return self.network.path_from(condition.load.vantage, userland_proxy=condition.lab.userland_proxy)

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
        """Counters of the networks on its way, now, without those that others' traffic moves.

        Raises ProcessLookupError where it has ended.
        """
        engine = self.site.engine
        found = read_network_counters(
            self.sender,
            self.docker_host,
            self.server.pid,
            ipv6=self.network.ipv6,
            writes_rules=engine.writes_rules,
            rootless_pid=engine.rootless_pid,
        )
        return leave_out_bystanders(found, self.condition.lab, writes_rules=engine.writes_rules)

    def describe_trouble(self) -> str:
        """What is known of a living server whose answers are not right: its descriptors, its last words."""
        host, process = self.docker_host, f"/proc/{self.server.pid}"
        listed = host.attempt(["ls", f"{process}/fd"], timeout_s=5, environment={})
        limits = dict(parse_limits("".join(host.read(f"{process}/limits").values())))
        return (
            f"its first process has {len(listed.output.split())} files open of"
            f" {limits.get('open files', '?')}; its last words: {self.server.last_words() or 'none'}"
        )

    def describe_accept_queue(self) -> str:
        """How many connections may wait for the server to accept them, and what makes it so many."""
        site, facts = self.site, self.facts
        built_in = site.provided.service.is_built_in
        wanted = f"the server asks for {site.limits.backlog}" if built_in else "the less of what it asks for"
        whose = self.docker_host.name if self.network.in_host_network else "the container"
        return (
            f"{facts.get(ACCEPT_QUEUE, '?')} connections: {wanted}, and {SOMAXCONN} is"
            f" {facts.get(SOMAXCONN, '?')} in the namespace of {whose}"
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
        network = bed.scenario.network(arm)
        facts = describe_facts(site, server, network)
        require_set(site, facts, arm)
        yield Deployment(
            arm=arm,
            condition=condition,
            network=network,
            site=site,
            sender=server.sender,
            server=server,
            first_200_ns=first_200_ns,
            inode=network_inode(server, site.engine),
            facts=facts,
            rules=_count_rules(site, server, network),
        )


def leave_out_bystanders(
    counted: NetworkCounters, lab: LabSettings, *, writes_rules: bool
) -> NetworkCounters:
    """Their packets move what counts packets; connections they open none, and the server's are its own."""
    if not (lab.bystanders and lab.bystander_rps):
        return counted
    proxied = () if writes_rules else (Counter.PROXY_CPU,)
    return counted.without((*OF_PACKETS, *proxied), "the traffic of bystanders moves them as well")


def require_set(site: Site, facts: Facts, arm: Arm) -> None:
    """Raise MeasurementInvalid where a setting of the server's namespace is not as it was asked for: the
    kernel may take another value than it is given."""
    for name, value in site.sysctls.items():
        found = facts.get(fact_of(name, UPLINK))
        if found is None or found.split() != value.split():
            raise MeasurementInvalid(
                f"Looking at {name} around the server of {arm.name}",
                f"it was set to {value!r}, and is {found!r}",
                "Give a value that the kernel takes, of a setting that can be read.",
            )


def _count_rules(site: Site, server: Server, network: NetworkMode) -> RulesMet | None:
    """None where the packets cross no IPv4 stack of the Docker host, or its rules cannot be read.

    Nor of rules that are another namespace's (RootlessKit's, an overlay's), or of a load from a container.
    """
    host, at = site.engine.host, server.endpoint
    is_overlay = network.network is not None and network.network.driver == "overlay"
    if site.engine.rootless_pid or site.vantage.is_in_container or is_overlay:
        return None
    if ":" in at.address or not (network.in_host_network or network.path_from(site.vantage).keys() & CROSSED):
        return None
    firewall = read_firewall(host)
    own = site.client.addresses[0].partition("/")[0]
    client = own if site.vantage is Vantage.CLIENT else at.address
    return count_rules(firewall, client, (at.address, at.port), host.uplink) if firewall else None


def describe_facts(site: Site, server: Server, network: NetworkMode) -> Facts:
    """What is around it, and how it was started."""
    service = site.provided.service
    files = {f"mounted {path}": path for path in service.mounts}
    files = BUILT_IN_FILES if service.is_built_in else files
    # In a namespace of its own it listens where the image says, whatever port is published for it.
    port = server.endpoint.port if network.in_host_network else service.port
    around = read_surroundings(site.engine.host, server.pid, port, files)
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
        service = bed.scenario.served.asked_by(condition.load)
        url = f"{'https' if service.tls else 'http'}://127.0.0.1:{service.port}{ready.path}"
        done = docker_host.attempt(
            [*inside, *fetch, "-k", "-X", ready.method, url], timeout_s=FETCH_S, environment={}
        )
        answered = bed.probe(server, condition, CONTROL_S) is not None
    return check_control(links, done.output.strip(), answered, str(ready.status))
