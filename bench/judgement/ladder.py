"""The steps of the ladder: what each rung adds to the rung below it.

Rungs are arms, from the lightest path to the heaviest. The lighter rung of a step is its baseline,
so that a ratio above 1 means that the step costs something.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

from bench.judgement.comparison import Compared, Comparison, compare, correct_for_family
from bench.judgement.samples import Measured
from bench.judgement.splits import Split
from bench.scenario.metric import Metric


def list_steps(rungs: Sequence[str], unavailable: Collection[str]) -> list[tuple[str, str, list[str]]]:
    """Lighter rung, heavier rung, and the unavailable rungs between them that the step goes past."""
    places = [place for place, rung in enumerate(rungs) if rung not in unavailable]
    return [(rungs[low], rungs[high], list(rungs[low + 1 : high])) for low, high in pairwise(places)]


def compare_steps(
    measured: Measured, splits: Sequence[Split], condition: int, unavailable: Collection[str]
) -> list[Comparison]:
    """A comparison of kind `step` for each step and metric, under the condition of that index.

    The words of a metric's steps hold for all of them together.
    """
    listed = list_steps(measured.scenario.ladder, unavailable)
    by_metric = [
        correct_for_family(
            [
                _compare_step(measured, splits, condition, lighter, heavier, passed, metric)
                for lighter, heavier, passed in listed
            ]
        )
        for metric in measured.metrics
    ]
    return [step for of_step in zip(*by_metric, strict=True) for step in of_step]


def _compare_step(
    measured: Measured,
    splits: Sequence[Split],
    condition: int,
    lighter: str,
    heavier: str,
    passed: Sequence[str],
    metric: Metric,
) -> Comparison:
    sides = (measured.side(lighter, condition), measured.side(heavier, condition))
    step = compare(measured, splits, Compared.STEP, sides, metric)
    notes = tuple(f"{rung} is NOT AVAILABLE here: this step goes past it" for rung in passed)
    return step.model_copy(update={"notes": notes + step.notes})
