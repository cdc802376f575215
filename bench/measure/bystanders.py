"""Bystanders: other containers on the Docker host of the measured one, with the rules and the proxies that
Docker gives them, and traffic of their own where they are asked for any.

They live as long as slots ask for the same of them: forty-seven take many seconds to start.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.generator import bystander_traffic
from bench.lab.hosts.host import Host, Program
from bench.lab.servers.containers import container_options, create_container, create_network, start_container
from bench.lab.servers.engine import Engine
from bench.lab.servers.site import Provided
from bench.scenario.model import LabSettings
from bench.scenario.modes.addresses import bystander_network
from bench.scenario.modes.model import DockerNetwork
from bench.scenario.placement import DockerHost
from bench.scenario.service import APACHE

FIRST_PORT = 9101
"""Of the first one, on every address of its host, as `-p PORT:80` publishes it; and so on."""
MEANWHILE = ["/bin/sleep", "infinity"]
"""What one without traffic runs: its rules and its ports are what there is of it."""
LIMITS = {"threads": "4", "workers": "8", "backlog": "511"}
"""Of a bystander's Apache, which is asked by one client."""
TRAFFIC_S = 7_200
"""The longest that one program of traffic goes on: more than any condition's slots take together."""
COUNTED = "bystanders.done"


@dataclass(frozen=True)
class Beside:
    """What stands beside the measured container."""

    count: int
    networks: int
    rps: float

    @classmethod
    def of(cls, lab: LabSettings) -> "Beside":
        """Of the settings of a slot."""
        return cls(lab.bystanders, lab.bystander_networks, lab.bystander_rps if lab.bystanders else 0)


@dataclass(frozen=True)
class Ground:
    """A Docker host that they stand on."""

    place: DockerHost
    engine: Engine
    provided: Provided


@dataclass
class Bystanders:
    """Those that live now, on every Docker host of an engine."""

    now: tuple[Beside, str] | None = None
    alive: ExitStack = field(default_factory=ExitStack)
    traffic: Program | None = None
    begun_s: float = 0.0

    def arrange(self, lab: LabSettings, client: Host, grounds: Sequence[Ground]) -> None:
        """Have those that `lab` asks for on each of `grounds`. Raises MeasurementInvalid where Docker
        refuses."""
        wanted = Beside.of(lab), ",".join(ground.place.name for ground in grounds)
        if wanted == self.now and (self.traffic is None or self.traffic.is_alive):
            return
        self.close()
        beside, servers = wanted[0], list[str]()
        for ground in grounds:
            self.alive.enter_context(_stand(beside, ground.engine, ground.provided))
            address = ground.place.addresses[0]
            servers += [f"{address}:{FIRST_PORT + number}" for number in range(beside.count)]
        if beside.rps and servers:
            client.put(f"{client.scratch}/{COUNTED}", [b"0"])
            words = [f"{beside.rps:g}", f"{TRAFFIC_S}", f"{client.scratch}/{COUNTED}", *servers]
            argv = [sys.executable, bystander_traffic.__file__, *words]
            self.traffic, self.begun_s = client.start(argv, "bystanders"), time.monotonic()
            self.alive.callback(self.traffic.stop)
        self.now = wanted

    def close(self) -> None:
        """Take all of them away. What is gone, with an engine perhaps, needs no taking away."""
        self.now, self.traffic = None, None
        self.alive.close()
        self.alive = ExitStack()

    def describe(self, client: Host) -> dict[str, str]:
        """For the evidence of a slot; nothing where there are none."""
        if self.now is None or not (self.now[0].count or self.now[0].networks):
            return {}
        beside = self.now[0]
        where = f"in {beside.networks} networks" if beside.networks else "on docker0"
        said = f"{beside.count} containers with a published port, {where}"
        if self.traffic is None:
            return {"bystanders": f"{said}; asked nothing"}
        done = int("".join(client.read(f"{client.scratch}/{COUNTED}").values()) or 0)
        rate = done / (time.monotonic() - self.begun_s)
        ended = "" if self.traffic.is_alive else f"; it ended: {self.traffic.words()}"
        return {"bystanders": f"{said}; {rate:,.0f} requests/s of {beside.rps:g} asked for{ended}"}


@contextmanager
def _stand(beside: Beside, engine: Engine, provided: Provided) -> Iterator[None]:
    """The networks and containers of one engine."""
    with ExitStack() as alive:
        names = [f"bench-bystanders-{number}" for number in range(beside.networks)]
        for number, name in enumerate(names):
            network = DockerNetwork("bridge", bystander_network(number))
            alive.enter_context(create_network(engine, name, network))
        options: dict[str, Any] = {"command": MEANWHILE}
        if beside.rps:
            everywhere = {"listen": "0.0.0.0:80", "word": "bystander", **LIMITS}
            options = container_options(APACHE, everywhere, {})
        for number in range(beside.count):
            joined = {"network": names[number % len(names)]} if names else {"network_mode": "bridge"}
            published = {"ports": {"80/tcp": FIRST_PORT + number}}
            doing = f"Starting bystander {number + 1} of {beside.count}"
            container = alive.enter_context(
                create_container(
                    engine,
                    doing,
                    f"bench-bystander-{number}",
                    provided.stand_in_id,
                    {**options, **joined, **published},
                )
            )
            start_container(container, doing)
        yield
