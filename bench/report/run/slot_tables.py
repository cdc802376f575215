"""Arms, gates and slots become the rows of tables: what is said, without how it is laid out."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from bench.records.run import SlotRecord
from bench.report.run.selection import arm_names, name_failed_gates, present_conditions, slots_of
from bench.report.text import ABSENT, format_number, join_words
from bench.results.run import Run
from bench.scenario.metric import Metric, Voids, measured_metrics
from bench.slots.gates.gate import Gate

LONGEST_LIST = 3
"""More different texts than this are counted instead of listed."""
MOST_ROWS = 5_000
"""Of more slots than these the table leaves some to slots.csv, so that a page's size has a bound."""


class Line(NamedTuple):
    """A row of a long table."""

    cells: tuple[str, ...]
    void: bool = False
    """Whether it is of a slot that counts for nothing."""


def tell_arms(run: Run) -> Mapping[str, Any]:
    """What is seen and not compared: a row an arm and condition, the arm's name behind its condition's."""
    several = len(run.conditions) > 1
    return {
        "columns": [*(("Condition",) if several else ()), *ARM_COLUMNS],
        "rows": [[*((label,) if several else ()), *cells] for label, cells in list_arms(run)],
        "head": int(several),
    }


def tell_gates(run: Run) -> Mapping[str, Any] | None:
    """What every gate saw."""
    lines = [Line(cells) for cells in list_gates(run)]
    return {"columns": GATE_COLUMNS, "lines": lines} if run.record.slots else None


def tell_slots(run: Run) -> Mapping[str, Any] | None:
    """Every slot, or as many as a page holds."""
    records = run.record.slots
    if not records:
        return None
    shown = choose_slots(records)
    columns, rows = _drop_empty(name_slot_columns(run), [list_slot(run, record) for record in shown])
    return {
        "columns": columns,
        "lines": [
            Line(cells, void=bool(name_failed_gates(record)))
            for cells, record in zip(rows, shown, strict=True)
        ],
        "measured": len(records),
        "prose": ("Arm", "Condition", "Gates"),
    }


def choose_slots(records: Sequence[SlotRecord]) -> list[SlotRecord]:
    """As many as a page holds, in their order: those that failed a gate before those that did not."""
    failed_first = sorted(range(len(records)), key=lambda place: not records[place].failed_gates)
    return [records[place] for place in sorted(failed_first[:MOST_ROWS])]


