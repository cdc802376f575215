"""The load of a slot: who asks, how often and over what connections."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from bench.scenario.model import FIXED, Frozen, Seconds
from bench.scenario.modes.model import Vantage

MOST_CONNECTIONS = 10_000
"""Apache has a thread for each of them (server_limits.py)."""
MOST_WORKERS = 64
MOST_CONTAINERS = 64
MOST_MORE_PORTS = 500
RAW_ENGINES = frozenset({"raw", "raw-python"})
"""Values of `load.engine` that are bench's own loop."""


def _parse_workers(value: object) -> int | str:
    if value == "cores" or (type(value) is int and 1 <= value <= MOST_WORKERS):
        return value
    raise ValueError(f'should be a whole number from 1 to {MOST_WORKERS}, or "cores"')


Workers = Annotated[
    int | Literal["cores"],
    PlainValidator(_parse_workers),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_WORKERS}, {"const": "cores"}]}
    ),
]


def _python_file_beside(text: str | None) -> str | None:
    if text is None:
        return None
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
        raise ValueError(f"{text!r} is no Python file within the scenario's folder, such as users.py")
    return text


class Load(Frozen):
    """What one slot does to its arm, the same in every arm: an HTTP load, or that containers are started."""

    engine: Literal["raw", "raw-python", "fasthttp", "http", "locustfile"] = "raw"
    """How Locust makes requests: by bench's own epoll loop (compiled, or in Python), by one of its stock
    clients, or by the users of a locustfile of one's own."""
    locustfile: Annotated[str | None, FIXED, AfterValidator(_python_file_beside)] = Field(
        default=None, max_length=200
    )
    """Of the engine of that name: the file, within the scenario's folder. What it asks for, and when, is its
    own; `connections` says how many users it has."""
    # Closed and open loops answer different questions, and are never compared.
    model: Annotated[Literal["closed", "open", "lookup", "start"], FIXED] = "closed"
    """Closed: the next request leaves when the last is answered. Open: at times drawn beforehand. Lookup: no
    HTTP, but a name, looked up inside the container by its C library, one lookup after the other. Start: no
    load; containers are created, started, timed until they answer, and removed."""
    lookup: Literal["upstream", "container"] = "upstream"
    """Of the lookup model, whose name: one that only the servers of `lab.upstreams` know, or that of the
    container itself, which Docker tells within a user-defined network."""
    family: Literal["any", "ipv4"] = "any"
    """Of the lookup model: addresses of either family (questions for A and for AAAA), or of IPv4 alone."""
    rate_rps: float | None = Field(default=None, gt=0, le=1_000_000)
    """Of the open model: arrivals a second, on the mean."""
    arrivals: Literal["poisson", "uniform"] = "poisson"
    """Of the open model; uniform: evenly spaced."""
    pacing: Annotated[Literal["spin", "sleep"], FIXED] = "spin"
    """Of the open model, how the generator waits. Spin: it looks for work all the time, on a core that is
    never idle. Sleep: as other programs do, so that CPU per request can be measured."""
    connections: int = Field(default=1, ge=1, le=MOST_CONNECTIONS)
    """That are open at a time; in an open loop more than are busy at a time."""
    keep_alive: bool = True
    """Off: a connection a request, whose handshake is part of its latency."""
    think_us: float = Field(default=0, ge=0, le=10_000)
    """Of the closed model: us from an answer to the next request of its connection. At 0, as with wrk, a
    request can meet a server that is still busy with the last one, and waits for that too."""
    tls: bool = True
    """Of a service with `service.tls`: whether it is asked by https, or at its `plain_port` by http."""
    page_bytes: Literal[1024, 65536, 1048576] = 1024
    """Of the page that is asked for."""
    warm_up_s: Annotated[Seconds, FIXED] = 0.25
    """Load before the window: kept, and not measured."""
    measure_s: Annotated[Seconds, FIXED] = 1.0
    """The window; of arms that take turns, `schedule.interleave.life_s` is in its place."""
    # Not strict: as a level of a factor it comes as a word.
    vantage: Vantage = Field(default=Vantage.CLIENT, strict=False)
    """The host that sends it, and how it names the server."""
    workers: Workers = 1
    """Processes that share a load's connections and arrivals, a core each where there are so many; `cores`:
    as many as the host that sends has. The raw engines alone share."""
    containers: int = Field(default=1, ge=1, le=MOST_CONTAINERS)
    """Of the model `start`: that are started together, as `docker run` is by several people at once."""
    more_ports: int = Field(default=0, ge=0, le=MOST_MORE_PORTS)
    """Of the model `start`: ports that each container publishes besides its own, where its mode publishes."""
    more_ports_protocol: Literal["tcp", "udp"] = "tcp"
    """Of these."""
    wrk_witness_s: Annotated[int, FIXED] = Field(default=0, ge=0, le=3600)
    """Seconds of `wrk` on the same container after the measured window; 0: no witness."""

    @property
    def is_open(self) -> bool:
        """Whether requests arrive at given times, whatever became of those before them."""
        return self.model == "open"

    @property
    def is_lookup(self) -> bool:
        """Whether what is measured are lookups of a name, and no HTTP."""
        return self.model == "lookup"

    @property
    def is_start(self) -> bool:
        """Whether starting is what is measured, and no request."""
        return self.model == "start"

    @property
    def measures_cpu(self) -> bool:
        """Whether CPU per request is measured: at a given rate, and by a generator that sleeps."""
        return self.is_open and self.pacing == "sleep"

    @property
    def by_locustfile(self) -> bool:
        """Whether requests and waits are those of a person's own locustfile, and comparable to no others."""
        return self.engine == "locustfile"

    @property
    def begin_column(self) -> Literal["intended_ns", "sent_ns"]:
        """The stamp that says whether a request is of the window, and from which its latency counts.

        In a closed loop a request is intended when the last is done: what lies between is the
        generator's own time.
        """
        return "intended_ns" if self.is_open else "sent_ns"

    def describe_requests(self) -> str:
        """`GET of 1,024 bytes`, or `requests of the locustfile users.py`, or `lookups of a name`."""
        if self.is_lookup:
            return f"lookups of {'a name' if self.lookup == 'upstream' else 'the container by its own name'}"
        if self.by_locustfile:
            return f"requests of the locustfile {self.locustfile}"
        return f"GET of {self.page_bytes:,} bytes"

    def describe_engine(self) -> str:
        """`engine raw`; of a locustfile whose clients and whose file it is; of lookups who makes them."""
        if self.is_lookup:
            return "by the container's own C library (getaddrinfo)"
        of_person = ": Locust's clients by a locustfile of the person's own" if self.by_locustfile else ""
        return f"engine {self.engine}{of_person}"

    def describe_connections(self, varied: Collection[str] = ()) -> str:
        """`1 keep-alive connection`, or `16 connections at a time, a new one for every request`, or
        `16 Locust users`; of lookups, what is asked for; or `16 containers started together`. Without the
        factors in `varied`: `keep-alive connections`, `16 connections at a time`, or nothing."""
        if self.is_lookup:
            return "" if "load.family" in varied else {"any": "A and AAAA", "ipv4": "A alone"}[self.family]
        if self.is_start:
            return self.describe_start()
        if self.by_locustfile:
            users = f"{self.connections:,} Locust user{'' if self.connections == 1 else 's'}"
            return "" if "load.connections" in varied else users
        return self._describe_http_connections(varied)

    def _describe_http_connections(self, varied: Collection[str]) -> str:
        is_fixed = "load.keep_alive" not in varied
        kept, fresh = is_fixed and self.keep_alive, is_fixed and not self.keep_alive
        if "load.connections" in varied:
            return "keep-alive connections" * kept + "a new connection for every request" * fresh
        noun = "keep-alive " * kept + "connection" + "s" * (self.connections != 1)
        number = f"{self.connections:,} {noun}"
        workers = "a worker a core" if self.workers == "cores" else f"{self.workers} workers"
        shared = f", shared by {workers}" if self.workers != 1 else ""
        return number + " at a time" * (not kept) + ", a new one for every request" * fresh + shared

    def describe_start(self, varied: Collection[str] = ()) -> str:
        """`16 containers started together, each with 99 more published ports (tcp)`; without the factors in
        `varied`."""
        together = (
            f"{self.containers} containers started together" if self.containers > 1 else "one container"
        )
        said = "containers started together" if "load.containers" in varied else together
        if not self.more_ports or "load.more_ports" in varied:
            return said
        protocol = "" if "load.more_ports_protocol" in varied else f" ({self.more_ports_protocol})"
        return f"{said}, each with {self.more_ports} more published ports{protocol}"

    def describe_loop(self, varied: Collection[str] = ()) -> str:
        """`closed loop`, or `open loop, Poisson arrivals at 3,000/s`; without the factors in `varied`."""
        if self.is_start:
            return "no load but the requests by which it is seen that they answer"
        if self.by_locustfile:
            return "closed loop with the file's own waits"
        if self.is_lookup:
            return "closed loop, one lookup after the other"
        if not self.is_open:
            thinks = self.think_us and "load.think_us" not in varied
            return f"closed loop, {self.think_us:,.12g} us of thinking" if thinks else "closed loop"
        kind = {"poisson": "Poisson arrivals", "uniform": "evenly spaced arrivals"}[self.arrivals]
        kind = "arrivals" if "load.arrivals" in varied else kind
        rate = "" if "load.rate_rps" in varied or self.rate_rps is None else f" at {self.rate_rps:,.12g}/s"
        return f"open loop, {kind}{rate}"
