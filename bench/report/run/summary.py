"""A run in a few lines of a terminal: an arm a row, then the ladder's steps and what factors changed."""

from bench.judgement.change import Changed
from bench.judgement.comparison import Comparison
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.changes import describe_held
from bench.report.run.comparisons import has_several_candidates
from bench.report.run.steps import name_step
from bench.report.table import NOT_AVAILABLE, Table
from bench.report.text import ABSENT, format_change, format_difference, format_ratio, name_condition
from bench.results.run import Run

RESULT = ("ratio [95 %]", "difference [95 %]", "word")


def summarise(run: Run) -> list[Table]:
    """Tables without notes: of several arms only the headline, all metrics of a single candidate.

    None at all where no cell has a figure: the answer says why there is none.
    """
    tables = [*_summarise_arms(run), *_summarise_steps(run), *_summarise_changes(run)]
    cells = (cell for table in tables for row in table.rows for cell in row[1:-1])
    return tables if any(cell != ABSENT for cell in cells) else []


def _summarise_arms(run: Run) -> list[Table]:
    several, baseline = has_several_candidates(run), run.record.scenario.baseline
    headline = run.record.scenario.headline
    tables = []
    for condition in run.conditions:
        if not condition.is_compared or condition.label in run.verdict.unavailable_conditions:
            continue
        found = [c for c in comparisons_of_arms(run) if c.condition == condition.label]
        rows = [
            (c.candidate if several else c.metric.label, *_result(c))
            for c in found
            if c.metric is headline or not several
        ]
        gaps = [*run.verdict.unavailable, *run.verdict.unavailable_under.get(condition.label, {})]
        rows += [(name, ABSENT, ABSENT, NOT_AVAILABLE) for name in gaps]
        caption = f"{headline.label} against {baseline}" if several else ""
        tables.append(
            Table(
                caption=name_condition(condition.label, caption) if caption else condition.label,
                columns=("arm" if several else "metric", *RESULT),
                rows=tuple(rows),
            )
        )
    return tables


def _result(comparison: Comparison) -> tuple[str, str, str]:
    return (
        format_ratio(comparison.ratio, comparison.ci95),
        format_difference(comparison),
        str(comparison.word),
    )


def _summarise_steps(run: Run) -> list[Table]:
    leading = run.record.scenario.leading
    steps = [step for step in run.verdict.steps if step.metric is leading]
    return [
        Table(
            caption=name_condition(
                condition, f"what each step adds to the {leading.label} (BETTER: the rung before it is)"
            ),
            columns=("step", *RESULT[1:]),
            rows=tuple(
                (name_step(step), format_difference(step), str(step.word))
                for step in steps
                if step.condition == condition
            ),
        )
        for condition in dict.fromkeys(step.condition for step in steps)
    ]


def _summarise_changes(run: Run) -> list[Table]:
    leading = run.record.scenario.leading
    of_costs = [change for change in run.verdict.changes if change.kind is Changed.COST]
    costs = [change for change in of_costs if change.metric is leading]
    if not costs:
        return []
    several = has_several_candidates(run)
    return [
        Table(
            caption=f"{factor}: change of the cost at the {leading.label}",
            columns=("from → to", *RESULT),
            rows=tuple(
                (
                    (f"{change.candidate}: " if several else "")
                    + f"{change.reference} → {change.level}{describe_held(change)}",
                    format_ratio(change.ratio, change.ci95),
                    format_change(change.difference, change.difference_ci95, change.unit),
                    str(change.word),
                )
                for change in costs
                if change.factor == factor
            ),
        )
        for factor in dict.fromkeys(change.factor for change in costs)
    ]


def list_gaps(run: Run) -> list[str]:
    """Each arm and condition that could not be had, with the reason."""
    gaps = {**run.verdict.unavailable, **run.verdict.unavailable_conditions}
    for condition, reasons in run.verdict.unavailable_under.items():
        gaps |= {f"{arm} under {condition}": reason for arm, reason in reasons.items()}
    return [f"{name}: {NOT_AVAILABLE} here: {reason}" for name, reason in gaps.items()]


def list_claims(run: Run) -> list[str]:
    """The word on each claim, under each condition."""
    return [
        f"claim {claim.id}: {claim.word}" + (f" ({claim.condition})" if claim.condition else "")
        for claim in run.verdict.claims
    ]
