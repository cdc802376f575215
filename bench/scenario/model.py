"""What a person asks for: a scenario's TOML text becomes a validated, frozen Scenario.

Pure: text in, model out. All faults of a file are reported at once, each with its dotted field.
"""

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator

from bench.scenario.engine_source import OWN_ENGINE, EngineField
from bench.scenario.links import define_fields
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.modes.addresses import ADDRESSES, LAN
from bench.scenario.modes.catalogue import parse_mode
from bench.scenario.modes.model import Mode
from bench.scenario.sysctls import SysctlTable, SysctlText

MOST_SESSIONS = 100
MOST_ALIVE = 40
"""Containers that are alive together, a docker-proxy or two beside each that publishes a port."""

MOST_BYSTANDERS, MOST_NETWORKS = 200, 28
"""Addresses of docker0 and subnets between those of arms and Docker's own pool leave room for as many."""


class Frozen(BaseModel):
    """Immutable, and strict about names and types: a typing slip must not become a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


Parsed = TypeVar("Parsed", bound=Frozen)
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Margin = Annotated[float, Field(gt=0, lt=1)]
FIXED = "one level a run"
"""Marks a setting of load or lab that is no factor."""


class LinkSettings(Frozen):
    """What is set of the lab's links by name: fields of `scenario.links.FIELDS`."""


if not TYPE_CHECKING:
    LinkSettings = create_model("LinkSettings", __base__=LinkSettings, __module__=__name__, **define_fields())


class LabSettings(LinkSettings):
    """What the machine and the lab's hosts do during a slot."""

    hold_idle_states: bool = True
    """Keep cores awake between packets: /dev/cpu_dma_latency at 0 us, or a loop where nothing heeds it."""
    receive_steering: bool = True
    """RPS: each host pays for its own receive path, as a separate machine would."""
    engine: EngineField = Field(default=OWN_ENGINE, json_schema_extra={"default": str(OWN_ENGINE)})
    """Docker Engine of the Docker hosts: the machine's own, or that of a Debian suite."""
    userland_proxy: bool = True
    """Of the engine: a docker-proxy for every published port. Off, 127.0.0.1 is reached by DNAT too."""
    docker0_mtu: int = Field(default=0, ge=0, le=65_535)
    """Of the engine: MTU of docker0 and of its containers' links; 0: Docker's 1500."""
    firewall: Literal["machine", "nft", "legacy"] = "machine"
    """Which of the kernel's firewalls the engine writes its rules into by `iptables`; machine: as it is."""
    taps: bool = False
    """Capture every packet at each link that it passes: where the time goes, at a cost of its own. A
    condition with taps is never compared with the baseline for a verdict."""
    stamp_before_queue: bool | None = None
    """Of taps: whether a received packet is stamped before it waits in a core's queue (as Linux does by
    default) or after. None: as the machine is. The setting is the whole machine's, and is put back."""
    forward_rules: int = Field(default=0, ge=0, le=100_000)
    """Positive control: rules that every forwarded packet looks at in vain. Costs routed modes alone."""
    server_wait_us: int = Field(default=0, ge=0, le=1_000_000)
    """Positive control: us that the server waits, busy, before each response. Costs every mode alike."""
    link_mbit: int = Field(default=0, ge=0, le=1_000_000)
    """Positive control: rate of the client's link in Mbit/s towards the client; 0: no limit."""
    client_ports: int = Field(default=0, ge=0, le=64_000)
    """Positive control: ephemeral ports that the client has; 0: as many as there can be."""
    too_big_icmp: bool = True
    """Let Docker hosts tell senders that a packet was too big (ICMP "fragmentation needed", ICMPv6 "packet
    too big"). false: a rule drops it, as many a firewall does, and who sends such packets is never told."""
    upstreams: Literal["healthy", "dead-first", "refused-first", "ipv6", "ipv6-first"] = "healthy"
    """Of load.model lookup: the name servers that each container is given (`--dns`), all of the lab."""
    idle_containers: int = Field(default=0, ge=0, le=MOST_ALIVE)
    """Negative control: containers beside each slot's own that are alive and are asked nothing, of the
    scenario's modes in turn. What is asked nothing shall cost nothing."""
    bystanders: int = Field(default=0, ge=0, le=MOST_BYSTANDERS)
    """Other containers on the Docker host of the measured one, each with a published port."""
    bystander_networks: int = Field(default=0, ge=0, le=MOST_NETWORKS)
    """User-defined networks that they are in, in turn; there also without them. 0: all are on docker0."""
    bystander_rps: float = Field(default=0, ge=0, le=5_000)
    """Requests a second that they are asked, in all, by a program of its own on the client host, one after
    the other on kept-alive connections; 0: they are asked nothing."""
    sysctls: SysctlText = ""
    """Settings of every arm's network namespace, `NAME=VALUE NAME=VALUE`; of an arm without one of its own
    (host mode), those of its host's namespace, while its container lives."""
    host_sysctls: SysctlText = ""
    """Settings of every Docker host's own network namespace, for all arms."""

    @property
    def engine_options(self) -> dict[str, Any]:
        """Of daemon.json, what they ask of an engine besides what its arms' modes need."""
        asked: dict[str, Any] = {} if self.userland_proxy else {"userland-proxy": False}
        return asked | ({"mtu": self.docker0_mtu} if self.docker0_mtu else {})


