"""What a slot of an earlier version says in words only, as the fields that later ones have.

The one place where anything is read out of a gate's or an evidence's text; done once, at reading.
"""

from typing import Any

from bench.records.run import RunRecord, SlotRecord
from bench.slots.gates.gate import Demand, Gate, GateKind

MEASURED_BY = {"achieved_share": GateKind.ACHIEVED, "lateness_p99_us": GateKind.LATENESS}
"""Field -> the gate that held it alone until it was one."""
COUNTED_IN = {"connections_opened": "connections opened", "requests_recorded": "requests recorded"}
"""Field -> the evidence that held it alone until it was one."""


def complete_run(record: RunRecord) -> RunRecord:
    """`record` with its slots completed. Raises ValueError where their texts hold no number."""
    return record.model_copy(update={"slots": tuple(complete_slot(slot) for slot in record.slots)})


def complete_slot(slot: SlotRecord) -> SlotRecord:
    """`slot` with the fields that its version did not have. Raises ValueError as `complete_run`."""
    found: dict[str, Any] = {}
    seen = {gate.name: gate.seen for gate in slot.gates}
    for field, kind in MEASURED_BY.items():
        if getattr(slot, field) is None and isinstance(seen.get(kind), int | float):
            found[field] = seen[kind]
    for field, name in COUNTED_IN.items():
        if getattr(slot, field) is None and name in slot.evidence:
            found[field] = _count(slot, name)
    gates = tuple(map(_complete_gate, slot.gates))
    if gates != slot.gates:
        found["gates"] = gates
    return slot.model_copy(update=found) if found else slot


def _count(slot: SlotRecord, name: str) -> int:
    text = slot.evidence[name]
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"slots.{slot.slot.index}.evidence.{name}: {text!r:.80} is no count")
    return int(text)


def _complete_gate(gate: Gate) -> Gate:
    """A gate on the path, whose demand stood at the end of its unit."""
    how = gate.unit.rpartition(", ")[2]
    if gate.demand or gate.name.demand or how not in set(Demand):
        return gate
    return gate.model_copy(update={"demand": Demand(how)})
