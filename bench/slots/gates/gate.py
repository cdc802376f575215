"""What a slot must show to count: each gate holds the number that was seen and its limit.

A slot that fails a gate is INVALID and says why; it stays in the run and in the report.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from bench.scenario.metric import Voids
from bench.scenario.modes.footprint import Counter
from bench.stored import Stored


class Demand(StrEnum):
    """What a gate asks of the number that it sees, against its limit; the end of its `unit`."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    EXACTLY = "exactly"
    ONE_A_CONNECTION = "exactly (one a new connection)"
    TWO_A_CONNECTION = "exactly (two a new connection)"
    TWO_A_REQUEST = "at least (two a request)"
    NOT_ON_PATH = "at most (not on this path)"

    def is_met(self, seen: float, limit: float, within: float = 0.0) -> bool:
        """Whether `seen` does as asked, or misses it by no more than `within`."""
        if self in (Demand.AT_LEAST, Demand.TWO_A_REQUEST):
            return seen >= limit - within
        if self in (Demand.AT_MOST, Demand.NOT_ON_PATH):
            return seen <= limit + within
        return abs(seen - limit) <= within


class Blame(StrEnum):
    """What a failed gate says of a server that was asked for more than it may be able to serve."""

    OVERLOAD = "the server had too much to do"
    CLIENT = "the client had nothing left to send from"
    OTHER_SUBJECT = "what ran was not the arm"
    PATH = "the traffic did not go as declared"
    DISTURBED = "somebody else was busy, or nothing was measured"