USUAL_STEAL = 0.02
"""Share of the cores' time, of ticks (4 ms), so coarse for short slots (docs/decisions/0031-steal.md)."""


class Interleave(Frozen):
    """How arms take turns: the load goes from one to the next of containers that are alive together."""

    cell_ms: float = Field(default=40.0, ge=5, le=10_000)
    """Length of a turn. The arms alternate faster than a machine's speed wanders (0.3 to 12 s)."""
    settle_ms: float = Field(default=10.0, ge=0, le=1_000)
    """Of each turn, left out at its beginning: what the turn before left behind."""
    life_s: float = Field(default=0.8, gt=0, le=600)
    """Turns of each container together, in place of `load.measure_s`; then all of them are replaced."""

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.settle_ms > self.cell_ms / 2:
            raise ValueError("settle_ms: give at most half of cell_ms, or little is left to measure")
        if self.life_s * 1_000 < 2 * self.cell_ms:
            raise ValueError("life_s: give two cells or more, so that their order can be balanced")
        return self

    @property
    def rounds(self) -> int:
        """How often all take turns in some order and back again: two cells each."""
        return round(self.life_s * 1_000 / (2 * self.cell_ms))

    @property
    def settled_s(self) -> float:
        """Seconds of a container's turns that are measured."""
        return 2 * self.rounds * (self.cell_ms - self.settle_ms) / 1_000


class Schedule(Frozen):
    """How many slots there are and in what structure."""

    blocks: int = Field(default=12, ge=2, le=10_000)
    """Each holds every arm under every condition, in random order; the interval narrows with their root."""
    slots_per_arm: int = Field(default=2, ge=2, le=20)
    """Slots of every arm in a block: two or more, so that each block has its own A/A pairs."""
    sessions: int = Field(default=1, ge=1, le=MOST_SESSIONS)
    """Sessions that the blocks are divided into; the engine is restarted between two."""
    interleave: Interleave | None = None
    """Let arms take turns within sets of containers; absent: a slot is measured whole, then the next."""
    max_steal: float = Field(default=USUAL_STEAL, ge=USUAL_STEAL, le=1)
    """Share of the cores' time that the hypervisor may take away from a slot that counts. More than the usual
    0.02 scatters what is measured, and is told before the numbers."""

    @model_validator(mode="after")
    def _sessions_have_blocks(self) -> Self:
        if self.sessions > self.blocks:
            raise ValueError(f"{self.sessions} sessions need at least as many blocks, not {self.blocks}")
        return self