def _drop_empty(
    columns: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """The table without the columns in which no row has anything."""
    kept = [place for place in range(len(columns)) if any(row[place] != ABSENT for row in rows)]
    return [columns[place] for place in kept], [tuple(row[place] for place in kept) for row in rows]


ARM_COLUMNS = ("Arm", "Valid slots", "Requests", "Errors", "p99.9 latency", "Start to first 200")


def list_arms(run: Run) -> list[tuple[str, tuple[str, ...]]]:
    """By `ARM_COLUMNS`, for each condition and arm: medians over valid slots, with their range."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    has_requests = not run.record.scenario.load.is_start
    for index in present_conditions(run):
        for arm in arm_names(run):
            measured = slots_of(run, index, arm)
            valid = [record for record in measured if record.valid]
            cells = (
                arm,
                f"{len(valid)} of {len(measured)}",
                f"{sum(record.requests for record in valid):,}" if has_requests else ABSENT,
                f"{sum(record.errors + record.unfinished for record in valid):,}" if has_requests else ABSENT,
                _spread([record.p999_latency_us for record in valid], "us"),
                _spread([record.start_to_first_200_ms for record in valid], "ms"),
            )
            rows.append((run.conditions[index].label, cells))
    return rows


def _spread(values: Iterable[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ABSENT
    return (
        f"{format_number(median(known))} {unit} ({format_number(min(known))} to {format_number(max(known))})"
    )


GATE_COLUMNS = ("Gate", "Arm", "Passed", "Seen", "Limit", "What is counted")


def list_gates(run: Run) -> list[tuple[str, ...]]:
    """A row a gate and arm, by `GATE_COLUMNS`; one row where all arms saw the same."""
    found: dict[str, dict[str, list[Gate]]] = {}
    for record in run.record.slots:
        for gate in record.gates:
            found.setdefault(gate.name, {}).setdefault(record.slot.arm, []).append(gate)
    rows: list[tuple[str, ...]] = []
    arms = dict.fromkeys([*arm_names(run), *(arm.name for arm in run.record.scenario.arms)])
    for name, by_arm in found.items():
        of_gate = [_gate_cells(arm, by_arm[arm]) for arm in arms if arm in by_arm]
        if len(of_gate) > 1 and len({cells[2:] for cells in of_gate}) == 1:
            of_gate = [_gate_cells("all", [gate for gates in by_arm.values() for gate in gates])]
        rows += [(name, *cells) for cells in of_gate]
    return rows


def _gate_cells(arm: str, gates: list[Gate]) -> tuple[str, ...]:
    passed = f"{sum(gate.passed for gate in gates)} of {len(gates)}"
    units = dict.fromkeys(gate.unit for gate in gates)
    return (
        arm,
        passed,
        _range([gate.seen for gate in gates]),
        _range([gate.limit for gate in gates]),
        "; ".join(units),
    )


def _range(values: Sequence[float | str]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    if numbers:
        ends = dict.fromkeys((format_seen(min(numbers)), format_seen(max(numbers))))
        return " to ".join(ends)
    different = list(dict.fromkeys(format_seen(value) for value in values))
    return ", ".join(different) if len(different) <= LONGEST_LIST else f"{len(different)} different"


def format_seen(value: float | str) -> str:
    """What a gate saw, or its limit; of a digest, as much as tells two apart."""
    if isinstance(value, str):
        return value[:19] if value.startswith("sha256:") else value
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


SLOT_COLUMNS = (
    "Slot",
    "Block",
    "Arm",
    "Condition",
    "Began",
    "Requests",
    "Errors",
    "wrk, req/s",
    "First 200, ms",
    "Gates",
)


def name_slot_columns(run: Run) -> tuple[str, ...]:
    """Columns of `list_slot`: `SLOT_COLUMNS`, with the metrics of a slot before wrk's rate."""
    place = SLOT_COLUMNS.index("wrk, req/s")
    metrics = (metric.about.column for metric in _slot_metrics(run))
    return (*SLOT_COLUMNS[:place], *metrics, *SLOT_COLUMNS[place:])


def _slot_metrics(run: Run) -> list[Metric]:
    """Those that its slots have, the rates last: beside wrk's."""
    measured = measured_metrics(run.record.scenario.load)
    return sorted(measured, key=lambda metric: metric.higher_is_better)


def list_slot(run: Run, record: SlotRecord) -> tuple[str, ...]:
    """A measured slot, by `name_slot_columns`."""
    return (
        str(record.slot.index),
        str(record.slot.block),
        record.slot.arm,
        run.conditions[record.slot.condition].label or ABSENT,
        record.started_at[11:19] or ABSENT,
        ABSENT if record.starts else f"{record.requests:,}",
        ABSENT if record.starts else f"{record.errors + record.unfinished:,}",
        *(_number(record.values.get(metric)) for metric in _slot_metrics(run)),
        _number(record.wrk_witness_rps),
        _number(record.start_to_first_200_ms),
        describe_gates(record),
    )


def _number(value: float | None) -> str:
    return ABSENT if value is None else format_number(value)


def describe_gates(record: SlotRecord) -> str:
    """`valid`, or each failed gate with the number that it saw and its limit."""
    if not record.failed_gates:
        return "valid"
    failed = "; ".join(
        f"{gate.name} {format_seen(gate.seen)} (limit {f'{format_seen(gate.limit)} {gate.unit}'.strip()})"
        f"{f': {gate.detail}' if gate.detail else ''}"
        for gate in sorted(record.failed_gates, key=lambda gate: gate.voids is not Voids.SLOT)
    )
    if name_failed_gates(record):
        return f"INVALID: {failed}"
    voided = dict.fromkeys(str(gate.voids) for gate in record.failed_gates)
    return f"valid but for {join_words(list(voided))}: {failed}"