class GateKind(StrEnum):
    """Every gate, by the name under which it is stored; with what it demands where that is fixed."""

    ANSWERED = "answered", Blame.DISTURBED
    """The one gate of a slot that never came to its load."""

    REQUESTS = "requests", Blame.OVERLOAD, Demand.AT_LEAST
    ERRORS = "errors", Blame.OVERLOAD, Demand.AT_MOST
    STALLS = "stalls", Blame.OVERLOAD, Demand.AT_MOST
    GENERATOR = "generator", Blame.OVERLOAD, Demand.AT_MOST, 4
    ACHIEVED = "achieved", Blame.OVERLOAD, Demand.AT_LEAST, 4
    LATENESS_MEDIAN = "generator lateness, median", Blame.OVERLOAD, Demand.AT_MOST, 1
    LATENESS = "generator lateness", Blame.OVERLOAD, Demand.AT_MOST, 1
    CONNECTIONS = "connections", Blame.OVERLOAD, Demand.EXACTLY
    PORTS_FOUND = "ports found", Blame.CLIENT, Demand.AT_MOST

    IDLE_BASELINE = "idle baseline", Blame.DISTURBED, Demand.AT_MOST, 4
    QUIET_CORES = "quiet cores", Blame.DISTURBED, Demand.AT_MOST, 4
    NEW_PROCESSES = "new processes", Blame.DISTURBED, Demand.AT_MOST, 1
    STEAL = "steal", Blame.DISTURBED, Demand.AT_MOST, 4
    STOOD_STILL = "stood still", Blame.DISTURBED, Demand.AT_MOST, 3

    RETRANSMITS = "retransmits", Blame.OVERLOAD, Demand.AT_MOST
    CONNTRACK_DROPS = "conntrack drops", Blame.OVERLOAD, Demand.AT_MOST
    LISTEN_DROPS = "listen drops", Blame.OVERLOAD, Demand.AT_MOST
    QUEUE_DROPS = "queue drops", Blame.OVERLOAD, Demand.AT_MOST
    CLIENT_PORTS = "client ports", Blame.CLIENT, Demand.AT_MOST, 4
    CONNTRACK_ROOM = "conntrack room", Blame.OVERLOAD, Demand.AT_MOST, 4

    PATH_DNAT = "path: dnat connections", Blame.PATH
    PATH_FILTER = "path: filter accepts", Blame.PATH
    PATH_FORWARDED = "path: forwarded packets", Blame.PATH
    PATH_BRIDGE = "path: bridge packets", Blame.PATH
    PATH_VETH = "path: veth packets", Blame.PATH
    PATH_VXLAN = "path: vxlan packets", Blame.PATH
    PATH_UPLINK = "path: uplink packets", Blame.PATH
    PATH_LOOPBACK = "path: loopback packets", Blame.PATH
    PATH_ACCEPTED = "path: accepted connections", Blame.PATH
    PATH_OPENED = "path: opened connections", Blame.PATH
    PATH_SERVED = "path: served connections", Blame.PATH
    PATH_PROXY_CPU = "path: proxy cpu ns", Blame.PATH
    PATH_ROOTLESSKIT_CPU = "path: rootlesskit cpu ns", Blame.PATH
    PATH_USER_STACK_CPU = "path: user stack cpu ns", Blame.PATH
    PATH_TAP = "path: tap packets", Blame.PATH
    PATH_ROOTLESS_DNAT = "path: rootless dnat connections", Blame.PATH
    PATH_ROOTLESS_BRIDGE = "path: rootless bridge packets", Blame.PATH

    NAMES_ASKED = "path: name queries", Blame.PATH
    """Of lookups: what came to the lab's name servers."""

    PROOF_REQUESTS = "path proof", Blame.DISTURBED, Demand.AT_LEAST
    """Of a slot that took turns, whose path is proved alone; then, of all turns together:"""
    SET_DNAT = "path of the set: dnat connections", Blame.PATH
    SET_FILTER = "path of the set: filter accepts", Blame.PATH
    SET_FORWARDED = "path of the set: forwarded packets", Blame.PATH
    SET_BRIDGE = "path of the set: bridge packets", Blame.PATH
    SET_VETH = "path of the set: veth packets", Blame.PATH
    SET_VXLAN = "path of the set: vxlan packets", Blame.PATH
    SET_UPLINK = "path of the set: uplink packets", Blame.PATH
    SET_LOOPBACK = "path of the set: loopback packets", Blame.PATH
    SET_ACCEPTED = "path of the set: accepted connections", Blame.PATH
    SET_OPENED = "path of the set: opened connections", Blame.PATH
    SET_SERVED = "path of the set: served connections", Blame.PATH
    SET_PROXY_CPU = "path of the set: proxy cpu ns", Blame.PATH
    SET_ROOTLESSKIT_CPU = "path of the set: rootlesskit cpu ns", Blame.PATH
    SET_USER_STACK_CPU = "path of the set: user stack cpu ns", Blame.PATH
    SET_TAP = "path of the set: tap packets", Blame.PATH
    SET_ROOTLESS_DNAT = "path of the set: rootless dnat connections", Blame.PATH
    SET_ROOTLESS_BRIDGE = "path of the set: rootless bridge packets", Blame.PATH

    NAMESPACE = "namespace", Blame.OTHER_SUBJECT
    IMAGE = "image", Blame.OTHER_SUBJECT
    CPUSET = "cpuset", Blame.OTHER_SUBJECT
    CONTROL_LINKS = "control: links", Blame.OTHER_SUBJECT
    CONTROL_ALIVE = "control: alive", Blame.OTHER_SUBJECT
    CONTROL_UNREACHABLE = "control: unreachable", Blame.OTHER_SUBJECT

    CAPTURE_DROPS = "capture: drops", Blame.DISTURBED, Demand.AT_MOST
    CAPTURE_MATCHED = "capture: matched", Blame.DISTURBED, Demand.AT_LEAST
    CAPTURE_ORDER = "capture: order", Blame.DISTURBED, Demand.AT_MOST

    blame: Blame
    demand: Demand | None
    """None: what it sees is no number, or its demand is the mode's."""
    decimals: int | None
    """Of what it sees, as many are stored; None: all."""

    def __new__(
        cls,
        name: str,
        blame: Blame = Blame.DISTURBED,
        demand: Demand | None = None,
        decimals: int | None = None,
    ) -> Self:
        """A member is its name."""
        member = str.__new__(cls, name)
        member._value_, member.blame, member.demand, member.decimals = name, blame, demand, decimals
        return member

    @property
    def rounding(self) -> float:
        """By so much what is stored of it and of its limit can be nearer or farther than it was."""
        return 0.0 if self.decimals is None else 10.0**-self.decimals

    @classmethod
    def of_counter(cls, counter: Counter, *, of_set: bool = False) -> "GateKind":
        """The gate on a counter of the path; `of_set`: over all turns of a set."""
        what = "path of the set" if of_set else "path"
        return next(kind for kind in cls if kind.value == f"{what}: {counter.replace('_', ' ')}")


Number = Annotated[float, Field(ge=-1e18, le=1e18)]


class Gate(Stored):
    """One check of a slot. `seen` and `limit` are in the unit that `unit` names."""

    name: GateKind
    passed: bool
    seen: Number | str
    limit: Number | str
    unit: str
    demand: Demand | None = None
    """Where the kind leaves it to the arm's mode; else the kind's own counts."""
    voids: Voids = Voids.SLOT
    detail: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it passed or failed as what it saw says, where that and its limit are numbers."""
        demand = self.demand or self.name.demand
        if demand is None or isinstance(self.seen, str) or isinstance(self.limit, str):
            return True
        if self.passed:
            return demand.is_met(self.seen, self.limit, self.name.rounding)
        return not demand.is_met(self.seen, self.limit, -self.name.rounding)


def is_valid(gates: list[Gate]) -> bool:
    """Whether no gate failed that voids the whole slot."""
    return all(gate.passed or gate.voids is not Voids.SLOT for gate in gates)
