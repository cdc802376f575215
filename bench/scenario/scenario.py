"""A scenario whole: its tables, and what of them does not go together."""

from collections.abc import Iterator
from math import prod
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from bench.scenario.interleaving import faults_of_interleaving
from bench.scenario.messages import describe_fault, suggest_factor
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.model import (
    FACTORS,
    Arm,
    Capacity,
    Claim,
    Frozen,
    LabSettings,
    Load,
    Margins,
    Name,
    Schedule,
)
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, NetworkMode, Vantage
from bench.spelling import suggest

MAX_ARMS = 50
MAX_CONDITIONS = 100
"""More combinations than this cannot be measured in a day, with any useful number of blocks."""


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
    factors: dict[str, tuple[Any, ...]] = Field(default={})
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
            *faults_of_interleaving(self),
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

    def repeats(self, arm: Arm) -> int:
        """Slots of `arm` in a block under a condition. Where arms take turns, a mode of which only one
        container can be alive has one."""
        alone = self.schedule.interleave and self.network(arm).holds
        return 1 if alone else self.schedule.slots_per_arm

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
                yield f"factors: {key} is not a factor (they are {known}){suggest_factor(key)}"
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
                yield f"factors.{key}: {describe_fault(fault.errors(include_url=False)[0], type(setting))}"
