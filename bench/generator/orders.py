"""What a Locust user is asked to drive, and what came of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Literal

# The load path first, as in users.py.
from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.cells import Target
from bench.generator.protocol import DriveCells, Tls, Turn
from bench.generator.request_log import RequestLog
from bench.lab.hosts.readings import Reading

from gevent.event import Event  # isort: skip


@dataclass
class Order:
    """One slot's load, and what came of it. Stamps are CLOCK_MONOTONIC."""

    name: str
    """Under which Locust's own statistics list it: the arm."""
    address: str
    port: int
    asks: tuple[Ask, ...]
    connections: int
    warm_up_s: float
    measure_s: float
    users: int
    keep_alive: bool = True
    tls: Tls | None = None
    think_us: float = 0.0
    """Of a closed loop: as `Load.think_us`."""
    rate_rps: float | None = None
    """Of an open loop; None: closed."""
    arrivals: Literal["poisson", "uniform"] = "poisson"
    arrival_seed: int = 0
    """Of the arrivals, and of the order of the asks."""
    pacing: Literal["spin", "sleep"] = "spin"
    """Of an open loop."""
    watched: Sequence[str] = ()
    """Files that are read as the window opens and as it closes; of an open loop."""
    worker: int = 0
    workers: int = 1
    """Of the requests, this process takes every `workers`-th, from number `worker` on."""
    start: Callable[[], int] = time.monotonic_ns
    """Called when the connections are open: when the warm-up begins. May wait; raises OSError."""
    readings: list[Reading] = field(default_factory=list)
    log: RequestLog = field(default_factory=RequestLog)
    window_start_ns: int = 0
    window_end_ns: int = 0
    opened: int = 0
    """Connections opened, reconnects included; as far as the engine shows them."""
    spun_ns: int = 0
    """Time in which an open loop looked in vain for something to do, on the core all the while."""
    without_port: int = 0
    """Connections for which the client had no port left."""
    handshakes: tuple[int, int] = (0, 0)
    """Those of TLS, and how many of them were resumed."""
    connected: int | None = None
    """Connections with which the load began; None of an engine that does not show it."""
    loop: str = ""
    """Which loop drove it, and why where it is not the compiled one; of the raw engines."""
    core_busy: dict[int, float] = field(default_factory=dict)
    """Core -> busy share, from the warm-up's begin to the window's end; of the raw engine."""
    finished: Event = field(default_factory=Event)
    failure: str = ""
    locustfile: str | None = None
    """Of the engine of that name: the file."""
    cpu_share: float | None = None
    """Busy share of the generator's core over warm-up and window, of a user that is not done with them."""

    def __post_init__(self) -> None:
        self.mix = Mix(self.asks, self.arrival_seed, self.worker, self.workers)
        """The asks in the order in which this process sends them."""
        self.turns = cycle(self.mix.order().tolist())
        """Whose turn it is, of all of Locust's own clients together."""

    def begin(self) -> None:
        """Fix the window: it opens after the warm-up, whose requests are kept as well.

        Raises OSError where it has opened already.
        """
        self.window_start_ns = self.start() + round(self.warm_up_s * 1e9)
        if (late_ns := time.monotonic_ns() - self.window_start_ns) > 0:
            raise OSError(f"the window had been open for {late_ns / 1e6:.1f} ms when the load could begin")
        self.window_end_ns = self.window_start_ns + round(self.measure_s * 1e9)


@dataclass
class CellsOrder:
    """Servers that take turns, and what came of it."""

    asked: DriveCells
    targets: Sequence[Target]
    go_home: Callable[[], None]
    """Has this thread send from where it sent before."""
    loop: str = ""
    """As an `Order`'s."""
    turns: list[Turn] = field(default_factory=list)
    core_busy: dict[int, float] = field(default_factory=dict)
    users: int = 1
    finished: Event = field(default_factory=Event)
    failure: str = ""
