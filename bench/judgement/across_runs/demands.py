"""What `bench check` demands of a run: a claim's word, a limit on a cost, no regression.

A demand is MET only where the whole 95 % interval meets it: noise must never pass for a success, and
says itself that it is noise.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bench.errors import ExitCode
from bench.judgement.across_runs.two_runs import RunComparison
from bench.judgement.change import Changed, ChangeWord
from bench.judgement.claim import ClaimVerdict, ClaimWord
from bench.judgement.comparison import Compared, Comparison, Word
from bench.scenario.metric import Metric

Interval = tuple[float, float]
INTEGRITY = "integrity"


class DemandWord(StrEnum):
    """The outcome of one demand."""

    MET = "MET"
    FAILED = "FAILED"
    INCONCLUSIVE = "INCONCLUSIVE"
    """The interval holds the limit, or the claim has no answer: not met, for want of precision."""
    INVALID = "INVALID"
    """The figure that it is about is not to be used."""


class Demand(BaseModel):
    """One demand: what it asks, what was seen, and the word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """`integrity`, `claim`, `cost` or `regression`."""
    name: str
    """Of what: a claim, or an arm and a metric, and the condition."""
    asked: str
    seen: str
    word: DemandWord


def demand_integrity(faults: Sequence[str], what: str = "run") -> Demand:
    """That what was measured is as it was written, where it is not: nothing can be judged then."""
    return Demand(
        kind=INTEGRITY,
        name=f"the {what} as it was measured",
        asked="every file as it was written",
        seen="; ".join(faults),
        word=DemandWord.INVALID,
    )


def demand_claim(verdicts: Iterable[ClaimVerdict], claim: str, wanted: ClaimWord) -> Iterator[Demand]:
    """That the claim's word is the wanted one, under every condition."""
    for verdict in verdicts:
        if verdict.id != claim:
            continue
        word = DemandWord.FAILED
        if not verdict.holm_p_values:  # none of its comparisons is usable
            word = DemandWord.INVALID
        elif verdict.word is wanted:
            word = DemandWord.MET
        elif verdict.word is ClaimWord.INCONCLUSIVE:
            word = DemandWord.INCONCLUSIVE
        yield Demand(
            kind="claim",
            name=_name(f"claim {claim}", verdict.condition),
            asked=str(wanted),
            seen=f"{verdict.word} ({verdict.reason})",
            word=word,
        )


def demand_cost(
    comparisons: Iterable[Comparison], limit: float, arms: Collection[str], metrics: Collection[Metric]
) -> Iterator[Demand]:
    """That the cost of each of `arms` on each of `metrics` is below `limit`, with its whole interval."""
    for comparison in comparisons:
        if comparison.kind is Compared.ARMS and comparison.candidate in arms and comparison.metric in metrics:
            invalid = comparison.word is Word.INVALID
            what = f"cost of {comparison.candidate} at {comparison.metric.label}"
            yield _limit(
                "cost",
                _name(what, comparison.condition),
                (comparison.ratio, comparison.ci95, limit),
                comparison.notes,
                invalid=invalid,
            )


def demand_no_regression(
    found: RunComparison, arms: Collection[str], metrics: Collection[Metric]
) -> Iterator[Demand]:
    """That no cost grew from the baseline run to this one by the declared margin or more."""
    for change in found.of_kind(Changed.COST):
        if change.candidate in arms and change.metric in metrics:
            yield _limit(
                "regression",
                _name(
                    f"cost of {change.candidate} at {change.metric.label} since {found.before}",
                    change.condition,
                ),
                (change.ratio, change.ci95, 1 + change.margin),
                change.notes,
                invalid=change.word is ChangeWord.INVALID,
            )


def exit_code(demands: Iterable[Demand]) -> ExitCode:
    """10 where one is not met; 4 where one rests on a figure that is INVALID and all others are met, and
    where the run is not as it was measured, whatever its figures say; 0 where all are met.
    """
    demands = list(demands)
    if any(demand.kind == INTEGRITY for demand in demands):
        return ExitCode.INVALID_MEASUREMENT
    words = {demand.word for demand in demands}
    if words & {DemandWord.FAILED, DemandWord.INCONCLUSIVE}:
        return ExitCode.GATE_FAILED
    return ExitCode.INVALID_MEASUREMENT if DemandWord.INVALID in words else ExitCode.DONE


def _limit(
    kind: str,
    name: str,
    effect: tuple[float | None, Interval | None, float],
    notes: Collection[str],
    *,
    invalid: bool,
) -> Demand:
    ratio, ci95, limit = effect
    asked = f"below {limit:.4g}"
    if invalid or ratio is None or ci95 is None:
        reason = "; ".join(notes) or "there is no ratio"
        return Demand(kind=kind, name=name, asked=asked, seen=reason, word=DemandWord.INVALID)
    if ci95[1] < limit:
        word = DemandWord.MET
    else:
        word = DemandWord.FAILED if ci95[0] >= limit else DemandWord.INCONCLUSIVE
    return Demand(
        kind=kind, name=name, asked=asked, seen=f"{ratio:.4f} [{ci95[0]:.4f}, {ci95[1]:.4f}]", word=word
    )


def _name(what: str, condition: str) -> str:
    return f"{what} ({condition})" if condition else what
