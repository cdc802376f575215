"""All that a run concludes: comparisons, steps, changes and claims, with what could not be measured."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from bench.judgement.change import Change, find_changes
from bench.judgement.claim import ClaimVerdict, judge_claim, leave_claim_open
from bench.judgement.comparison import Compared, Comparison, compare, compare_with_itself
from bench.judgement.ladder import compare_steps
from bench.judgement.samples import Measured, sort_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics


class Verdict(BaseModel):
    """All that a run concludes, and the scope in which it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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


def judge(
    scenario: Scenario,
    slots: Sequence[SlotMetrics],
    scope: Mapping[str, str],
    seed: int,
    warnings: Iterable[str] = (),
    unavailable: Mapping[str, str] = {},
    unavailable_conditions: Mapping[int, str] = {},
    unavailable_under: Mapping[int, Mapping[str, str]] = {},
) -> Verdict:
    """The verdict on `scenario` from its measured slots.

    `unavailable`: arm -> why it cannot be had here; `unavailable_conditions`: the same by index
    into `conditions(scenario)`, and `unavailable_under` by that and arm. The baseline is available
    under every other condition, or there would be no run. Of conditions with taps there are changes
    alone.
    """
    measured = sort_slots(scenario, slots, seed)
    arms = [arm.name for arm in scenario.compared if arm.name not in unavailable]
    present = [index for index in range(len(measured.conditions)) if index not in unavailable_conditions]
    own_pairs = {
        (arm, condition, metric): compare_with_itself(measured, arm, condition, metric)
        for condition in present
        for arm in arms
        if arm not in unavailable_under.get(condition, {})
        if scenario.repeats(scenario.arm(arm)) > 1
        for metric in scenario.metrics
    }
    comparisons: list[Comparison] = []
    steps: list[Comparison] = []
    claims: list[ClaimVerdict] = []
    for condition, about in enumerate(measured.conditions):
        if not about.is_compared:
            continue
        if condition in unavailable_conditions:
            name = about.label or "the only condition"
            reason = f"{name} is NOT AVAILABLE here: {unavailable_conditions[condition]}"
            claims += [leave_claim_open(claim, about.label, reason) for claim in scenario.claims]
            continue
        gaps = {**unavailable, **unavailable_under.get(condition, {})}
        of_arms = [
            compare(
                measured,
                own_pairs,
                Compared.ARMS,
                (measured.side(scenario.baseline, condition), measured.side(arm, condition)),
                metric,
            )
            for arm in arms
            if arm != scenario.baseline and arm not in gaps
            for metric in scenario.metrics
        ]
        comparisons += of_arms
        comparisons += [pair for (_, index, _), pair in own_pairs.items() if index == condition]
        steps += compare_steps(measured, own_pairs, condition, gaps)
        claims += _judge_claims(measured, of_arms, about.label, gaps)
    return Verdict(
        comparisons=tuple(comparisons),
        claims=tuple(claims),
        steps=tuple(steps),
        changes=tuple(
            find_changes(measured, own_pairs, arms, unavailable_conditions, absent=unavailable_under)
        ),
        scope=dict(scope),
        warnings=tuple(warnings),
        unavailable=dict(unavailable),
        unavailable_conditions={
            measured.conditions[index].label: reason for index, reason in unavailable_conditions.items()
        },
        unavailable_under={
            measured.conditions[index].label: dict(reasons) for index, reasons in unavailable_under.items()
        },
    )


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
