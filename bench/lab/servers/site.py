"""Where an arm is put, and what is served there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.lab.hosts.host import Host
from bench.lab.servers.engine import Engine
from bench.scenario.modes.model import Vantage
from bench.scenario.placement import DockerHost
from bench.scenario.server_limits import USUAL_LIMITS, ServerLimits
from bench.scenario.service import Companion, Service


@dataclass(frozen=True)
class Provided:
    """What is served, as one engine has it."""

    service: Service
    image_id: str
    stand_in_id: str
    """Of the built-in image, for a container whose network is shared: it has a program that does nothing."""
    files: Mapping[str, str] = field(default_factory=dict)
    """A file or folder of the scenario's, or of the run's -> where it is on the Docker host."""
    companions: tuple[tuple[Companion, str], ...] = ()
    """Each with its image's id."""


@dataclass(frozen=True)
class Site:
    """Where an arm is put: its Docker host's engine, and the client that shall reach it."""

    engine: Engine
    client: Host
    place: DockerHost
    provided: Provided
    vantage: Vantage = Vantage.CLIENT
    """From where the arm shall be reached."""
    limits: ServerLimits = USUAL_LIMITS
    """Of the server: the same wherever it is put."""
    dns: tuple[str, ...] = ()
    """Name servers that its containers are given; none: as the engine has them."""
    wait_us: int = 0
    """Positive control: microseconds that the built-in server waits, busy, before each response."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Settings of the network namespace that the server is in."""
    peer: Engine | None = None
    """Of the Docker host from which containers ask it; None where none do."""
