"""What a person asks for: a scenario's TOML text becomes a validated, frozen Scenario.

Pure: text in, model out. All faults of a file are reported at once, each with its dotted field.
"""

import json
import re
import tomllib
from collections.abc import Collection, Iterator
from enum import StrEnum
from ipaddress import ip_address, ip_network
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import InputError
from bench.scenario.modes.catalogue import LAN, MODES, Mode, NetworkMode, Vantage, parse_mode
from bench.spelling import suggest

MAX_SCENARIO_BYTES = 1_000_000
"""A scenario is a page of text; anything larger is not one."""


OWN_ENGINE = "machine"
"""The machine's own dockerd."""
ENGINE_PATTERN = r"^(machine|debian:[a-z]{3,20})$"
ADDRESSES = ("198.18.0.100", "198.18.0.200")
"""The two addresses of the article's docker1; further Docker hosts have two of their own."""
MAX_ARMS = 50
MAX_CONDITIONS = 100
"""More combinations than this cannot be measured in a day, with any useful number of blocks."""

MOST_SESSIONS = 100
MOST_CONNECTIONS = 127
"""One fewer than Apache has threads (image/httpd.conf): with all busy, it closes kept-alive connections."""


class Metric(StrEnum):
    """The endpoints that a comparison is made on; the unit is part of the name."""

    P50_LATENCY_US = "p50_latency_us"
    P99_LATENCY_US = "p99_latency_us"
    THROUGHPUT_RPS = "throughput_rps"
    CPU_US_PER_REQUEST = "cpu_us_per_request"
    """Of all cores together, client and server; only where `Load.measures_cpu`."""

    @property
    def unit(self) -> str:
        """Unit of the value itself (not of its ratio, which has none)."""
        return "req/s" if self is Metric.THROUGHPUT_RPS else "us"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better (throughput) or less (latency, CPU)."""
        return self is Metric.THROUGHPUT_RPS

    @property
    def label(self) -> str:
        """As a person writes it."""
        return {
            "p50_latency_us": "p50 latency",
            "p99_latency_us": "p99 latency",
            "throughput_rps": "throughput",
            "cpu_us_per_request": "CPU per request",
        }[self.value]


PERFORMANCE = (Metric.P50_LATENCY_US, Metric.P99_LATENCY_US, Metric.THROUGHPUT_RPS)
"""What a claim that names no metric is about."""


class Frozen(BaseModel):
    """Immutable, and strict about names and types: a typing slip must not become a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


Parsed = TypeVar("Parsed", bound=Frozen)
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Margin = Annotated[float, Field(gt=0, lt=1)]


class Load(Frozen):
    """The HTTP load of one slot, the same in every arm."""

    engine: Literal["raw", "fasthttp", "http"] = "raw"
    """How Locust makes requests: by bench's own epoll loop, or by one of its stock clients."""
    model: Literal["closed", "open"] = "closed"
    """Closed: the next request leaves when the last is answered. Open: at times drawn beforehand."""
    rate_rps: float | None = Field(default=None, gt=0, le=1_000_000)
    """Of the open model: arrivals a second, on the mean."""
    arrivals: Literal["poisson", "uniform"] = "poisson"
    """Of the open model; uniform: evenly spaced."""
    pacing: Literal["spin", "sleep"] = "spin"
    """Of the open model, how the generator waits. Spin: it looks for work all the time, on a core that is
    never idle. Sleep: as other programs do, so that CPU per request can be measured."""
    connections: int = Field(default=1, ge=1, le=MOST_CONNECTIONS)
    """That are open at a time; in an open loop more than are busy at a time."""
    keep_alive: bool = True
    """Off: a connection a request, whose handshake is part of its latency."""
    page_bytes: Literal[1024, 65536, 1048576] = 1024
    """Of the page that is asked for."""
    warm_up_s: Seconds = 0.25
    """Load before the window: kept, and not measured."""
    measure_s: Seconds = 1.0
    """The window."""
    # Not strict: as a level of a factor it comes as a word.
    vantage: Vantage = Field(default=Vantage.CLIENT, strict=False)
    """The host that sends it, and how it names the server."""
    wrk_witness_s: int = Field(default=0, ge=0, le=3600)
    """Seconds of `wrk` on the same container after the measured window; 0: no witness."""

    @property
    def is_open(self) -> bool:
        """Whether requests arrive at given times, whatever became of those before them."""
        return self.model == "open"

    @property
    def measures_cpu(self) -> bool:
        """Whether CPU per request is measured: at a given rate, and by a generator that sleeps."""
        return self.is_open and self.pacing == "sleep"

    @property
    def begin_column(self) -> Literal["intended_ns", "sent_ns"]:
        """The stamp that says whether a request is of the window, and from which its latency counts.

        In a closed loop a request is intended when the last is done: what lies between is the
        generator's own time.
        """
        return "intended_ns" if self.is_open else "sent_ns"

    def describe_connections(self) -> str:
        """`1 keep-alive connection`, or `16 connections at a time, a new one for every request`."""
        number = f"{self.connections:,} {{}}connection{'' if self.connections == 1 else 's'}"
        if self.keep_alive:
            return number.format("keep-alive ")
        return f"{number.format('')} at a time, a new one for every request"

    def describe_loop(self, varied: Collection[str] = ()) -> str:
        """`closed loop`, or `open loop, Poisson arrivals at 3,000/s`; without the factors in `varied`."""
        if not self.is_open:
            return "closed loop"
        kind = {"poisson": "Poisson arrivals", "uniform": "evenly spaced arrivals"}[self.arrivals]
        kind = "arrivals" if "load.arrivals" in varied else kind
        rate = "" if "load.rate_rps" in varied or self.rate_rps is None else f" at {self.rate_rps:,.12g}/s"
        return f"open loop, {kind}{rate}"


