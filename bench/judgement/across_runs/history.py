"""Comparisons of many runs become lines over time, and lines have change points.

Of one line are only runs that `bench compare` would compare: the same two arms, settings and margin.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from bench.judgement.across_runs.comparability import describe_circumstances, describe_question
from bench.judgement.across_runs.disagreement import Disagreement, list_disagreements
from bench.judgement.across_runs.locustfiles import describe_locustfile
from bench.judgement.across_runs.services import describe_service
from bench.judgement.comparison import Compared, Comparison, Word
from bench.records.run import RunRecord
from bench.scenario.conditions import conditions
from bench.scenario.metric import Metric
from bench.statistics.change_points import fewest_runs, find_change_points, share_of_look

ALPHA = 0.05
"""Of all lines of a scenario together, shared equally among them (Bonferroni), over all readings."""


class Frozen(BaseModel):
    """Immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(Frozen):
    """One run's answer."""

    run: str
    started_at: str
    ratio: float | None
    ci95: tuple[float, float] | None
    difference: float | None
    baseline_value: float | None
    candidate_value: float | None
    word: Word

    @property
    def usable(self) -> bool:
        """Whether it is an answer."""
        return self.ratio is not None and self.word is not Word.INVALID


class Turn(Frozen):
    """A change point: from the level of the runs before to that of the runs from `run` on."""

    run: str
    started_at: str
    before: float
    """Geometric mean of the ratios of the level that ends."""
    after: float
    p_value: float
    differences: tuple[Disagreement, ...]
    """What differs around the two runs on either side."""


class Line(Frozen):
    """One comparison on one metric over time."""

    scenario: str
    condition: str
    metric: Metric
    baseline: str
    candidate: str
    plan: tuple[Disagreement, ...]
    """In what its plan differs from that of the scenario's first line of this name."""
    points: tuple[Point, ...]
    turns: tuple[Turn, ...]
    needed: int
    """Usable runs that a change point could be found from."""

    @property
    def usable(self) -> list[Point]:
        """Points that are answers."""
        return [point for point in self.points if point.usable]


@dataclass(frozen=True)
class Answer:
    """A run's comparison, and the question that it answers."""

    record: RunRecord
    comparison: Comparison
    question: dict[str, str]

    @property
    def name(self) -> tuple[str, ...]:
        """What a person calls the line."""
        about = self.comparison
        return self.record.scenario.name, about.condition, about.metric, about.candidate

    @property
    def key(self) -> tuple[object, ...]:
        """What is equal in all answers of a line."""
        about = self.comparison
        return self.record.scenario.name, about.metric, about.candidate, *self.question.items()


def trace_lines(runs: Iterable[tuple[RunRecord, Sequence[Comparison]]]) -> list[Line]:
    """The lines of all `runs` (a record with its comparisons), by scenario and in order of time.

    A run that is given twice (a copy of its folder) counts once.
    """
    by_id = {record.id: (record, comparisons) for record, comparisons in runs}
    lines: dict[tuple[object, ...], list[Answer]] = {}
    for record, comparisons in sorted(by_id.values(), key=lambda run: (run[0].started_at, run[0].id)):
        for answer in _answers(record, comparisons):
            lines.setdefault(answer.key, []).append(answer)
    shares = Counter(answers[0].record.scenario.name for answers in lines.values())
    first: dict[tuple[str, ...], dict[str, str]] = {}
    found = []
    for answers in lines.values():
        latest = answers[-1]
        alpha = ALPHA / shares[latest.record.scenario.name]
        usual = first.setdefault(latest.name, latest.question)
        found.append(_make_line(answers, list_disagreements(usual, latest.question), alpha))
    return sorted(found, key=lambda line: (line.scenario, list(Metric).index(line.metric)))


def _make_line(answers: Sequence[Answer], plan: Iterable[Disagreement], alpha: float) -> Line:
    latest = answers[-1]
    points = [_point(answer.record, answer.comparison) for answer in answers]
    usable = [index for index, point in enumerate(points) if point.usable]
    return Line(
        scenario=latest.record.scenario.name,
        condition=latest.comparison.condition,
        metric=latest.comparison.metric,
        baseline=latest.comparison.baseline,
        candidate=latest.comparison.candidate,
        plan=tuple(plan),
        points=tuple(points),
        turns=tuple(
            _find_turns(
                [points[index] for index in usable], [answers[index].record for index in usable], alpha
            )
        ),
        needed=fewest_runs(alpha, looked=True),
    )


def _answers(record: RunRecord, comparisons: Sequence[Comparison]) -> Iterator[Answer]:
    plan = record.scenario
    settings = {condition.label: condition for condition in conditions(plan)}
    for about in comparisons:
        if about.kind is Compared.ARMS:
            condition = settings[about.condition]
            if condition.lab.taps:
                continue  # what captures cost is no cost of a mode
            question = describe_question(plan, condition, about.candidate, about.metric)
            yield Answer(record, about, question | describe_locustfile(record) | describe_service(record))


def _point(record: RunRecord, comparison: Comparison) -> Point:
    return Point(
        run=record.id,
        started_at=record.started_at,
        **{
            name: getattr(comparison, name)
            for name in ("ratio", "ci95", "difference", "baseline_value", "candidate_value", "word")
        },
    )


def _find_turns(points: Sequence[Point], records: Sequence[RunRecord], alpha: float) -> Iterator[Turn]:
    logs = [log(point.ratio) for point in points if point.ratio is not None]
    changes = find_change_points(logs, alpha * share_of_look(len(logs)))
    ends = [0, *(change.index for change in changes), len(logs)]
    levels = [exp(fmean(logs[start:end])) for start, end in pairwise(ends) if end > start]
    for place, change in enumerate(changes):
        new = points[change.index]
        around = [describe_circumstances(records[index]) for index in (change.index - 1, change.index)]
        yield Turn(
            run=new.run,
            started_at=new.started_at,
            before=levels[place],
            after=levels[place + 1],
            p_value=change.p_value,
            differences=tuple(list_disagreements(*around)),
        )
