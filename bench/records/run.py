"""What a run stores of itself: in run.json, from its plan before there is data on, and in each slot.json."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from bench.records.calibration import Calibration
from bench.records.environment import EngineFacts, ImageFacts, LabFacts, MachineFacts, RealHostFacts
from bench.scenario.metric import Metric
from bench.scenario.modes.footprint import Counter
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.answers import AnswerRecord
from bench.slots.cpu import CpuRecord
from bench.slots.gates.gate import Blame, Gate, GateKind, is_valid
from bench.slots.observation import SlotMetrics
from bench.slots.rules import RulesMet
from bench.slots.stalls_record import Stalls
from bench.slots.starts import StartsRecord
from bench.slots.surroundings import Facts
from bench.slots.turns_record import TurnsRecord
from bench.stored import Amount, Count, Integer, Moment, MomentIfAny, Stored, digest_plain

SCHEMA_VERSION = 7
"""Of run.json and of everything beside it; raised when an older reader would misread a run."""
SLOTS_OF_THEIR_OWN = 5
"""Version since which every slot has a slot.json."""
WHOLE_TAILS = 6
"""Version since which a slot has a p10, a p99 however few its requests, and a sum of its own record."""
READABLE_VERSIONS = (2, 3, 4, 5, 6, SCHEMA_VERSION)
"""What a later version added has a default here, so that runs of these versions load as they are."""


class Status(StrEnum):
    """How far a run came."""

    RUNNING = "running"
    """Also what a killed run still says: it can be resumed."""
    COMPLETE = "complete"
    PRECISE = "precision reached"
    """Ended at a block's end because the interval was narrow enough."""
    DECIDED = "decided"
    """Ended at a block's end because it was told on which side of its margin every arm is."""
    BUDGET_SPENT = "budget spent"
    """Ended at a block's end because the time given was over."""
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class TapRecord(Stored):
    """What one tap of a capture slot saw."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    """Its place on the path: `client`, `uplink`, `bridge`, `veth` (the host's side), `container`."""
    host: str
    """In whose network namespace: `client`, `docker1`, ..., or `container`."""
    link: str
    """The interface that was captured on."""
    received: Count
    """Packets that passed the filter, by the kernel's count."""
    dropped: Integer
    """Of them, those that the kernel had no room for."""
    counts: Mapping[str, Count]
    """Packets, and signs of loss among them: the names of `taps.Sight.counts`."""
    handshakes_us: tuple[Amount, ...] = ()
    """First SYN to first SYN-ACK, of every connection whose both were seen here."""


class CaptureRecord(Stored):
    """The captures of one slot, matched; each request's times are in the slot's hops.parquet."""

    taps: tuple[TapRecord, ...] = Field(min_length=1)
    """In the order in which requests pass them."""
    expected: Count
    """Requests of the window that were answered."""
    matched: Count
    """Of them, those that were found whole at every tap."""


class SlotRecord(Stored):
    """One slot as it was measured. Stamps are CLOCK_MONOTONIC ns of the run's boot."""

    slot: Slot
    started_at: MomentIfAny = ""
    """UTC, ISO 8601."""
    window_start_ns: Count = 0
    window_end_ns: Count = 0
    realtime_offset_ns: Integer = 0
    """CLOCK_REALTIME minus CLOCK_MONOTONIC at the slot's end."""
    requests: Count = 0
    """Sent inside the window (open loop: intended inside it), and the base of every metric."""
    errors: Count = 0
    unfinished: Count = 0
    values: Mapping[Metric, float | None] = {}
    p99_latency_us: Amount | None = None
    """Descriptive, of however few requests: comparisons take it from `values`."""
    p999_latency_us: Amount | None = None
    """Descriptive only: a slot holds too few requests for a comparison of it."""
    mean_latency_us: Amount | None = None
    service_p50_us: Amount | None = None
    """Of done minus sent, whatever waited before; descriptive, as the next."""
    service_p99_us: Amount | None = None
    start_to_first_200_ms: Amount | None = None
    """From asking the engine to start the container to the first 200 at the client."""
    wrk_witness_rps: Amount | None = None
    achieved_share: Amount | None = None
    """Of an open loop: done in the window, by what arrived in it."""
    lateness_p99_us: float | None = None
    """Of an open loop: the generator's own, where a connection was free."""
    connections_opened: Count | None = None
    """By the load, warm-up and drain included; None where it was not counted, as of the next."""
    requests_recorded: Count | None = None
    """Warm-up and drain included."""
    answers: tuple[AnswerRecord, ...] = ()
    """Of each request of a service of a person's own, seen whole before the load."""
    generator_busy: Amount | None = None
    """Share of its core that the generator worked; looking out for the next arrival is no work."""
    core_busy: Mapping[int, float] = {}
    """Core of the machine -> its busy share, from the warm-up's begin to the window's end."""
    fixed_work_us: Amount | None = None
    """Of one and the same loop on the slowest core, before or after the load: what frequency, throttling
    or a neighbour on the same physical core does. None of what was stored before schema version 4."""
    seconds: Amount = 0.0
    """Of the whole slot, from creating the container to its removal."""
    overhead_s: float = 0.0
    """Of `seconds`, what was neither warm-up nor window nor witness nor idle baseline."""
    counters: Mapping[Counter, Integer] = {}
    """What the Docker host counted over the load."""
    unread: Mapping[Counter, str] = {}
    """Counters that could not be read on the Docker host, and why: its path is partly proved."""
    rules: RulesMet | None = None
    """Firewall rules (IPv4's) that its packets look at; None where they cross no stack of the Docker host, or
    its rules cannot be read."""
    surroundings: str = Field(default="", pattern=r"^([0-9a-f]{12})?$")
    """Digest of what the server found around it: a key of the run's `surroundings`."""
    capture: CaptureRecord | None = None
    """Of a slot with taps."""
    cpu: CpuRecord | None = None
    """Of a slot whose load measures CPU."""
    stalls: Stalls | None = None
    """Connections that stood still until its end; None where none did."""
    turns: TurnsRecord | None = None
    """Of a slot that shared its time with others of its set; its `counters` are then those of its proof."""
    starts: StartsRecord | None = None
    """Of a slot whose subject is the start."""
    gates: tuple[Gate, ...] = Field(min_length=1)
    evidence: Mapping[str, str] = {}
    sealed: Mapping[str, str] = {}
    """File of the slot's folder -> SHA-256, of what was measured, as it was written."""
    own_sha256: str = ""
    """Of this record itself, as it was written (see `digest_slot`); empty of earlier schemas."""

    @property
    def valid(self) -> bool:
        """Whether the slot counts."""
        return is_valid(list(self.gates))

    @property
    def path(self) -> str:
        """How far the path of its packets is proved: `proved`, `partly proved: REASON`, or `void`."""
        if any(not gate.passed and gate.name.blame is Blame.PATH for gate in self.gates):
            return "void"
        if not self.unread:
            return "proved"
        reasons = "; ".join(dict.fromkeys(self.unread.values()))
        return f"partly proved: {', '.join(self.unread)} not read ({reasons})"

    @property
    def measured(self) -> bool:
        """Whether it came to a load, or to what a control shows; if not, a resumed run tries it again."""
        return not any(gate.name is GateKind.ANSWERED and not gate.passed for gate in self.gates)

    @property
    def failed_gates(self) -> list[Gate]:
        """Gates that failed, those included that void the throughput alone."""
        return [gate for gate in self.gates if not gate.passed]

    def metrics(self) -> SlotMetrics:
        """The part that a verdict needs."""
        return SlotMetrics(
            session=self.slot.session,
            block=self.slot.block,
            arm=self.slot.arm,
            condition=self.slot.condition,
            repeat=self.slot.repeat,
            valid=self.valid,
            values=self.values,
            requests=self.requests,
            index=self.slot.index,
            stalled=self.stalls is not None,
            after_turn_of={
                after.arm: after.p50_latency_us / after.otherwise_p50_us for after in self.turns.after
            }
            if self.turns
            else {},
        )


def digest_slot(slot: SlotRecord, *, as_read: bool = False) -> str:
    """SHA-256 (hex) of a slot's record, its own digest aside; `as_read` as in `digest_plan`."""
    return digest_plain(slot.model_dump(mode="json", exclude_unset=as_read, exclude={"own_sha256"}))


class RunRecord(Stored):
    """The whole of run.json."""

    schema_version: int
    id: str
    bench_version: str
    status: Status
    started_at: Moment
    finished_at: Moment | None = None
    scenario: Scenario
    seed: int = Field(ge=0)
    budget_s: float | None = Field(gt=0)
    precision: float | None = Field(default=None, gt=0, lt=1)
    """Half-width of the 95 % interval of a p50 ratio, as a fraction, at which the run ends."""
    decide: bool = False
    """Whether it ends once every p50 ratio is told to be beyond its margin or inside it."""
    planned: tuple[Slot, ...] = Field(min_length=1)
    plan_sha256: str = ""
    """Digest of scenario, seed and planned slots, told before the first slot; empty of earlier schemas."""
    machine: MachineFacts
    tools: Mapping[str, str]
    lab: LabFacts
    """Empty until it stood, as are the next two."""
    engines: Mapping[str, EngineFacts]
    """Of each Docker host."""
    image: ImageFacts
    companion_images: Mapping[str, ImageFacts] = {}
    """Of what the service needs beside it, by name."""
    on_real_hosts: bool = False
    """Whether it is measured on machines of the person's own; else in the lab."""
    hosts: Mapping[str, RealHostFacts] = {}
    """Those machines, by name; empty until they were reached."""
    calibration: Calibration | None = None
    """Of this machine, as it was when the run began; None where it never was calibrated."""
    unavailable: Mapping[str, str] = {}
    """Arm -> why its mode cannot be had on this machine; found by trying, before the first slot."""
    unavailable_conditions: Mapping[int, str] = {}
    """Index into `conditions(scenario)` -> why, for an engine that cannot be had."""
    unavailable_under: Mapping[int, Mapping[str, str]] = {}
    """The same index -> arm -> why, of arms that can be had under another condition."""
    surroundings: Mapping[str, Facts] = {}
    """By digest: what slots found around their server."""
    warnings: tuple[str, ...] = ()
    slots: tuple[SlotRecord, ...] = ()

    @property
    def idle_states(self) -> str:
        """What idle cores did in its slots; empty where none told it."""
        return " and ".join(sorted({slot.evidence.get("idle states", "") for slot in self.slots} - {""}))

    def kept(self) -> tuple[SlotRecord, ...]:
        """Measured slots that a resumed run leaves as they are: no slot of a set of which one is missing."""
        measured = [record for record in self.slots if record.measured]
        there = {record.slot.index for record in measured}
        broken = {slot.life for slot in self._available() if slot.index not in there} - {None}
        return tuple(record for record in measured if record.slot.life not in broken)

    def remaining(self) -> tuple[Slot, ...]:
        """Planned slots that can be and are not measured yet, in order."""
        done = {record.slot.index for record in self.slots}
        return tuple(slot for slot in self._available() if slot.index not in done)

    def _available(self) -> list[Slot]:
        """Planned slots that can be measured."""
        return [
            slot
            for slot in self.planned
            if slot.arm not in self.unavailable
            and slot.condition not in self.unavailable_conditions
            and slot.arm not in self.unavailable_under.get(slot.condition, {})
        ]
