"""What the verdict would be without its gates: a gate that voids one mode's slots chooses what is compared.

A mode that truly loses packets has its losses taken from its figure with the slots that show them. So the
same comparisons are made once more with no gate at all, and with each gate left out.
"""

from collections.abc import Collection, Iterator

import numpy as np
from scipy.stats import fisher_exact

from bench.judgement.comparison import Compared, Comparison
from bench.judgement.verdict import Unavailable, judge
from bench.records.run import RunRecord, SlotRecord
from bench.scenario.metric import Voids
from bench.slots.gates.gate import Gate, GateKind
from bench.stored import Stored

NO_GATE = "no gate"


class WithoutGates(Stored):
    """The comparisons of arms as they would be without some gates."""

    left_out: str
    """`no gate`, or the name of the one that is left out."""
    slots: int
    """That would count."""
    comparisons: tuple[Comparison, ...]


class VoidShare(Stored):
    """How many of an arm's slots gates made void, and whether that differs from the baseline's."""

    condition: int
    arm: str
    void: int
    slots: int
    p_value: float | None
    """Of Fisher's exact test against the baseline's share; None of the baseline."""


def judge_without_gates(record: RunRecord) -> list[WithoutGates]:
    """With no gate, and where several kinds voided slots, with each of them left out; nothing if none did."""
    kinds = sorted({gate.name for slot in record.slots if slot.measured for gate in _voiding(slot)})
    if not kinds:
        return []
    found = [_judge_without(record, NO_GATE, kinds)]
    return found + [_judge_without(record, kind, [kind]) for kind in kinds if len(kinds) > 1]


def compare_void_shares(record: RunRecord) -> list[VoidShare]:
    """One an arm and condition, where any slot of a run is void."""
    counts: dict[tuple[int, str], tuple[int, int]] = {}
    for slot in record.slots:
        place = slot.slot.condition, slot.slot.arm
        void, every = counts.get(place, (0, 0))
        counts[place] = void + (not slot.valid), every + 1
    if not any(void for void, _ in counts.values()):
        return []
    return list(_share(counts, record.scenario.baseline))


def _share(counts: dict[tuple[int, str], tuple[int, int]], baseline: str) -> Iterator[VoidShare]:
    for (condition, arm), (void, slots) in sorted(counts.items()):
        p_value = None
        if arm != baseline and (condition, baseline) in counts:
            base_void, base_slots = counts[condition, baseline]
            table = [[void, slots - void], [base_void, base_slots - base_void]]
            p_value = float(fisher_exact(np.array(table)).pvalue)
        yield VoidShare(condition=condition, arm=arm, void=void, slots=slots, p_value=p_value)


def _judge_without(record: RunRecord, name: str, kinds: Collection[GateKind]) -> WithoutGates:
    slots = [
        slot.metrics().model_copy(
            update={"valid": slot.measured and all(gate.name in kinds for gate in _voiding(slot))}
        )
        for slot in record.slots
    ]
    verdict = judge(
        record.scenario,
        slots,
        {},
        record.seed,
        unavailable=Unavailable(record.unavailable, record.unavailable_conditions, record.unavailable_under),
        anytime=record.decide,
    )
    return WithoutGates(
        left_out=name,
        slots=sum(slot.valid for slot in slots),
        comparisons=tuple(found for found in verdict.comparisons if found.kind is Compared.ARMS),
    )


def _voiding(slot: SlotRecord) -> list[Gate]:
    return [gate for gate in slot.failed_gates if gate.voids is Voids.SLOT]
