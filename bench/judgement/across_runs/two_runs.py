"""What changed between two runs: of each cost, and of each arm by itself.

Blocks of two runs are independent samples. A cost is a ratio within blocks, so that it is free of
what slows the whole machine; an arm by itself is not, and includes the machine's drift from one
run to the other.
"""

from collections.abc import Sequence
from math import exp

from pydantic import BaseModel, ConfigDict

from bench.judgement.across_runs.comparability import Comparability, require_comparable
from bench.judgement.change import Change, Changed, ChangeWord, choose_words
from bench.judgement.effect import contrast_blocks, measure_shift, to_ratios
from bench.judgement.samples import Measured, Sample, sort_slots
from bench.judgement.splits import Split, describe_doubt, find_doubt, find_splits
from bench.records.run import RunRecord
from bench.scenario.metric import Metric
from bench.statistics.estimate import estimate

ONE_SESSION = (
    "one session in a run: what a restart of the engine alone does to an arm cannot be told from this"
)
"""So no run of a single session has its cost called CHANGED: where a restart moves it by 0.7 %, a quarter of
equal runs would (see docs/false-verdicts.md)."""


class RunChange(Change):
    """What changed from one run to another; `factor` is `run`, `reference` and `level` are their ids."""

    reference_value: float | None = None
    """In the first run: the cost (a ratio), or the arm's value (geometric mean over blocks, in `unit`)."""
    reference_ci95: tuple[float, float] | None = None
    value: float | None = None
    """The same in the second run."""
    value_ci95: tuple[float, float] | None = None
    reference_blocks: int
    """Of the first run; `blocks` are the second's."""
    one_session: bool = False
    """A run has a single session: `ONE_SESSION` is among the notes, and it is not called CHANGED."""


class RunComparison(BaseModel):
    """Two runs, what differs around them, and what changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str
    scenario: str
    question: str
    before_started_at: str
    after_started_at: str
    comparability: Comparability
    changes: tuple[RunChange, ...]
    faults: tuple[str, ...] = ()
    """A sentence for each of the two that is not as it was measured."""

    def of_kind(self, kind: Changed) -> list[RunChange]:
        """The changes of costs (`cost`), or of arms by themselves (`arm`)."""
        return [change for change in self.changes if change.kind == kind]


def compare_runs(before: RunRecord, after: RunRecord, across: Sequence[str] = ()) -> RunComparison:
    """What changed from `before` to `after`; `across` names settings whose difference is the subject.

    Holm's correction is over all changes of costs, and by itself over those of arms. Raises
    InputError, naming every field, where their plans are not comparable.
    """
    found = require_comparable(before, after, across)
    runs = (_sort(before), _sort(after))
    splits = tuple(find_splits(run, [arm.name for arm in run.scenario.compared]) for run in runs)
    baseline, metrics = before.scenario.baseline, _shared_metrics(*runs)
    costs = [(baseline, arm) for arm in found.arms if arm != baseline and baseline in found.arms]
    changes: list[RunChange] = []
    for subjects in (costs, [(arm, arm) for arm in found.arms]):
        measured = [
            _measure_change((before.id, after.id), runs, splits, pair, subject, metric)
            for pair in found.conditions
            for subject in subjects
            for metric in metrics
        ]
        changes += map(_heed_sessions, choose_words(measured))
    return RunComparison(
        before=before.id,
        after=after.id,
        scenario=after.scenario.name,
        question=after.scenario.question,
        before_started_at=before.started_at,
        after_started_at=after.started_at,
        comparability=found,
        changes=tuple(changes),
    )


def _heed_sessions(change: RunChange) -> RunChange:
    """CHANGED only where either run knows what another session of it would have said."""
    if change.one_session and change.word is ChangeWord.CHANGED:
        return change.model_copy(update={"word": ChangeWord.INCONCLUSIVE, "negligible": False})
    return change


def _sort(record: RunRecord) -> Measured:
    return sort_slots(record.scenario, [slot.metrics() for slot in record.slots], record.seed)


def _shared_metrics(before: Measured, after: Measured) -> list[Metric]:
    return [metric for metric in before.metrics if metric in after.metrics]


def _measure_change(
    ids: tuple[str, str],
    runs: tuple[Measured, Measured],
    splits: Sequence[Sequence[Split]],
    pair: tuple[int, int],
    subject: tuple[str, str],
    metric: Metric,
) -> RunChange:
    """A change whose word waits for the p-values of the others, unless it is INVALID."""
    baseline, candidate = subject
    names, signs = ([candidate], [1]) if baseline == candidate else ([baseline, candidate], [-1, 1])
    sides = [[run.side(name, index) for name in names] for run, index in zip(runs, pair, strict=True)]
    samples = [run.sample(metric, of_run) for run, of_run in zip(runs, sides, strict=True)]
    margin = runs[0].scenario.margins.of(metric)
    labels = [run.conditions[index].label for run, index in zip(runs, pair, strict=True)]
    about = {
        "metric": metric,
        "unit": metric.unit,
        "kind": Changed.ARM if baseline == candidate else Changed.COST,
        "factor": "run",
        "reference": ids[0],
        "level": ids[1],
        "reference_condition": labels[0],
        "condition": labels[1],
        "baseline": baseline,
        "candidate": candidate,
        "margin": margin,
        "reference_blocks": len(samples[0].blocks),
        "blocks": len(samples[1].blocks),
    }
    gaps = [
        f"{place} run: {sample.gap}"
        for place, sample in zip(("first", "second"), samples, strict=True)
        if not sample.is_enough
    ]
    if gaps:
        return RunChange(**about, word=ChangeWord.INVALID, notes=tuple(gaps))
    effect = measure_shift(samples[0], samples[1], signs, metric, runs[1].seed)
    doubts = [
        f"{place} run: {describe_doubt(doubt)}"
        for place, of_run, found in zip(("first", "second"), sides, splits, strict=True)
        if (doubt := find_doubt(found, of_run, margin))
    ]
    alone = any(len({block.session for block in sample.blocks}) == 1 for sample in samples)
    one_session = alone and not doubts
    notes = (*effect.notes, *doubts, *((ONE_SESSION,) if one_session else ()))
    levels = [_estimate_level(sample, signs, metric) for sample in samples]
    return RunChange(
        **about,
        **vars(effect) | {"notes": notes},
        reference_value=levels[0][0],
        reference_ci95=levels[0][1],
        value=levels[1][0],
        value_ci95=levels[1][1],
        one_session=one_session,
        word=ChangeWord.INVALID if doubts else ChangeWord.INCONCLUSIVE,
    )


def _estimate_level(
    sample: Sample, signs: Sequence[int], metric: Metric
) -> tuple[float, tuple[float, float]]:
    """What stands in one run: a cost's ratio, or an arm's value in its unit, with its interval."""
    logs, _, sessions = contrast_blocks(sample, signs, metric)
    if len(signs) == 1 and metric.higher_is_better:
        logs = [-value for value in logs]  # A value is no ratio: it has no orientation.
    found = estimate(logs, sessions)
    return exp(found.mean), to_ratios(found.ci95)
