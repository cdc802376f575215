"""What controller and load generator say to one another: an order a line, an answer a line, JSON, in turn.

Typed at both ends, and without anything that only one machine could understand but names of files,
which are of the generator's.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.generator.ask import Ask
from bench.generator.locust_report import Report
from bench.generator.membership import Gather
from bench.generator.message import Message
from bench.lab.hosts.readings import Reading
from bench.scenario.service import Secret


class Tls(Message):
    """How a load's connections are encrypted."""

    ca: str
    """Certificates in PEM that are trusted, and no others."""
    server_name: str
    """Which the server's certificate is to have, and which it is asked for."""
    resume: bool
    """Whether a connection goes on with the session of one before it, where the server lets it."""


class Entered(Message):
    """The answer to `Enter`."""

    network: str


class Enter(Message):
    """Send from another network from here on: sockets stay in the one in which they were made."""

    do: Literal["enter"] = "enter"
    network: str
    """The file of its namespace."""


class Probed(Message):
    """The answer to `Probe`. Stamps are the generator's CLOCK_MONOTONIC."""

    first_200_ns: int
    """Of the first of three such answers in a row; 0: none came in time."""
    attempts: int
    failure: str = ""
    """Why nobody could ask; empty where somebody did."""


class Probe(Message):
    """Wait until three requests in a row, a connection each, have the answer that `ask` is to have. A server
    with a `secret` is asked for that first, and for nothing more once somebody says another.
    """

    do: Literal["probe"] = "probe"
    address: str
    port: int
    ask: Ask
    tls: Tls | None = None
    timeout_s: float
    secret: Secret | None = None


class AwaitedAll(Message):
    """The answer to `AwaitAll`. Stamps are the generator's CLOCK_MONOTONIC."""

    first_ns: tuple[int, ...]
    """Of each server, by its number: of the first of three right answers in a row; 0: none came."""
    failure: str = ""
    """Why nobody could ask; empty where somebody did."""


class AwaitAll(Message):
    """Wait for several servers at once, as `Probe` does for one. None is asked before the FIFO `news` says
    where it is: a line `NUMBER ADDRESS PORT` each; a line `stop` ends it all."""

    do: Literal["await all"] = "await all"
    count: int = Field(ge=1)
    ask: Ask
    timeout_s: float
    news: str


class Fetched(Message):
    """The answer to `Fetch`: one whole answer of the server's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """Decoded of chunks, and of nothing else."""
    failure: str = ""
    """Why there is none; empty where there is."""


class Fetch(Message):
    """Ask the server once, on a connection of its own, and hand over the whole answer."""

    do: Literal["fetch"] = "fetch"
    address: str
    port: int
    ask: Ask
    tls: Tls | None = None


class Proved(Message):
    """The answer to `Prove`."""

    stranger: str
    """Who answers there instead; empty where the server is the one that was meant."""
    failure: str = ""
    """Why not everybody could ask."""


class Prove(Message):
    """Ask the server for its word, from everywhere that load comes from."""

    do: Literal["prove"] = "prove"
    address: str
    port: int
    secret: Secret


class Records(Message):
    """A file of the generator's that holds requests, as their loop recorded them."""

    path: str
    connections: int
    """Of the load, those whose requests these are; numbered from 0 in each file."""
    clock_offset_ns: int = 0
    """To be added to the stamps of a worker with a clock of its own, so that they are the generator's."""
    clock_error_ns: int = 0
    """By which that may be wrong: half of the round trip in which the clocks were compared."""


