"""Stalls in words: which arm stood still under which condition, at which size and place."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bench.records.run import SlotRecord
from bench.report.run.selection import arm_names, present_conditions, slots_of
from bench.report.table import Table
from bench.report.text import count, join_words, name_condition
from bench.results.run import Run
from bench.slots.stalls_record import Stalls

NONE = "none"


def tell_stalls(run: Run) -> Mapping[str, Any] | None:
    """A row an arm and condition, where any slot of the run stalled."""
    if not any(slot.stalls for slot in run.record.slots):
        return None
    return {"said": list_stalls(run), "tables": [tabulate_stalls(run)]}


def list_stalls(run: Run) -> list[str]:
    """A sentence for each arm and condition that stalled."""
    return [
        name_condition(run.conditions[index].label, f"{arm} stalled in {_share(slots)}: {_describe(slots)}.")
        for index, arm, slots in _cells(run)
        if _stalls(slots)
    ]


def name_stalled(run: Run) -> str:
    """A sentence: `... bridge STALLED wherever too_big_icmp=false, in every slot.`; empty where none did."""
    clauses = []
    for arm in arm_names(run):
        cells = {index: slots for index, other, slots in _cells(run) if other == arm and slots}
        stalled = {index: slots for index, slots in cells.items() if _stalls(slots)}
        if not stalled:
            continue
        whole = sum(len(_stalls(slots)) == len(slots) for slots in stalled.values())
        if len(cells) == 1:
            clauses.append(f"{arm} STALLED in {_share(cells[min(cells)])}")
            continue
        extent = (
            "every slot"
            if whole == len(stalled)
            else f"every slot of {whole} of them"
            if whole
            else "some slots"
        )
        clauses.append(f"{arm} STALLED {_name_conditions(run, stalled, cells)}, in {extent}")
    return f"Connections stood still until the end: {join_words(clauses)}." if clauses else ""


def _name_conditions(run: Run, some: Collection[int], all_: Collection[int]) -> str:
    """By the levels that `some` have in common, where no other of `all_` has them; else their number."""
    common = [
        setting
        for setting in run.conditions[min(some)].settings
        if all(setting in run.conditions[index].settings for index in some)
    ]
    alike = {index for index in all_ if set(common) <= set(run.conditions[index].settings)}
    if common and alike == set(some):
        return f"wherever {join_words([name for _, name in common])}"
    return f"under {len(some)} of {count(len(all_), 'condition')}"


def tabulate_stalls(run: Run) -> Table:
    """Every arm under every condition, those without a stall too."""
    return Table(
        caption="Connections that stood still until their slot's end",
        columns=("Arm", "Condition", "Slots", "What stood still, and where"),
        rows=tuple(
            (arm, run.conditions[index].label or "all", _share(slots), _describe(slots) or NONE)
            for index, arm, slots in _cells(run)
            if slots
        ),
        prose=frozenset({"Condition", "What stood still, and where"}),
    )


def _cells(run: Run) -> Iterator[tuple[int, str, Sequence[SlotRecord]]]:
    for index in present_conditions(run):
        for arm in arm_names(run):
            yield index, arm, slots_of(run, index, arm)


def _stalls(slots: Sequence[SlotRecord]) -> list[Stalls]:
    return [slot.stalls for slot in slots if slot.stalls]


def _share(slots: Sequence[SlotRecord]) -> str:
    return f"{len(_stalls(slots))} of {count(len(slots), 'slot')}"


def _describe(slots: Sequence[SlotRecord]) -> str:
    """All of a cell's stalls as one, at the places that its captures show; empty where there is none."""
    found = _stalls(slots)
    if not found:
        return ""
    received = [bytes_ for stalls in found for bytes_ in stalls.received_bytes]
    lost = {stalls.lost.last_seen_at: stalls.lost for stalls in found if stalls.lost}
    whole = found[0].model_copy(
        update={
            "stalled": sum(stalls.stalled for stalls in found),
            "connections": sum(stalls.connections for stalls in found),
            "received_bytes": (min(received), max(received)),
            "lost": None,
        }
    )
    return "; ".join([whole.describe(), *(each.describe() for each in lost.values())])