class LabSettings(Frozen):
    """What the machine and the lab's hosts do during a slot."""

    hold_idle_states: bool = True
    """Hold /dev/cpu_dma_latency at 0 us, so that cores do not sleep between packets."""
    receive_steering: bool = True
    """RPS: each host pays for its own receive path, as a separate machine would."""
    engine: str = Field(default=OWN_ENGINE, pattern=ENGINE_PATTERN)
    """Docker Engine of the Docker hosts: the machine's own, or that of a Debian suite."""
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


class Schedule(Frozen):
    """How many slots there are and in what structure."""

    blocks: int = Field(default=12, ge=2, le=10_000)
    """Each holds every arm under every condition, in random order; the interval narrows with their root."""
    slots_per_arm: int = Field(default=2, ge=2, le=20)
    """Slots of every arm in a block: two or more, so that each block has its own A/A pairs."""
    sessions: int = Field(default=1, ge=1, le=MOST_SESSIONS)
    """Sessions that the blocks are divided into; the engine is restarted between two."""

    @model_validator(mode="after")
    def _sessions_have_blocks(self) -> Self:
        if self.sessions > self.blocks:
            raise ValueError(f"{self.sessions} sessions need at least as many blocks, not {self.blocks}")
        return self


class Margins(Frozen):
    """Smallest ratio that matters, as a fraction (0.05: 5 %), declared before there is data."""

    p50_latency_us: Margin = 0.05
    """Of the median latency."""
    p99_latency_us: Margin = 0.10
    """Of the latency that one request in a hundred exceeds."""
    throughput_rps: Margin = 0.05
    """Of requests a second."""
    cpu_us_per_request: Margin = 0.05
    """Of the whole machine's CPU time a request."""

    def of(self, metric: Metric) -> float:
        """Margin of `metric`."""
        return float(getattr(self, metric.value))


class Capacity(Frozen):
    """How the knee of each arm is looked for: the highest rate that it serves as `limit_ms` demands."""

    limit_ms: float = Field(default=10.0, gt=0, le=10_000)
    """Of the p99 response time. A knee is of this limit, and of no other."""
    max_error_share: float = Field(default=0.001, ge=0, lt=1)
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


FACTORS = {
    "load.arrivals",
    "load.connections",
    "load.engine",
    "load.keep_alive",
    "load.page_bytes",
    "load.rate_rps",
    "load.vantage",
    "lab.client_ports",
    "lab.engine",
    "lab.forward_rules",
    "lab.hold_idle_states",
    "lab.link_mbit",
    "lab.receive_steering",
    "lab.server_wait_us",
    "lab.stamp_before_queue",
    "lab.taps",
}
"""Settings that may take several levels in one run; every block holds every level. `load.model` is
none of them: closed and open loops answer different questions, and are never compared.
"""