class Driven(Message):
    """The answer to `Drive`; of several workers, their sum. Stamps are the generator's CLOCK_MONOTONIC."""

    parts: list[Records]
    """A worker's each."""
    window_start_ns: int
    window_end_ns: int
    opened: int
    """Connections opened, reconnects included."""
    without_port: int
    """Connections for which the client had no port left."""
    handshakes: int = 0
    """Of TLS."""
    resumed: int = 0
    """Of them, those that went on with an earlier session."""
    core_busy: dict[int, float]
    """Core -> its busy share, from the warm-up's begin to the window's end."""
    cpu_share: float
    """Busy share of the generator's core over the load; looking out for an arrival is not counted."""
    locust_requests: int
    """Locust's own count of the same load."""
    readings: list[Reading]
    """Of the watched files, as the window opened and as it closed; empty where none were watched."""
    connected: int | None
    """Connections with which the load began; None of an engine that does not show it."""
    loop: str
    """Which loop drove it: `compiled`, or `Python` and why; of a locustfile its name and digest; empty of
    another engine of Locust's."""
    failure: str
    """Why there was no load; empty where there was."""

    @classmethod
    def failed(cls, failure: str) -> "Driven":
        """There was no load."""
        return cls(
            parts=[],
            window_start_ns=0,
            window_end_ns=0,
            opened=0,
            without_port=0,
            core_busy={},
            cpu_share=0.0,
            locust_requests=0,
            readings=[],
            connected=None,
            loop="",
            failure=failure,
        )


class Drive(Message):
    """Drive one window's load, its warm-up included; the records go to files named after `output`, raw."""

    do: Literal["drive"] = "drive"
    engine: str
    name: str
    """Under which Locust's own statistics list it: the arm."""
    address: str
    port: int
    asks: tuple[Ask, ...] = Field(min_length=1)
    tls: Tls | None = None
    connections: int
    keep_alive: bool
    think_us: float
    warm_up_s: float
    measure_s: float
    rate_rps: float | None
    """Of an open loop; None: closed."""
    arrivals: Literal["poisson", "uniform"]
    arrival_seed: int
    """Of the arrivals, and of the order of the asks."""
    pacing: Literal["spin", "sleep"]
    watched: tuple[str, ...]
    """Files that are read as the window opens and as it closes; of an open loop."""
    output: str
    locustfile: str | None = None
    """The engine `locustfile`'s own: a file of the generator's host."""
    workers: int = 1
    """Processes that share the connections and the arrivals."""
    worker: int = 0
    """Of these, the one that the order is for; `connections` are its own then."""


class Turn(Message):
    """One cell. Stamps are the generator's CLOCK_MONOTONIC."""

    target: int
    """Index into the order's targets."""
    start_ns: int
    settled_ns: int
    """From here on it counts."""
    end_ns: int
    """Nothing is sent after; what was in flight ended before the next turn."""


class DrivenTarget(Message):
    """What one target's turns were."""

    connected: int
    """Connections with which they began."""
    opened: int
    """Connections opened, reconnects included."""
    without_port: int
    handshakes: int = 0
    resumed: int = 0
    """As in `Driven`."""
    cpu_share: float
    """Busy share of the generator's core in the target's turns."""
    locust_requests: int
    """Locust's own count of them."""


class DrivenCells(Message):
    """The answer to `DriveCells`."""

    turns: list[Turn]
    targets: list[DrivenTarget]
    core_busy: dict[int, float]
    """Core -> its busy share, from the first warm-up's begin to the last cell's end."""
    loop: str
    """As in `Driven`."""
    clock_offset_ns: int = 0
    """To be added to the stamps of the records, which are of a worker with a clock of its own."""
    clock_error_ns: int = 0
    failure: str
    """Why there was no load; empty where there was."""


class Target(Message):
    """A server that takes turns with others."""

    name: str
    """Under which Locust's own statistics list it: the arm."""
    network: str
    """The file of the namespace from which the load on it comes."""
    address: str
    port: int
    output: str
    """Its records go to this file, raw."""


class DriveCells(Message):
    """Drive one load after another, a cell each, on connections that stay open (closed loop)."""

    do: Literal["drive cells"] = "drive cells"
    engine: str
    """One of the raw ones."""
    targets: tuple[Target, ...]
    cells: tuple[int, ...]
    """Whose turn it is: indexes into `targets`."""
    asks: tuple[Ask, ...] = Field(min_length=1)
    arrival_seed: int
    """Of the order of the asks, which is the same for each target."""
    tls: Tls | None = None
    connections: int
    """To each target."""
    keep_alive: bool
    think_us: float
    warm_up_ns: int
    """Of each target, alone."""
    cell_ns: int
    settle_ns: int
    """Of each cell, at its begin, that does not count."""


Order = Enter | Probe | AwaitAll | Fetch | Prove | Gather | Drive | DriveCells | Report
ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="do")])
"""Reads an order's line: `ORDERS.validate_json(line)`."""
