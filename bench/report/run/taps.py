"""The taps themselves: what they cost, what they had to show, and one request followed through them."""

from collections.abc import Iterator

import pandas as pd

from bench.judgement.change import Changed
from bench.report.run.anatomy import P50
from bench.report.run.selection import arm_names
from bench.report.run.slot_tables import GATE_COLUMNS, list_gates
from bench.report.symbols import ARROWS
from bench.report.table import Table
from bench.report.text import ABSENT, format_change, format_number, format_ratio
from bench.results.run import Run
from bench.wire.anatomy.model import TAPS
from bench.wire.hops import Group

CAPTURE_GATES = "capture"
"""How the names of the gates on captures begin."""


def tabulate_taps(run: Run) -> Table:
    """What the taps cost each arm at the p50, by the run's own changes between without and with."""
    return Table(
        caption="What the taps themselves cost, p50 latency",
        columns=("Arm", "Taps", "Change, 95 %", "A tap", "Ratio of the two, 95 %", "Word", "Notes"),
        rows=tuple(_list_costs(run)),
        prose=frozenset({"Arm", "Notes"}),
    )


def _list_costs(run: Run) -> Iterator[tuple[str, ...]]:
    taps = {arm.arm: len(arm.taps) for arm in run.anatomy.arms}
    for change in run.verdict.changes:
        if (change.factor, change.kind, change.metric) != (TAPS, Changed.ARM, P50):
            continue
        yield (
            change.candidate + (f"\n{', '.join(change.held)}" if change.held else ""),
            str(taps.get(change.candidate, ABSENT)),
            format_change(change.difference, change.difference_ci95, change.unit),
            f"{format_number(change.difference / taps[change.candidate])} us"
            if change.difference is not None and change.candidate in taps
            else ABSENT,
            format_ratio(change.ratio, change.ci95),
            str(change.word),
            "; ".join(change.notes) or ABSENT,
        )


def tabulate_capture_gates(run: Run) -> Table:
    """The gates on the captures, a row a gate and arm."""
    return Table(
        caption="Gates of the captures",
        columns=GATE_COLUMNS,
        rows=tuple(row for row in list_gates(run) if row[0].startswith(CAPTURE_GATES)),
        prose=frozenset({"What is counted"}),
    )


def tabulate_traces(run: Run) -> list[Table]:
    """For each arm one request and its response at every tap, from the sample of its first capture."""
    return [_tabulate_trace(arm, slot, found) for arm, slot, found in _trace_arms(run)]


def _trace_arms(run: Run) -> Iterator[tuple[str, int, pd.DataFrame]]:
    for arm in arm_names(run):
        for record in run.tapped:
            if record.slot.arm == arm and record.valid and record.capture:
                found = run.trace(record.slot.index)
                if len(found):
                    yield arm, record.slot.index, found
                    break


def _tabulate_trace(arm: str, slot: int, found: pd.DataFrame) -> Table:
    return Table(
        caption=f"{arm}: request {found['id'].iloc[0]} of slot {slot} at every tap",
        columns=(
            "Tap",
            "Link",
            "Source → destination",
            "MAC addresses",
            "TTL",
            "Rewritten since the tap before",
        ),
        rows=tuple(
            (
                f"{ARROWS[Group(seen['direction'])]} {seen['tap']}",
                f"{seen['link']}\n{seen['host']}",
                f"{seen['source']} → {seen['destination']}",
                f"{seen['source_mac']} → {seen['destination_mac']}" if seen["source_mac"] else ABSENT,
                str(seen["ttl"]),
                seen["rewritten"] or ABSENT,
            )
            for seen in found.to_dict("records")
        ),
        prose=frozenset({"Rewritten since the tap before"}),
        folded=True,
    )
