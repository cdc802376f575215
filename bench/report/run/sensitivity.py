"""Would the words be others by another method, or without the gates?"""

from collections.abc import Mapping
from typing import Any

from bench.judgement.gates_left_out import (
    NO_GATE,
    WithoutGates,
    compare_void_shares,
    judge_without_gates,
)
from bench.report.run.comparisons import tabulate_methods
from bench.report.table import Table
from bench.report.text import ABSENT, format_p_value, format_ratio, format_share, name_condition
from bench.results.run import Run


def tell_sensitivity(run: Run) -> Mapping[str, Any] | None:
    """Other methods; and where slots are void, other gates."""
    methods, gates = tabulate_methods(run), _tabulate_gates(run)
    return {"methods": methods, "gates": gates} if methods or gates else None


def _tabulate_gates(run: Run) -> list[Table]:
    found, shares = judge_without_gates(run.record), compare_void_shares(run.record)
    if not found:
        return []
    tables = [
        Table(
            caption="The comparisons with gates left out",
            columns=("Comparison", "As it is", *(_name(variant) for variant in found)),
            rows=tuple(
                (
                    name_condition(
                        comparison.condition, f"{comparison.candidate}, {comparison.metric.label}"
                    ),
                    *(
                        f"{format_ratio(c.ratio, c.ci95)}\n{c.word}"
                        for c in (comparison, *(variant.comparisons[place] for variant in found))
                    ),
                )
                for place, comparison in enumerate(
                    c for c in run.verdict.comparisons if c.kind == found[0].comparisons[0].kind
                )
            )
            if found[0].comparisons
            else (),
        ),
        Table(
            caption="Void slots by arm",
            columns=("Arm", "Void", "Of", "Share", "p, against the baseline's"),
            rows=tuple(
                (
                    name_condition(run.conditions[share.condition].label, share.arm),
                    str(share.void),
                    str(share.slots),
                    format_share(round(share.void / share.slots, 3)),
                    ABSENT if share.p_value is None else format_p_value(share.p_value),
                )
                for share in shares
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def _name(variant: WithoutGates) -> str:
    name = variant.left_out if variant.left_out == NO_GATE else f"without {variant.left_out}"
    return f"{name}, {variant.slots} slots"