class Scenario(Frozen):
    """A registered question: arms, load, schedule, margins and claims."""

    name: Name
    """Of the folder below results/."""
    question: str = Field(min_length=1, max_length=500)
    """What the run answers: the report's heading."""
    baseline: Name
    """The arm that the others are compared with; a ratio above 1 means that it is better."""
    arms: tuple[Arm, ...]
    """Network modes that are compared; they differ in nothing else."""
    load: Load = Load()
    lab: LabSettings = LabSettings()
    schedule: Schedule = Schedule()
    margins: Margins = Margins()
    factors: dict[str, tuple[Any, ...]] = {}
    """Settings that take several levels; every block holds every combination of them."""
    claims: tuple[Claim, ...] = ()
    """Statements that the run judges."""
    ladder: tuple[Name, ...] = ()
    """Arms from the lightest path to the heaviest: what each step adds is reported."""
    capacity: Capacity | None = None
    """Of a scenario for `bench capacity`: the rates of its comparison are found, not given."""
    walkthrough: bool = False
    """Try the article's statements too, before the slots."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        # All at once, as the fields' own faults are.
        faults = [
            *self._faults_of_names(),
            *self._faults_of_networks(),
            *self._faults_of_claims(),
            *self._faults_of_ladder(),
            *self._faults_of_factors(),
            *self._faults_of_loop(),
            *self._faults_of_keep_alive(),
            *self._faults_of_taps(),
            *self._faults_of_vantage(),
            *self._faults_of_capacity(),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises StopIteration where there is none."""
        return next(arm for arm in self.arms if arm.name == name)

    def network(self, arm: Arm) -> NetworkMode:
        """The mode whose network `arm` is in: its own, or that of the arm whose network it shares."""
        return MODES[self.arm(arm.target).kind if arm.target else arm.kind]

    @property
    def compared(self) -> tuple[Arm, ...]:
        """Arms that are measured against one another: all but the controls."""
        return tuple(arm for arm in self.arms if self.network(arm).reachable)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that arms are compared on. In an open loop the rate is given: both arms have it."""
        if not self.load.is_open:
            return PERFORMANCE
        latencies = (Metric.P50_LATENCY_US, Metric.P99_LATENCY_US)
        return (*latencies, Metric.CPU_US_PER_REQUEST) if self.load.measures_cpu else latencies

    @property
    def headline(self) -> Metric:
        """The metric that a short answer is about: CPU, for who measures it asks for it; or else the p50."""
        return Metric.CPU_US_PER_REQUEST if self.load.measures_cpu else Metric.P50_LATENCY_US

    def _faults_of_names(self) -> Iterator[str]:
        names = [arm.name for arm in self.arms]
        if not 2 <= len(names) <= MAX_ARMS:
            yield f"arms: give 2 to {MAX_ARMS} arms, not {len(names)}"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"arms: the name {name} is used twice"
        if self.baseline not in names:
            near = suggest(self.baseline, names)
            yield f"baseline: there is no arm {self.baseline} (the arms are {', '.join(names)}){near}"

    def _faults_of_networks(self) -> Iterator[str]:
        arms = {arm.name: arm for arm in self.arms}
        bound: dict[tuple[str, int], str] = {}
        for index, arm in enumerate(self.arms):
            place = f"arms.{index}.mode"
            if arm.target and arm.target not in arms:
                yield f"{place}: there is no arm {arm.target} whose network {arm.name} could share"
            elif arm.target and (arms[arm.target].target or arms[arm.target].kind is Mode.NATIVE):
                yield f"{place}: {arm.target} has no container of its own, whose network could be shared"
            elif arm.kind is Mode.HOST:
                other = bound.setdefault((arm.address, arm.port), arm.name)
                if other != arm.name:
                    yield (
                        f"arms.{index}.port: {other} and {arm.name} would both bind"
                        f" {arm.address}:{arm.port} in host mode; give one another port or address"
                    )
        if self._is_control(self.baseline):
            yield f"baseline: {self.baseline} is a control that nothing can reach"

    def _is_control(self, name: str) -> bool:
        """Whether `name` is an arm that nothing can reach; False for what is no proper arm at all."""
        arms = {arm.name: arm for arm in self.arms}
        arm = arms.get(name)
        network = arms.get(arm.target) if arm and arm.target else arm
        return network is not None and not MODES[network.kind].reachable

    def _faults_of_ladder(self) -> Iterator[str]:
        names = [arm.name for arm in self.arms]
        for name in self.ladder:
            if name not in names:
                yield f"ladder: there is no arm {name}{suggest(name, names)}"
            elif self._is_control(name):
                yield f"ladder: {name} is a control that nothing can reach"
        if len(self.ladder) == 1 or len(set(self.ladder)) < len(self.ladder):
            yield "ladder: give two or more different arms, from the lightest path to the heaviest"

    def _faults_of_claims(self) -> Iterator[str]:
        names = [arm.name for arm in self.arms]
        for index, claim in enumerate(self.claims):
            for role in ("better", "than"):
                if getattr(claim, role) not in names:
                    name = getattr(claim, role)
                    yield f"claims.{index}.{role}: there is no arm {name}{suggest(name, names)}"
                elif self._is_control(getattr(claim, role)):
                    yield f"claims.{index}.{role}: {getattr(claim, role)} is a control that nothing can reach"
            if not set(claim.metrics) & set(self.metrics):
                yield (
                    f"claims.{index}.metrics: none of them is compared here: throughput is the given rate"
                    " in an open loop; cpu_us_per_request needs load.model open and load.pacing sleep"
                )
            if self.baseline not in {claim.better, claim.than} or claim.better == claim.than:
                yield f"claims.{index}: compare the baseline ({self.baseline}) with another arm"

    def _faults_of_factors(self) -> Iterator[str]:
        for key, levels in self.factors.items():
            if key not in FACTORS:
                known = ", ".join(sorted(FACTORS))
                yield f"factors: {key} is not a factor (they are {known}){_suggest_factor(key)}"
            elif len(levels) < 2 or any(levels.count(level) > 1 for level in levels):
                yield f"factors.{key}: give two or more different levels"
            else:
                yield from self._faults_of_levels(key, levels)
        if prod(len(levels) for levels in self.factors.values()) > MAX_CONDITIONS:
            yield f"factors: more than {MAX_CONDITIONS} combinations of levels"
        engines = {self.load.engine, *self.factors.get("load.engine", ())}
        if self.load.wrk_witness_s and engines != {"raw"}:
            yield "load.wrk_witness_s: the witness stands beside the raw engine only"

    def _faults_of_keep_alive(self) -> Iterator[str]:
        if {self.load.keep_alive, *self.factors.get("load.keep_alive", ())} == {True}:
            return
        if {self.load.engine, *self.factors.get("load.engine", ())} != {"raw"}:
            yield "load.keep_alive: a connection a request is made by the raw engine only"

    def _faults_of_vantage(self) -> Iterator[str]:
        vantages = (self.load.vantage, *self.factors.get("load.vantage", ()))
        taps = (self.lab.taps, *self.factors.get("lab.taps", ()))
        if any(taps) and any(vantage != Vantage.CLIENT for vantage in vantages):
            yield "load.vantage: taps stand on the path from the client host"

    def _faults_of_capacity(self) -> Iterator[str]:
        if self.capacity is None:
            return
        if not self.load.is_open or self.load.rate_rps is not None:
            yield 'capacity: needs load.model = "open" without load.rate_rps, which is what it looks for'
        if self.factors:
            yield "capacity: has no factors; its workloads are capacity.keep_alive"

    def _faults_of_loop(self) -> Iterator[str]:
        """What an open loop needs and a closed one cannot have; of `[load]` and of the factors."""
        if not self.load.is_open:
            given = {
                "load.rate_rps": self.load.rate_rps,
                "load.arrivals": self.load.arrivals != "poisson",
                "load.pacing": self.load.pacing != "spin",
            }
            for key, present in given.items():
                if present:
                    yield f"{key}: is of the open model, and load.model is closed"
                if key in self.factors:
                    yield f"factors.{key}: is of the open model, and load.model is closed"
            return
        if self.capacity is None and self.load.rate_rps is None and "load.rate_rps" not in self.factors:
            yield "load.rate_rps: is missing: the open model needs the rate of its arrivals"
        if self.load.engine != "raw":
            yield f"load.engine: the open model has the raw engine only, not {self.load.engine}"
        if set(self.factors.get("load.engine", ())) - {"raw"}:
            yield "factors.load.engine: the open model has the raw engine only"
        if self.load.wrk_witness_s:
            yield "load.wrk_witness_s: wrk drives a closed loop, which is no witness of an open one"

    def _faults_of_taps(self) -> Iterator[str]:
        levels = self.factors.get("lab.taps", (self.lab.taps,))
        taps = True in levels
        stamps = {self.lab.stamp_before_queue, *self.factors.get("lab.stamp_before_queue", ())}
        if stamps != {None} and not taps:
            yield "lab.stamp_before_queue: is of taps, and lab.taps is off"
        if taps and not self.load.is_open:
            yield (
                "lab.taps: needs load.model open at a low rate: its requests carry a number by which captures"
                " find them, and a closed loop has more packets than can be captured beside it"
            )
        if taps and {self.load.keep_alive, *self.factors.get("load.keep_alive", ())} != {True}:
            yield "lab.taps: follow requests on kept-alive connections only"
        if taps and False not in levels:
            yield (
                "lab.taps: under taps nothing is compared, and this scenario has them throughout; give"
                ' the factor "lab.taps" = [false, true]'
            )

    def _faults_of_levels(self, key: str, levels: tuple[Any, ...]) -> Iterator[str]:
        table, field = key.split(".")
        setting = getattr(self, table)
        for level in levels:
            try:
                type(setting).model_validate({**setting.model_dump(), field: level})
            except ValidationError as fault:
                yield f"factors.{key}: {_describe(fault.errors(include_url=False)[0], type(setting))}"


class Condition(Frozen):
    """One combination of the factors' levels, as the settings that result from it."""

    label: str
    """Empty where a scenario has no factors."""
    load: Load
    lab: LabSettings

    @property
    def is_compared(self) -> bool:
        """Whether arms are judged under it: taps cost one arm more than another, by what they are."""
        return not self.lab.taps


