"""All that a run concludes: comparisons, steps, changes and claims, with what could not be measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.judgement.change import Change, find_changes
from bench.judgement.claim import ClaimVerdict, judge_claim, leave_claim_open
from bench.judgement.comparison import Compared, Comparison, OwnPairs, compare, compare_with_itself
from bench.judgement.ladder import compare_steps
from bench.judgement.samples import Measured, sort_slots
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.stored import Stored


class Verdict(Stored):
    """All that a run concludes, and the scope in which it holds."""

    comparisons: tuple[Comparison, ...]
    """Of kind `arms` and `A/A`."""
    claims: tuple[ClaimVerdict, ...]
    steps: tuple[Comparison, ...] = ()
    """Of kind `step`, apart from the comparisons: their baseline is the rung below, not the scenario's."""
    changes: tuple[Change, ...] = ()
    scope: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    unavailable: Mapping[str, str] = {}
    """Arms whose mode cannot be had here, with the reason: nothing is concluded about them."""
    unavailable_conditions: Mapping[str, str] = {}
    """The same of conditions, by label."""
    unavailable_under: Mapping[str, Mapping[str, str]] = {}
    """Condition -> arm -> reason, of arms that can be had under another condition."""
    faults: tuple[str, ...] = ()
    """What of the run is not as it was written: where there is anything, nothing above is to be used."""


@dataclass(frozen=True)
class Unavailable:
    """What cannot be had on the machine, with the reasons; the baseline can, or there is no run."""

    arms: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[int, str] = field(default_factory=dict)
    """By index into `conditions(scenario)`."""
    under: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """By that index, of arms that can be had under another condition."""

    def arms_under(self, condition: int) -> dict[str, str]:
        """Every arm that cannot be had under the condition of that index."""
        return {**self.arms, **self.under.get(condition, {})}


def judge(
    scenario: Scenario,
    slots: Sequence[SlotMetrics],
    scope: Mapping[str, str],
    seed: int,
    warnings: Iterable[str] = (),
    unavailable: Unavailable = Unavailable(),
) -> Verdict:
    """The verdict on `scenario` from its measured slots. Of conditions with taps there are changes alone."""
    measured = sort_slots(scenario, slots, seed)
    arms = [arm.name for arm in scenario.compared if arm.name not in unavailable.arms]
    own_pairs = _compare_with_themselves(measured, arms, unavailable)
    comparisons: list[Comparison] = []
    steps: list[Comparison] = []
    claims: list[ClaimVerdict] = []
    for condition, about in enumerate(measured.conditions):
        if not about.is_compared:
            continue
        if condition in unavailable.conditions:
            name = about.label or "the only condition"
            reason = f"{name} is NOT AVAILABLE here: {unavailable.conditions[condition]}"
            claims += [leave_claim_open(claim, about.label, reason) for claim in scenario.claims]
            continue
        gaps = unavailable.arms_under(condition)
        candidates = [arm for arm in arms if arm != scenario.baseline and arm not in gaps]
        of_arms = _compare_arms(measured, own_pairs, condition, candidates)
        comparisons += of_arms
        comparisons += [pair for (_, index, _), pair in own_pairs.items() if index == condition]
        steps += compare_steps(measured, own_pairs, condition, gaps)
        claims += _judge_claims(measured, of_arms, about.label, gaps)
    labels = [condition.label for condition in measured.conditions]
    return Verdict(
        comparisons=tuple(comparisons),
        claims=tuple(claims),
        steps=tuple(steps),
        changes=tuple(
            find_changes(measured, own_pairs, arms, unavailable.conditions, absent=unavailable.under)
        ),
        scope=dict(scope),
        warnings=tuple(warnings),
        unavailable=dict(unavailable.arms),
        unavailable_conditions={labels[index]: reason for index, reason in unavailable.conditions.items()},
        unavailable_under={labels[index]: dict(reasons) for index, reasons in unavailable.under.items()},
    )


def _compare_with_themselves(
    measured: Measured, arms: Sequence[str], unavailable: Unavailable
) -> dict[tuple[str, int, Metric], Comparison]:
    """The A/A pairs of every arm that is measured twice in a block, under every condition that can be had,
    those with taps included."""
    return {
        (arm, condition, metric): compare_with_itself(measured, arm, condition, metric)
        for condition in range(len(measured.conditions))
        if condition not in unavailable.conditions
        for arm in arms
        if arm not in unavailable.under.get(condition, {})
        if measured.scenario.repeats(measured.scenario.arm(arm)) > 1
        for metric in measured.scenario.metrics
    }


def _compare_arms(
    measured: Measured, own_pairs: OwnPairs, condition: int, candidates: Sequence[str]
) -> list[Comparison]:
    base = measured.side(measured.scenario.baseline, condition)
    return [
        compare(measured, own_pairs, Compared.ARMS, (base, measured.side(arm, condition)), metric)
        for arm in candidates
        for metric in measured.scenario.metrics
    ]


def _judge_claims(
    measured: Measured, compared: Sequence[Comparison], condition: str, unavailable: Mapping[str, str]
) -> list[ClaimVerdict]:
    verdicts = []
    for claim in measured.scenario.claims:
        missing = [arm for arm in (claim.better, claim.than) if arm in unavailable]
        if missing:
            reason = f"{missing[0]} is NOT AVAILABLE here: {unavailable[missing[0]]}"
            verdicts.append(leave_claim_open(claim, condition, reason))
        else:
            verdicts.append(judge_claim(claim, measured.scenario.baseline, compared, condition))
    return verdicts