class Margins(Frozen):
    """Smallest ratio that matters, as a fraction (0.05: 5 %), declared before there is data."""

    if TYPE_CHECKING:

        def __init__(self, **margins: float) -> None: ...

    def of(self, metric: Metric) -> float:
        """Margin of `metric`."""
        return float(getattr(self, metric.value))


if not TYPE_CHECKING:
    # A field a metric, by the table of metrics.
    Margins = create_model(
        "Margins",
        __base__=Margins,
        __doc__=Margins.__doc__,
        __module__=__name__,
        **{
            metric.value: (Margin, Field(default=metric.about.margin, description=metric.about.describes))
            for metric in Metric
        },
    )


class Capacity(Frozen):
    """How the knee of each arm is looked for: the highest rate that it serves as `limit_ms` demands."""

    limit_ms: float = Field(default=10.0, gt=0, le=10_000)
    """Of the p99 response time. A knee is of this limit, and of no other."""
    max_error_share: float = Field(default=0.001, ge=0, lt=1)
    """Of the requests, that may fail at a rate that counts as served."""
    keep_alive: tuple[bool, ...] = Field(default=(True,), min_length=1, max_length=2)
    """Workloads: kept-alive connections, and a new one for every request."""
    resolution: float = Field(default=0.05, ge=0.01, le=0.5)
    """Relative distance of two neighbouring rates at which the search ends."""
    confirmations: int = Field(default=3, ge=1, le=21)
    """Probes of both ends of what the search found, in random order over the arms; the majority counts."""
    wrk_s: int = Field(default=2, ge=1, le=60)
    """Seconds of each of wrk's loads."""
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.3, 0.6), min_length=2)
    """Of the weakest arm's knee: rates at which all arms are then compared."""

    @model_validator(mode="after")
    def _levels_differ(self) -> Self:
        if len(set(self.keep_alive)) < len(self.keep_alive) or len(set(self.shares)) < len(self.shares):
            raise ValueError("keep_alive, shares: give different levels")
        if self.confirmations % 2 == 0:
            raise ValueError("confirmations: give an odd number, so that there is a majority")
        return self


def _known_mode(text: str) -> str:
    parse_mode(text)
    return text


def _address_of_lab(text: str) -> str:
    if text not in ADDRESSES:
        where = "in" if ip_address(text) in ip_network(LAN) else "outside"
        raise ValueError(f"{text} is {where} the lab ({LAN}), whose hosts have {' and '.join(ADDRESSES)}")
    return text


class Arm(Frozen):
    """One alternative: a network mode under a name. Arms of a scenario differ in nothing else."""

    name: Name
    """What the reports call it."""
    mode: Annotated[str, AfterValidator(_known_mode)]
    """A word of `modes.Mode`, or `container:<arm>`."""
    port: int = Field(default=80, ge=1, le=65535)
    """Of the Docker host; a container listens on 80 inside."""
    address: Annotated[str, AfterValidator(_address_of_lab)] = ADDRESSES[0]
    """Which of the Docker host's addresses serves it."""
    sysctls: SysctlTable = Field(default={})
    """Settings of its container's own network namespace, as `docker run --sysctl` takes them."""

    @property
    def kind(self) -> Mode:
        """The mode without its target."""
        return parse_mode(self.mode)[0]

    @property
    def target(self) -> str | None:
        """In `container` mode: the arm whose network is shared."""
        return parse_mode(self.mode)[1]


class Claim(Frozen):
    """A statement that the run judges: `better` outperforms `than` on `metrics`."""

    id: Name
    """What the reports call it."""
    text: str = Field(min_length=1, max_length=2000)
    """As somebody stated it; the reports quote it."""
    better: Name
    """The arm that is claimed to be better."""
    than: Name
    """The arm that it is claimed to be better than; one of the two is the baseline."""
    metrics: tuple[Metric, ...] = Field(default=PERFORMANCE, min_length=1)
    """On which it is judged: better on one of them, and worse on none."""
