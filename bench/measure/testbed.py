"""Everything that stands while slots are measured: the lab, its engines, the image, the generator."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from bench.generator.ask import Ask
from bench.generator.asks import page_asks
from bench.generator.client import Generator
from bench.generator.protocol import Tls
from bench.lab.hosts.host import Endpoint, Hosts
from bench.lab.hosts.lab import Lab
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.idle_states import IdleStates
from bench.lab.instruments.watch import Watch, hold_all, sum_up
from bench.lab.servers.engine import Engine
from bench.lab.servers.engine_failures import describe_dead
from bench.lab.servers.image import Image
from bench.lab.servers.sender import standing_sender
from bench.lab.servers.server import Server, serve
from bench.lab.servers.site import Provided, Site
from bench.measure import settings
from bench.measure.asks import ask_of
from bench.measure.bystanders import Bystanders, Ground
from bench.measure.provision import Images
from bench.scenario.conditions import Condition
from bench.scenario.given_sysctls import sysctls_of
from bench.scenario.load import Load
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.model import Vantage
from bench.scenario.names import UPSTREAMS
from bench.scenario.placement import DockerHost, docker_host_of, docker_hosts, peer_of
from bench.scenario.requests import Request, page_of
from bench.scenario.scenario import Scenario
from bench.scenario.server_limits import limit_server
from bench.scenario.service import APACHE_WORD

CONTROL_S = 0.3
"""How long a control is asked in vain."""


@dataclass
class Bed:
    """Living hosts, engines and generator, and what could not be had."""

    scenario: Scenario
    lab: Hosts
    engines: dict[str, Engine]
    """By Docker host; without those that cannot be had."""
    missing: dict[str, str]
    """Docker host -> why its engine cannot be had."""
    images: Images
    provided: Mapping[str, Provided]
    """By Docker host: what is served, as its engine has it."""
    generator: Generator
    watches: dict[str, Watch]
    """Of each machine that it is on, by name."""
    asked: tuple[Ask, ...] = ()
    """Of a service of a person's own, its requests."""
    trusted: Tls | None = None
    """By what a service that is asked by https is trusted."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Arm -> why it cannot be had here, of those that need no trying."""
    arranged: LabSettings | None = field(default=None)
    """The settings that the hosts have now; None before they were set."""
    bystanders: Bystanders = field(default_factory=Bystanders)
    """Containers that stand beside those of slots."""

    @property
    def image(self) -> Image:
        """That every arm runs."""
        return self.images.service

    @property
    def places(self) -> tuple[DockerHost, ...]:
        """Every Docker host that was asked for, whether it could be had or not."""
        return docker_hosts(self.scenario)

    def place(self, arm: Arm, condition: Condition) -> DockerHost:
        """The Docker host of `arm` under `condition`."""
        return docker_host_of(self.scenario, arm, condition)

    def site(self, arm: Arm, condition: Condition) -> Site:
        """Where `arm` is put under `condition`."""
        place = self.place(arm, condition)
        peer = self._peer(place, condition)
        provided = self.provided[place.name]
        return Site(
            self.engines[place.name],
            self.lab.client,
            place,
            replace(provided, service=provided.service.asked_by(condition.load)),
            condition.load.vantage,
            limit_server(self.scenario),
            UPSTREAMS[condition.lab.upstreams].servers if condition.load.is_lookup else (),
            condition.lab.server_wait_us,
            sysctls=sysctls_of(self.scenario, arm, condition.lab),
            peer=self.engines[peer.name] if peer else None,
        )

    def _peer(self, place: DockerHost, condition: Condition) -> DockerHost | None:
        """From which `place` is asked under `condition`, where a peer asks."""
        return peer_of(self.scenario, place) if condition.load.vantage is Vantage.PEER else None

    def find_missing(self, place: DockerHost, condition: Condition) -> str | None:
        """Why an engine cannot be had that a server on `place` needs; None where all can."""
        needed = filter(None, (place, self._peer(place, condition)))
        return next((self.missing[host.name] for host in needed if host.name in self.missing), None)

    @contextmanager
    def serve(self, arm: Arm, condition: Condition, name: str) -> Iterator[Server]:
        """A server in the arm's mode, under `name`, and the generator where the load on it comes from."""
        network, site = self.scenario.network(arm), self.site(arm, condition)
        if standing := standing_sender(site, network):
            self.generator.send_from(standing)
        port, shared = self.scenario.port(arm, condition.load), arm.target is not None
        with serve(site, arm, network, name, port=port, shared=shared) as server:
            self.generator.send_from(server.sender)
            try:
                yield server
            finally:
                if not standing:  # A container's network ends when nothing is in it.
                    self.generator.send_from(self.lab.client)

    def tls(self, load: Load) -> Tls | None:
        """By which `load` asks; None: by http."""
        return self.trusted if load.tls else None

    def asks(self, load: Load) -> tuple[Ask, ...]:
        """What a load asks for."""
        return self.asked or page_asks(load)

    def ready(self, condition: Condition) -> Request:
        """By whose answers it is known that a server serves."""
        ready = self.scenario.served.ready
        if ready.path is not None:
            return Request(path=ready.path, status=ready.status)
        if not condition.lab.too_big_icmp and self.scenario.service is None:
            return Request(
                path=APACHE_WORD, status=404
            )  # It fits into a packet. A page may stall, and be told.
        usual = page_of(condition.load) if self.scenario.service is None else Request()
        return self.scenario.asked[0] if self.scenario.asked else usual

    def probe(self, server: Server, condition: Condition, timeout_s: float) -> int | None:
        """CLOCK_MONOTONIC ns of the first of three right answers in a row; None if none came in time."""
        ask = ask_of(self.ready(condition), None)
        return self.generator.first_200_ns(
            server.endpoint, ask, timeout_s, server.secret, self.tls(condition.load)
        )

    def arrange(self, wanted: LabSettings) -> None:
        """Set what a slot wants of the hosts, where it is not set so already."""
        assert isinstance(self.lab, Lab)
        settings.arrange(self.lab, wanted, self.arranged)
        self.arranged = wanted
        here = [place for place in self.places if place.name in self.engines]
        grounds = [
            Ground(place, self.engines[place.name], self.provided[place.name])
            for place in here
            if place.engine == wanted.engine
        ]
        self.bystanders.arrange(wanted, self.lab.client, grounds)

    @property
    def is_sender_tapped(self) -> bool:
        """Whether the sender's link has a tap too: it is of the Docker host's kernel."""
        return True

    def find_tap_cores(self) -> str:
        """Cores for what captures: where the server's are not."""
        return self.lab.client.cpus

    def hold_idle_states(self, condition: Condition) -> AbstractContextManager[IdleStates]:
        """Keep the cores of every machine awake for the duration where `condition` wants it; yields what they
        do. Where CPU is measured, not by a loop: what interrupts it would seem to be the loop's.
        """
        if not condition.lab.hold_idle_states:
            return nullcontext(IdleStates.FREE)
        return hold_all(self.watches.values(), by_loop=not condition.load.measures_cpu)

    def begin_activity(self) -> None:
        """Look from here on at what else runs."""
        for watch in self.watches.values():
            watch.begin_activity()

    def end_activity(self) -> Activity:
        """What else ran since, on all machines."""
        return sum_up({name: watch.end_activity() for name, watch in self.watches.items()})

    def time_fixed_work(self) -> float:
        """Microseconds of a fixed loop on the slowest core of all machines."""
        return max(watch.time_fixed_work() for watch in self.watches.values())

    def explain_silence(self, endpoint: Endpoint) -> str:  # noqa: ARG002 - the lab's ways are its own
        """What is known of why no answer of `endpoint` came; it begins with `; `, or is empty."""
        return ""

    def describe_dead_engines(self) -> str:
        """Each engine that ended by itself, with its last words; empty while all live."""
        return describe_dead(self.engines)

    def revive(self) -> list[str]:
        """Have again what ended by itself: engines, workers; returns a line for each."""
        dead = [name for name, living in self.engines.items() if not living.is_alive]
        if dead:
            self.bystanders.close()
        for name in dead:
            self.engines[name].start()
        return [f"engine: {name}'s had ended, and is started again" for name in dead]

    def restart_engines(self) -> None:
        """A new session."""
        self.bystanders.close()
        for living in self.engines.values():
            living.restart()
