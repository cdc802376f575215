"""A set that was loaded: what its proofs and its turns showed, judged slot by slot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.generator.results import CellsResult, LoadResult
from bench.lab.hosts.host import network_of
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.counters import NetworkCounters
from bench.lab.instruments.idle_states import IdleStates
from bench.measure.deployment import Deployment
from bench.measure.slot import check_deployment, count_asked, describe_handshakes, list_evidence, record_slot
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.results import columns
from bench.scenario.plan import Slot
from bench.slots.answers import AnswerRecord
from bench.slots.gates.gate import Gate
from bench.slots.gates.load import check_connections, check_load, check_ports, check_proof, usable_metrics
from bench.slots.gates.machine import check_quiet, check_still
from bench.slots.gates.network import Losses, check_network
from bench.slots.gates.path import Part, check_path, check_shared_path
from bench.slots.gates.stalls import check_stalls
from bench.slots.metrics import RequestMetrics, find_turns, measure_turns, sum_settled_s
from bench.slots.stalls import find_stalls
from bench.slots.turns import list_turns, split_by_predecessor
from bench.slots.turns_record import TurnsRecord

STRAY_PACKETS = 40
"""On a still counter in a container's proof: those who live beside it announce themselves when they start.
Of the hundred requests that a proof takes at least, each would move it by two."""


@dataclass(frozen=True)
class Proof:
    """One deployment's load, alone: its warm-up, over which its path is proved."""

    result: LoadResult
    counted: NetworkCounters
    answers: Sequence[AnswerRecord]
    """Of each request of a service of a person's own."""


@dataclass(frozen=True)
class Together:
    """What the turns of a set showed."""

    result: CellsResult
    counted: Sequence[NetworkCounters]
    """By deployment, from just before all of the turns to just after."""
    quiet: Activity
    fixed_work_us: float
    troubles: Sequence[str]
    """By deployment: of a server of whose answers not all were right, what is known; else empty."""


@dataclass(frozen=True)
class LoadedSet:
    """A set that was loaded; lists are by place in it."""

    bed: Bed
    slots: Sequence[Slot]
    deployments: Sequence[Deployment]
    proofs: Sequence[Proof]
    together: Together
    idle: IdleStates

    def judge(self, place: int, folder: Path) -> SlotRecord:
        """Judge one of its slots by every gate, and store it."""
        slot, deployment, proof = self.slots[place], self.deployments[place], self.proofs[place]
        result = self.together.result
        records, driven = result.records[place], result.targets[place]
        turns = self._turns(place)
        metrics = measure_turns(records, turns)
        gates = self._check(place, metrics)
        kept = np.concatenate([proof.result.records, records])
        stalls = find_stalls(kept, count_asked(self.bed, deployment.condition.load))
        columns.write_requests(folder, slot.directory, kept, find_turns(kept["sent_ns"], turns))
        columns.write_turns(folder, slot.directory, turns)
        return record_slot(
            slot,
            deployment,
            metrics,
            window_start_ns=int(turns["settled_ns"][0]),
            window_end_ns=int(turns["end_ns"][-1]),
            connections_opened=proof.result.opened + driven.opened,
            requests_recorded=len(kept),
            values=usable_metrics(metrics.values, gates),
            generator_busy=driven.cpu_share,
            core_busy=result.core_busy,
            fixed_work_us=self.together.fixed_work_us,
            counters=proof.counted.path,
            unread=proof.counted.unread,
            turns=TurnsRecord(
                turns=len(turns),
                settled_s=sum_settled_s(turns),
                proof_requests=len(proof.result.records),
                proof_connections=proof.result.opened,
                after=split_by_predecessor(records, turns, {other.index: other.arm for other in self.slots}),
            ),
            answers=tuple(proof.answers),
            stalls=stalls,
            gates=(*gates, check_stalls(stalls)),
            evidence={
                **list_evidence(deployment, self.idle),
                **self.bed.bystanders.describe(self.bed.lab.client),
                "connections as the load began": str(self._connected(place)),
                "load loop": result.loop,
                **describe_handshakes(driven.handshakes, driven.resumed),
                "requests by Locust's count": str(proof.result.locust_requests + driven.locust_requests),
            },
        )

    def _turns(self, place: int) -> np.ndarray:
        kinds = [("target", "<i4"), ("start_ns", "<i8"), ("settled_ns", "<i8"), ("end_ns", "<i8")]
        rows = [
            (turn.target, turn.start_ns, turn.settled_ns, turn.end_ns) for turn in self.together.result.turns
        ]
        indexes = np.array([slot.index for slot in self.slots], dtype=np.int32)
        return list_turns(np.array(rows, dtype=kinds), place, indexes)

    def _check(self, place: int, metrics: RequestMetrics) -> list[Gate]:
        """Every gate: its own, of its proof, and those of the whole set."""
        deployment, proof, together = self.deployments[place], self.proofs[place], self.together
        driven, network = together.result.targets[place], deployment.network
        rules = deployment.site.engine.writes_rules
        answered = int((proof.result.records["done_ns"] > 0).sum())
        others = [
            self._part(other)
            for other, found in enumerate(self.deployments)
            if other != place and network_of(found.docker_host) == network_of(deployment.docker_host)
        ]
        return [
            *check_connections(deployment.condition.load.connections, self._connected(place)),
            *check_load(
                metrics.requests,
                metrics.errors,
                metrics.unfinished,
                driven.cpu_share,
                together.troubles[place],
            ),
            *check_quiet(
                together.quiet.stray_cpu,
                together.quiet.new_processes_per_s,
                together.quiet.steal_share,
                self.bed.scenario.schedule.max_steal,
            ),
            *check_still(
                together.quiet.seconds,
                (together.result.turns[-1].end_ns - together.result.turns[0].start_ns) / 1e9,
                together.quiet.slept_s,
                sum(len(records) for records in together.result.records),
                len(self.slots) * deployment.condition.load.connections,
            ),
            *check_network(self._losses(), together.counted[place].room, deployment.describe_accept_queue()),
            *check_ports(proof.result.without_port + driven.without_port),
            check_proof(answered),
            *check_path(
                deployment.path_taken,
                proof.counted.path,
                proof.result.opened,
                answered,
                forwarding_rules=rules,
                stray_packets=STRAY_PACKETS,
            ),
            *check_shared_path(
                self._part(place),
                others,
                together.counted[place].path,
                forwarding_rules=rules,
                in_host_network=network.in_host_network,
            ),
            *check_deployment(self.bed, deployment),
        ]

    def _connected(self, place: int) -> int:
        """Connections with which its proof began, or its turns: the fewer."""
        return min(self.proofs[place].result.connected or 0, self.together.result.targets[place].connected)

    def _part(self, place: int) -> Part:
        """What a slot's turns must have moved."""
        deployment, result = self.deployments[place], self.together.result
        return Part(
            deployment.path_taken,
            result.targets[place].opened,
            int((result.records[place]["done_ns"] > 0).sum()),
        )

    def _losses(self) -> Losses:
        """Of the whole set, each of its proofs included: what one lost, all may have waited for."""
        # Each reading holds the load's host and the Docker host too, which several share.
        turns = np.array([counted.losses for counted in self.together.counted]).max(axis=0)
        proofs = np.array([proof.counted.losses for proof in self.proofs]).sum(axis=0)
        return Losses(*map(int, turns + proofs))
