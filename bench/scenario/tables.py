"""The tables of a scenario file, each right by itself; what does not go together is in `contradictions`."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bench.scenario.load import Load
from bench.scenario.metric import Metric, compared_metrics
from bench.scenario.model import Arm, Capacity, Claim, Frozen, LabSettings, Margins, Name, Schedule
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import NetworkMode
from bench.scenario.requests import MOST_REQUESTS, Request
from bench.scenario.service import APACHE, Companion, Container, Service


def _single_values(levels: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(isinstance(level, list | tuple | dict) for level in levels):
        raise ValueError("a level is one value (a text, a number, true or false), not a list or a table")
    return levels


class Tables(Frozen):
    """A registered question as it was given."""

    name: Name
    """Of the folder below results/."""
    question: str = Field(min_length=1, max_length=500)
    """What the run answers: the report's heading."""
    baseline: Name
    """The arm that the others are compared with; a ratio above 1 means that it is better."""
    arms: tuple[Arm, ...]
    """Network modes that are compared; they differ in nothing else."""
    service: Service | None = None
    """What serves, in every arm the same; absent: bench's own Apache with its pages."""
    requests: Annotated[tuple[Request, ...], Field(max_length=MOST_REQUESTS)] = ()
    """What the load asks for; absent: the page of load.page_bytes, or `/` of a service of one's own."""
    companions: tuple[Companion, ...] = ()
    """What the service needs beside it, in every arm."""
    load: Load = Load()
    lab: LabSettings = LabSettings()
    schedule: Schedule = Schedule()
    margins: Margins = Margins()
    factors: dict[str, Annotated[tuple[Any, ...], AfterValidator(_single_values)]] = Field(default={})
    """Settings that take several levels; every block holds every combination of them."""
    claims: tuple[Claim, ...] = ()
    """Statements that the run judges."""
    ladder: tuple[Name, ...] = ()
    """Arms from the lightest path to the heaviest: what each step adds is reported."""
    capacity: Capacity | None = None
    """Of a scenario for `bench capacity`: the rates of its comparison are found, not given."""
    walkthrough: bool = False
    """Try the article's statements too, before the slots."""

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises StopIteration where there is none."""
        return next(arm for arm in self.arms if arm.name == name)

    def network(self, arm: Arm) -> NetworkMode:
        """The mode whose network `arm` is in: its own, or that of the arm whose network it shares."""
        return MODES[self.arm(arm.target).kind if arm.target else arm.kind]

    @property
    def served(self) -> Service:
        """What serves."""
        return self.service or APACHE

    def port(self, arm: Arm, load: Load) -> int:
        """At which `arm` is served to `load`: a service that cannot be told where to listen has its own port
        on its host."""
        return self.served.asked_by(load).port if self.is_fixed(arm) else arm.port

    def is_fixed(self, arm: Arm) -> bool:
        """Whether `arm` shares its host's ports with a service that cannot be told where to listen."""
        return self.network(arm).in_host_network and not self.served.moves

    def is_single(self, arm: Arm) -> bool:
        """Whether only one container of `arm` can be alive at a time."""
        return bool(self.network(arm).holds) or self.is_fixed(arm)

    def repeats(self, arm: Arm) -> int:
        """Slots of `arm` in a block under a condition. Where arms take turns, a mode of which only one
        container can be alive has one."""
        known = arm.target is None or any(other.name == arm.target for other in self.arms)
        alone = self.schedule.interleave and known and self.is_single(arm)
        return 1 if alone else self.schedule.slots_per_arm

    @property
    def asked(self) -> tuple[Request, ...]:
        """What the load asks for, where it is neither the built-in service's page nor a locustfile's."""
        if self.service is None or self.load.by_locustfile:
            return ()
        return self.requests or (Request(),)

    @property
    def own_containers(self) -> tuple[Container, ...]:
        """The service of a person's own and its companions; none where the built-in one serves."""
        return (self.service, *self.companions) if self.service else ()

    @property
    def compared(self) -> tuple[Arm, ...]:
        """Arms that are measured against one another: all but the controls."""
        return tuple(arm for arm in self.arms if self.network(arm).reachable)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that arms are compared on."""
        return compared_metrics(self.load)

    @property
    def leading(self) -> Metric:
        """The metric that every slot gives, and the steadiest: precision, splits, steps and changes are told
        of it. A request's median; of containers that are started, the first answer."""
        return Metric.FIRST_ANSWER_MS if self.load.is_start else Metric.P50_LATENCY_US

    @property
    def headline(self) -> Metric:
        """The metric that a short answer is about: CPU, for who measures it asks for it; or else the leading
        one."""
        return Metric.CPU_US_PER_REQUEST if self.load.measures_cpu else self.leading

    def is_control(self, name: str) -> bool:
        """Whether `name` is an arm that nothing can reach; False for what is no proper arm at all."""
        arms = {arm.name: arm for arm in self.arms}
        arm = arms.get(name)
        network = arms.get(arm.target) if arm and arm.target else arm
        return network is not None and not MODES[network.kind].reachable
