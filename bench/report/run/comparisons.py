"""Comparisons become tables: arms against the baseline, arms against themselves, and other methods.

Where there is one candidate its metrics stand in one table; where there are several, a metric's arms do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.judgement.comparison import Compared, Comparison, Word
from bench.report.run.answer import compared_metrics, comparisons_of_arms, pairs_of_arms
from bench.report.symbols import DIFFERS
from bench.report.table import NOT_AVAILABLE, Table
from bench.report.text import (
    ABSENT,
    format_difference,
    format_interval,
    format_p_value,
    format_ratio,
    format_share,
    format_value,
    name_condition,
)
from bench.results.run import Run
from bench.scenario.metric import Metric

FEW_PAIRS = 9
"""More A/A pairs than these are in a table a metric."""


class Group(NamedTuple):
    """Comparisons that share a table: of one condition, and one candidate or one metric."""

    condition: str
    candidate: str
    metric: Metric | None
    members: tuple[Comparison, ...]
    first: Metric
    """That the run compares, in the order in which metrics are listed."""

    @property
    def is_second(self) -> bool:
        """Whether the table can be folded: it holds another metric than the first."""
        return self.metric not in (None, self.first)


def tell_comparisons(run: Run) -> Mapping[str, Any] | None:
    """Arms against the baseline."""
    tables = tabulate_comparisons(run)
    return {"baseline": run.record.scenario.baseline, "tables": tables} if tables else None


def has_several_candidates(run: Run) -> bool:
    """Whether more than one arm stands against the baseline."""
    return len(run.record.scenario.compared) > 2


def tabulate_comparisons(run: Run) -> list[Table]:
    """Candidates against the baseline, with those that could not be had."""
    several, baseline = has_several_candidates(run), run.record.scenario.baseline
    tables = []
    for group in _group(comparisons_of_arms(run), by_metric=several):
        first, other = ("Arm", "This arm") if several else ("Metric", group.candidate)
        about = f"{group.metric.label if group.metric else other} against {baseline}"
        tables.append(
            Table(
                caption=name_condition(group.condition, about),
                columns=(
                    first,
                    baseline,
                    other,
                    "Ratio, 95 %",
                    "Difference, 95 %",
                    "Margin",
                    "Blocks",
                    "Word",
                    "Notes",
                ),
                rows=(
                    *(_cells(member, several) for member in group.members),
                    *_gap_rows(run, group, several),
                ),
                prose=frozenset({"Notes", "Blocks"}),
                folded=group.is_second,
            )
        )
    return [*tables, *_tabulate_gaps(run, has_rows=bool(tables) and several)]


def _cells(comparison: Comparison, several: bool) -> tuple[str, ...]:
    return (
        comparison.candidate if several else comparison.metric.label,
        format_value(comparison.baseline_value, comparison.unit),
        format_value(comparison.candidate_value, comparison.unit),
        _format_ratios(comparison),
        format_difference(comparison),
        format_share(comparison.margin),
        format_blocks(comparison.blocks, comparison.unit_of_replication),
        word_of(comparison),
        "; ".join((*comparison.notes, *_describe_power(comparison))) or ABSENT,
    )


def _describe_power(comparison: Comparison) -> Iterator[str]:
    """Beside INCONCLUSIVE, which may mean that there is nothing or that the run was too small."""
    if comparison.word is Word.INCONCLUSIVE and comparison.power_at_margin is not None:
        found = f"{comparison.power_at_margin:.0%}".replace("%", " %")
        yield f"a difference of the margin would be found in {found} of such runs"


def _format_ratios(comparison: Comparison) -> str:
    if comparison.ci90 is None:
        return format_ratio(comparison.ratio, comparison.ci95)
    lines = [format_ratio(comparison.ratio, comparison.ci95), f"90 %: {_format_ends(comparison.ci90)}"]
    if comparison.new_session_ci95:
        lines.append(f"a new session: {_format_ends(comparison.new_session_ci95)}")
    return "\n".join(lines)


def _format_ends(interval: tuple[float, float]) -> str:
    return format_interval(interval, lambda end: f"{end:.3f}")


def format_blocks(blocks: int, unit_of_replication: str) -> str:
    """How many blocks, and what the interval is over where it is not over them."""
    return (
        f"{blocks}" if unit_of_replication == "block" else f"{blocks}, interval over {unit_of_replication}s"
    )


def word_of(comparison: Comparison) -> str:
    """The word as it is shown: an arm is neither better nor worse than itself."""
    if comparison.kind is Compared.ITSELF and comparison.word in (Word.BETTER, Word.WORSE):
        return DIFFERS
    return str(comparison.word)


def _gap_rows(run: Run, group: Group, several: bool) -> list[tuple[str, ...]]:
    """A row an arm that could not be had under the group's condition."""
    verdict = run.verdict
    gaps = {**verdict.unavailable, **verdict.unavailable_under.get(group.condition, {})} if several else {}
    compared = {arm.name for arm in run.record.scenario.compared}
    return [(arm, *[ABSENT] * 6, NOT_AVAILABLE, reason) for arm, reason in gaps.items() if arm in compared]


