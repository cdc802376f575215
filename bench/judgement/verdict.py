"""All that a run concludes: comparisons, steps, changes and claims, with what could not be measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.judgement.change import Change, find_changes
from bench.judgement.claim import ClaimVerdict, judge_claim, leave_claim_open
from bench.judgement.comparison import (
    Compared,
    Comparison,
    compare,
    compare_with_itself,
    correct_for_family,
)
from bench.judgement.ladder import compare_steps
from bench.judgement.samples import Measured, sort_slots
from bench.judgement.splits import Split, find_splits
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
    splits: tuple[Split, ...] = ()
    """Along what was not shuffled: an after-effect makes comparisons INVALID, the others are to be known."""
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
    *,
    anytime: bool = False,
) -> Verdict:
    """The verdict on `scenario` from its measured slots. Of conditions with taps there are changes alone.

    `anytime`: the run may have ended by what it said; its intervals are those of confidence sequences.
    """
    measured = sort_slots(scenario, slots, seed, anytime=anytime)
    arms = [arm.name for arm in scenario.compared if arm.name not in unavailable.arms]
    splits = find_splits(measured, arms, unavailable.conditions)
    pairs = _compare_with_themselves(measured, arms, unavailable)
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
        of_arms = _compare_arms(measured, splits, condition, candidates)
        comparisons += _correct_for_arms(of_arms)
        comparisons += pairs[condition]
        steps += compare_steps(measured, splits, condition, gaps)
        # A claim is about two arms that were named beforehand: how many others there are is nothing to it.
        claims += _judge_claims(measured, of_arms, about.label, gaps)
    labels = [condition.label for condition in measured.conditions]
    return Verdict(
        comparisons=tuple(comparisons),
        claims=tuple(claims),
        steps=tuple(steps),
        changes=tuple(find_changes(measured, splits, arms, unavailable.conditions, absent=unavailable.under)),
        splits=tuple(splits),
        scope=dict(scope),
        warnings=tuple(warnings),
        unavailable=dict(unavailable.arms),
        unavailable_conditions={labels[index]: reason for index, reason in unavailable.conditions.items()},
        unavailable_under={labels[index]: dict(reasons) for index, reasons in unavailable.under.items()},
    )


def _compare_with_themselves(
    measured: Measured, arms: Sequence[str], unavailable: Unavailable
) -> dict[int, list[Comparison]]:
    """The A/A pairs of every arm that is measured twice in a block, by condition: a picture of the noise."""
    return {
        condition: [
            compare_with_itself(measured, arm, condition, metric)
            for arm in arms
            if arm not in unavailable.under.get(condition, {})
            if measured.scenario.repeats(measured.scenario.arm(arm)) > 1
            for metric in measured.metrics
        ]
        for condition, about in enumerate(measured.conditions)
        if about.is_compared and condition not in unavailable.conditions
    }


def _compare_arms(
    measured: Measured, splits: Sequence[Split], condition: int, candidates: Sequence[str]
) -> list[Comparison]:
    base = measured.side(measured.scenario.baseline, condition)
    return [
        compare(measured, splits, Compared.ARMS, (base, measured.side(arm, condition)), metric)
        for arm in candidates
        for metric in measured.metrics
    ]


def _correct_for_arms(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons of one condition, those of each metric corrected for the number of arms."""
    corrected = {
        metric: iter(correct_for_family([c for c in comparisons if c.metric is metric]))
        for metric in {c.metric for c in comparisons}
    }
    return [next(corrected[comparison.metric]) for comparison in comparisons]


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
