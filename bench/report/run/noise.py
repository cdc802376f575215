"""What a run says of its own noise: each arm against itself, at random and along what was not shuffled."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from bench.judgement.splits import Split, SplitKind
from bench.report.run.comparisons import tabulate_pairs
from bench.report.table import Table
from bench.report.text import ABSENT, format_p_value, format_ratio, name_condition
from bench.results.run import Run

SHOWN = 12
"""Splits of the smallest p-values; the rest is in `run.splits`."""


def tell_noise(run: Run) -> Mapping[str, Any] | None:
    """A/A pairs, which show the noise, and systematic splits, which show what noise is not."""
    facts = {"pairs": tabulate_pairs(run), "splits": _tabulate_splits(run)}
    return facts if any(facts.values()) else None


def tell_components(run: Run) -> Mapping[str, Any] | None:
    """Where the width of the p50's intervals comes from."""
    tables = _tabulate_components(run)
    return {"tables": tables} if tables else None


def describe_splits(run: Run) -> Iterable[str]:
    """A sentence for each split that is more than chance."""
    for split in run.verdict.splits:
        if split.is_told:
            yield f"{_name(run, split)}: {_describe(split)} (p {split.p_holm:.2g}, of all such splits)."


def _tabulate_splits(run: Run) -> list[Table]:
    found = sorted(run.verdict.splits, key=lambda split: split.p_value)
    if not found:
        return []
    return [
        Table(
            caption="Systematic splits of the p50"
            + (f": the {SHOWN} of {len(found)} with the smallest p" if len(found) > SHOWN else ""),
            columns=("What", "Ratio, 95 %", "p", "p, of all together", "Blocks"),
            rows=tuple(
                (
                    _name(run, split),
                    format_ratio(split.ratio, split.ci95) if split.ratio else ABSENT,
                    format_p_value(split.p_value),
                    format_p_value(split.p_holm),
                    str(split.blocks),
                )
                for split in found[:SHOWN]
            ),
            prose=frozenset({"What"}),
            folded=True,
        )
    ]


def _tabulate_components(run: Run) -> list[Table]:
    """Where the width of the p50's intervals comes from, and what more of each would give."""
    if not run.variance:
        return []
    return [
        Table(
            caption="Where the width of the p50's interval comes from",
            columns=(
                "Arm",
                "Session",
                "Block",
                "Container",
                "Wander",
                "95 % half-width",
                "With twice the blocks",
            ),
            rows=tuple(
                (
                    name_condition(run.conditions[condition].label, candidate),
                    *(
                        ABSENT if part is None else f"{100 * sqrt(part):.2f} %"
                        for part in (found.session, found.block, found.container, found.wander)
                    ),
                    f"± {100 * found.half_width(found.blocks):.2f} %",
                    f"± {100 * found.half_width(2 * found.blocks):.2f} %",
                )
                for (condition, candidate), found in run.variance.items()
            ),
        )
    ]


def _name(run: Run, split: Split) -> str:
    baseline = run.record.scenario.baseline
    said = {
        SplitKind.PREDECESSOR: f"{split.arm} after {split.after}, against after all others",
        SplitKind.PLACE: f"{split.arm} late in its block, against early",
        SplitKind.HALF: f"{split.arm} against {baseline}, second half of the run against the first",
        SplitKind.SESSION: f"{split.arm} against {baseline}, from session to session",
    }
    return name_condition(run.conditions[split.condition].label, said[split.kind])


def _describe(split: Split) -> str:
    if split.ratio is None:
        return "the sessions differ by more than their blocks do"
    return f"{100 * (split.ratio - 1):+.1f} %, which is more than chance"
