"""The steps of the ladder: what each rung adds to the rung below it.

Rungs are arms, from the lightest path to the heaviest. The lighter rung of a step is its baseline,
so that a ratio above 1 means that the step costs something.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

from bench.judgement.comparison import Compared, Comparison, OwnPairs, compare
from bench.judgement.samples import Measured


def list_steps(rungs: Sequence[str], unavailable: Collection[str]) -> list[tuple[str, str, list[str]]]:
    """Lighter rung, heavier rung, and the unavailable rungs between them that the step goes past."""
    places = [place for place, rung in enumerate(rungs) if rung not in unavailable]
    return [(rungs[low], rungs[high], list(rungs[low + 1 : high])) for low, high in pairwise(places)]


def compare_steps(
    measured: Measured, own_pairs: OwnPairs, condition: int, unavailable: Collection[str]
) -> list[Comparison]:
    """A comparison of kind `step` for each step and metric, under the condition of that index."""
    steps = []
    for lighter, heavier, passed in list_steps(measured.scenario.ladder, unavailable):
        sides = (measured.side(lighter, condition), measured.side(heavier, condition))
        notes = tuple(f"{rung} is NOT AVAILABLE here: this step goes past it" for rung in passed)
        for metric in measured.scenario.metrics:
            step = compare(measured, own_pairs, Compared.STEP, sides, metric)
            steps.append(step.model_copy(update={"notes": notes + step.notes}))
    return steps