def conditions(scenario: Scenario) -> tuple[Condition, ...]:
    """Every combination of the factors' levels, in the order in which the file gives them."""
    keys = list(scenario.factors)
    found = []
    for levels in product(*scenario.factors.values()):
        changed: dict[str, dict[str, Any]] = {"load": {}, "lab": {}}
        for key, level in zip(keys, levels, strict=True):
            table, field = key.split(".")
            changed[table][field] = level
        found.append(
            Condition(
                label=", ".join(
                    f"{key.split('.')[1]}={str(level).lower()}"
                    for key, level in zip(keys, levels, strict=True)
                ),
                load=Load.model_validate(scenario.load.model_dump() | changed["load"]),
                lab=LabSettings.model_validate(scenario.lab.model_dump() | changed["lab"]),
            )
        )
    return tuple(found)


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario from TOML `text`; `source` names it in messages.

    Raises InputError with every fault of the file, one line each, by dotted field.
    """
    return parse_file(Scenario, text, f"Reading the scenario {source}")


def parse_file(model: type[Parsed], text: str, doing: str) -> Parsed:
    """Read a `model` from TOML `text`. Raises InputError with every fault, by dotted field."""
    if len(text) > MAX_SCENARIO_BYTES:
        raise InputError(
            doing, f"it is larger than {MAX_SCENARIO_BYTES:,} characters", "Give a scenario file."
        )
    try:
        # By way of JSON, so that strict validation (which keeps "1" from passing as 1) still takes a
        # list for a tuple and a word for an enum's member. A date, which JSON lacks, fits no field.
        table = json.dumps(tomllib.loads(text), default=lambda date: {"a date": str(date)})
    except (ValueError, TypeError, RecursionError) as fault:
        raise InputError(
            doing, f"it is not valid TOML for a scenario ({fault})", "Correct the file and try again."
        ) from fault
    try:
        return model.model_validate_json(table)
    except ValidationError as fault:
        described = [_describe(error, model) for error in fault.errors(include_url=False)]
        faults = [line.strip() for fault_ in described for line in fault_.splitlines()]
        raise InputError(
            doing,
            f"{len(faults)} fault{'s' * (len(faults) > 1)}:\n  " + "\n  ".join(faults) + "\n",
            "Correct the file and try again; every option is described in docs/scenarios.md.",
        ) from fault


def _describe(error: Any, model: type[Frozen]) -> str:
    field = ".".join(str(part) for part in error["loc"])
    message = re.sub(r"^Value error, ", "", error["msg"])
    if error["type"] == "missing":
        message = "is missing"
    elif error["type"] == "extra_forbidden":
        message = f"is not an option here{_suggest_option(error['loc'], model)}"
    elif error["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {error['input']!r:.80}"
        if error["type"] in ("enum", "literal_error"):
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            message += suggest(str(error["input"]), known)
    return f"{field}: {message}" if field else message


TABLES: dict[str, type[Frozen]] = {
    "load": Load,
    "lab": LabSettings,
    "schedule": Schedule,
    "margins": Margins,
    "arms": Arm,
    "claims": Claim,
}
"""Tables of a scenario file, `[[arms]]` and `[[claims]]` among them, with what each may hold."""


def _suggest_option(place: tuple[int | str, ...], root: type[Frozen]) -> str:
    """The nearest option of the same table, or the same one where it belongs."""
    *table, name = place
    model = TABLES.get(str(table[0]), root) if table else root
    before = "".join(f"{part}." for part in table)
    near = suggest(f"{before}{name}", [f"{before}{field}" for field in model.model_fields])
    elsewhere = [f"{title}.{name}" for title, other in TABLES.items() if name in other.model_fields]
    if name not in model.model_fields and elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return near


def _suggest_factor(key: str) -> str:
    whole = [factor for factor in sorted(FACTORS) if factor.partition(".")[2] == key]
    return f"; did you mean {whole[0]}?" if whole else suggest(key, sorted(FACTORS))