def _tabulate_gaps(run: Run, *, has_rows: bool) -> list[Table]:
    """What has no place in another table: conditions, and arms where nothing could be compared."""
    verdict = run.verdict
    gaps = dict(verdict.unavailable_conditions) | ({} if has_rows else dict(verdict.unavailable))
    for condition, reasons in verdict.unavailable_under.items() if not has_rows else ():
        gaps |= {f"{arm} under {condition}": reason for arm, reason in reasons.items()}
    if not gaps:
        return []
    return [
        Table(
            caption="What could not be had here",
            columns=("Arm or condition", "Word", "Why"),
            rows=tuple((name, NOT_AVAILABLE, reason) for name, reason in gaps.items()),
            prose=frozenset({"Why"}),
        )
    ]


def tabulate_pairs(run: Run) -> list[Table]:
    """Each arm against itself."""
    pairs = pairs_of_arms(run)
    by_metric = len({pair.baseline for pair in pairs}) * len(compared_metrics(run)) > FEW_PAIRS
    return [
        Table(
            caption=name_condition(
                group.condition, f"{group.metric.label}: A/A pairs" if group.metric else "A/A pairs"
            ),
            columns=(
                "Arm" if by_metric else "Arm and metric",
                "One half",
                "Other half",
                "Ratio, 95 %",
                "90 %",
                "Difference, 95 %",
                "Blocks",
                "Word",
            ),
            rows=tuple(
                (
                    pair.candidate if by_metric else f"{pair.candidate}, {pair.metric.label}",
                    format_value(pair.baseline_value, pair.unit),
                    format_value(pair.candidate_value, pair.unit),
                    format_ratio(pair.ratio, pair.ci95),
                    format_interval(pair.ci90, lambda end: f"{end:.3f}"),
                    format_difference(pair),
                    format_blocks(pair.blocks, pair.unit_of_replication),
                    word_of(pair),
                )
                for pair in group.members
            ),
            folded=group.is_second,
        )
        for group in _group(pairs, by_metric=by_metric, by_candidate=False)
    ]


def tabulate_methods(run: Run) -> list[Table]:
    """The comparisons of arms by methods that assume less."""
    several, baseline = has_several_candidates(run), run.record.scenario.baseline
    return [
        Table(
            caption=name_condition(
                group.condition,
                f"{group.metric.label if group.metric else group.candidate} against {baseline}",
            ),
            columns=(
                "Arm" if several else "Metric",
                "Ratio, interval",
                "Bootstrap interval",
                "Hodges-Lehmann ratio",
                "p",
                "Sign-flip p",
            ),
            rows=tuple(
                (
                    member.candidate if several else member.metric.label,
                    format_ratio(member.ratio, member.ci95),
                    format_interval(member.bootstrap_ci95, lambda end: f"{end:.3f}"),
                    format_ratio(member.hodges_lehmann_ratio, None),
                    format_p_value(member.p_value),
                    format_p_value(member.sign_flip_p_value),
                )
                for member in group.members
            ),
            folded=group.is_second,
        )
        for group in _group(comparisons_of_arms(run), by_metric=several)
    ]


def _group(comparisons: Sequence[Comparison], *, by_metric: bool, by_candidate: bool = True) -> list[Group]:
    """In the scenario's order of conditions; a metric's table before the next metric's."""
    key: Callable[[Comparison], tuple[str, str, Metric | None]] = (
        (lambda c: (c.condition, "", c.metric))
        if by_metric
        else (lambda c: (c.condition, c.candidate if by_candidate else "", None))
    )
    found: dict[tuple[str, str, Metric | None], list[Comparison]] = {}
    for comparison in comparisons:
        found.setdefault(key(comparison), []).append(comparison)
    first = comparisons[0].metric if comparisons else next(iter(Metric))
    return [Group(*about, tuple(members), first) for about, members in found.items()]
