"""A run becomes the rows of the report's tables: what is said, without how it is laid out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.core.comparison import Comparison, Word
from bench.core.gates import Gate, Voids
from bench.core.records import SlotRecord
from bench.core.scenario import Metric
from bench.report.panels import arm_names, name_failed_gates, slots_of
from bench.report.text import (
    ABSENT,
    comparisons_of_arms,
    format_difference,
    format_interval,
    format_number,
    format_p_value,
    format_ratio,
    format_share,
    format_value,
    pairs_of_arms,
)
from bench.results import Run

DIFFERS = "DIFFERS"
"""In place of BETTER and WORSE where an arm stands against itself: neither half can be better."""
LONGEST_LIST = 3
"""More different texts than this are counted instead of listed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison, or A/A pair, as text."""

    arm: str
    metric: str
    baseline_value: str
    candidate_value: str
    ratio: str
    ci90: str
    difference: str
    margin: str
    blocks: str
    word: str
    notes: tuple[str, ...]
    bootstrap_ci95: str
    p_value: str
    sign_flip_p_value: str
    hodges_lehmann_ratio: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Comparisons that stand in one table: of one condition, and one candidate where arms are compared."""

    condition: str
    baseline: str
    candidate: str
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What the table compares."""
        arms = f"{self.candidate} against {self.baseline}" if self.candidate else "A/A pairs"
        return f"{self.condition}: {arms}" if self.condition else arms


def group_comparisons(run: Run) -> list[Group]:
    """A group for each condition and candidate, in the scenario's order."""
    return _group(comparisons_of_arms(run), by_candidate=True)


def group_pairs(run: Run) -> list[Group]:
    """A group of A/A pairs for each condition."""
    return _group(pairs_of_arms(run), by_candidate=False)


def _group(comparisons: Sequence[Comparison], *, by_candidate: bool) -> list[Group]:
    found: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        key = (comparison.condition, comparison.candidate if by_candidate else "")
        found.setdefault(key, []).append(comparison)
    return [
        Group(
            condition=condition,
            baseline=members[0].baseline if by_candidate else "",
            candidate=candidate,
            rows=tuple(map(_row, members)),
        )
        for (condition, candidate), members in found.items()
    ]


def _row(comparison: Comparison) -> Row:
    blocks = f"{comparison.blocks}"
    if comparison.unit_of_replication != "block":
        blocks += f" (interval over {comparison.unit_of_replication}s)"
    is_pair = comparison.kind != "arms"
    return Row(
        arm=comparison.candidate,
        metric=comparison.metric.label,
        baseline_value=format_value(comparison.baseline_value, comparison.unit),
        candidate_value=format_value(comparison.candidate_value, comparison.unit),
        ratio=format_ratio(comparison.ratio, comparison.ci95),
        ci90=format_interval(comparison.ci90, lambda end: f"{end:.3f}"),
        difference=format_difference(comparison),
        margin=format_share(comparison.margin),
        blocks=blocks,
        word=DIFFERS if is_pair and comparison.word in (Word.BETTER, Word.WORSE) else str(comparison.word),
        notes=comparison.notes,
        bootstrap_ci95=format_interval(comparison.bootstrap_ci95, lambda end: f"{end:.3f}"),
        p_value=format_p_value(comparison.p_value),
        sign_flip_p_value=format_p_value(comparison.sign_flip_p_value),
        hodges_lehmann_ratio=format_ratio(comparison.hodges_lehmann_ratio, None),
    )


ARM_COLUMNS = ("Arm", "Valid slots", "Requests", "Errors", "p99.9 latency", "Start to first 200")


def list_arms(run: Run) -> list[tuple[str, tuple[str, ...]]]:
    """By `ARM_COLUMNS`, for each condition and arm: medians over valid slots, with their range."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    for index, condition in enumerate(run.conditions):
        for arm in arm_names(run):
            measured = slots_of(run, index, arm)
            valid = [record for record in measured if record.valid]
            cells = (
                arm,
                f"{len(valid)} of {len(measured)}",
                f"{sum(record.requests for record in valid):,}",
                f"{sum(record.errors + record.unfinished for record in valid):,}",
                _spread([record.p999_latency_us for record in valid], "us"),
                _spread([record.start_to_first_200_ms for record in valid], "ms"),
            )
            rows.append((condition.label, cells))
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
    for name, by_arm in found.items():
        of_gate = [_gate_cells(arm, by_arm[arm]) for arm in arm_names(run) if arm in by_arm]
        if len({cells[2:] for cells in of_gate}) == 1:
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
    "p50, us",
    "p99, us",
    "req/s",
    "wrk, req/s",
    "First 200, ms",
    "Gates",
)


def list_slots(run: Run) -> list[tuple[str, ...]]:
    """A row a measured slot, by `SLOT_COLUMNS`, in the order of measuring."""
    return [
        (
            str(record.slot.index),
            str(record.slot.block),
            record.slot.arm,
            run.conditions[record.slot.condition].label or ABSENT,
            record.started_at[11:19] or ABSENT,
            f"{record.requests:,}",
            f"{record.errors + record.unfinished:,}",
            *(_number(record.values.get(metric)) for metric in Metric),
            _number(record.wrk_witness_rps),
            _number(record.start_to_first_200_ms),
            describe_gates(record),
        )
        for record in run.record.slots
    ]


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
    return f"INVALID: {failed}" if name_failed_gates(record) else f"valid but for throughput: {failed}"
