"""All that a run concludes: comparisons and claims, and the scope in which they hold."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from bench.core.claim import ClaimVerdict, judge_claim
from bench.core.comparison import Comparison, compare, compare_with_itself
from bench.core.samples import SlotMetrics, sort_slots
from bench.core.scenario import Metric, Scenario


class Verdict(BaseModel):
    """All that a run concludes, and the scope in which it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    comparisons: tuple[Comparison, ...]
    """Of kind `arms` and `A/A`."""
    claims: tuple[ClaimVerdict, ...]
    scope: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def judge(
    scenario: Scenario,
    slots: Sequence[SlotMetrics],
    scope: Mapping[str, str],
    seed: int,
    warnings: Iterable[str] = (),
) -> Verdict:
    """The verdict on `scenario` from its measured slots."""
    measured = sort_slots(scenario, slots, seed)
    arms = [arm.name for arm in scenario.compared]
    own_pairs = {
        (arm, condition, metric): compare_with_itself(measured, arm, condition, metric)
        for condition in range(len(measured.conditions))
        for arm in arms
        for metric in Metric
    }
    comparisons: list[Comparison] = []
    claims: list[ClaimVerdict] = []
    for condition, about in enumerate(measured.conditions):
        of_arms = [
            compare(
                measured,
                own_pairs,
                "arms",
                (measured.side(scenario.baseline, condition), measured.side(arm, condition)),
                metric,
            )
            for arm in arms
            if arm != scenario.baseline
            for metric in Metric
        ]
        comparisons += of_arms
        comparisons += [pair for (_, index, _), pair in own_pairs.items() if index == condition]
        claims += [judge_claim(claim, scenario.baseline, of_arms, about.label) for claim in scenario.claims]
    return Verdict(
        comparisons=tuple(comparisons),
        claims=tuple(claims),
        scope=dict(scope),
        warnings=tuple(warnings),
    )
