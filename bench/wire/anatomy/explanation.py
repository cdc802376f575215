"""From one arm's time on the wire to another's, hop by hop, and what slots without taps measured of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.judgement.change import Change, pair_conditions
from bench.judgement.comparison import Compared, Comparison
from bench.scenario.conditions import Condition, conditions
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario
from bench.scenario.served import name_served
from bench.wire.anatomy.hop_names import title_hop
from bench.wire.anatomy.model import TAPS, ArmAnatomy, Bar, Captured, Explanation
from bench.wire.anatomy.waterfall import Interval, Step, draw_waterfall

P50 = Metric.P50_LATENCY_US
Cell = tuple[int, str]
"""A condition, by index, and an arm."""
Difference = tuple[float | None, Interval | None]
"""In us, with its interval."""


@dataclass(frozen=True)
class Known:
    """The captures of a run and their anatomies, and what it concluded of slots without taps."""

    scenario: Scenario
    conditions: Sequence[Condition]
    captured: Mapping[Cell, Sequence[Captured]]
    arms: Mapping[Cell, ArmAnatomy]
    comparisons: Sequence[Comparison]
    changes: Sequence[Change]

    def without_taps(self, condition: int) -> str | None:
        """Label of the condition that differs in the taps alone; None where there is none."""
        tapped = self.conditions[condition]
        lab = tapped.lab.model_copy(update={"taps": False})
        return next((c.label for c in self.conditions if (c.load, c.lab) == (tapped.load, lab)), None)

    def difference_of_arms(self, candidate: str, condition: int) -> Difference:
        """A candidate's difference from the baseline."""
        label = self.without_taps(condition)
        for found in self.comparisons:
            if (found.kind, found.candidate, found.metric, found.condition) == (
                Compared.ARMS,
                candidate,
                P50,
                label,
            ):
                return found.difference, found.difference_ci95
        return None, None

    def difference_of_conditions(self, arm: str, reference: int, condition: int) -> Difference:
        """An arm's difference under a condition from itself under another."""
        labels = self.without_taps(reference), self.without_taps(condition)
        for found in self._changes(arm, arm):
            if (found.reference_condition, found.condition) == labels:
                return found.difference, found.difference_ci95
        return None, None

    def cost_of_taps(self, arm: str, condition: int) -> float | None:
        """How much longer an arm's p50 is with taps than without."""
        for found in self._changes(arm, arm):
            if found.factor == TAPS and self.conditions[condition].label in (
                found.condition,
                found.reference_condition,
            ):
                # Levels stand in the scenario's order, which may begin with taps.
                sign = 1 if found.level == "true" else -1
                return None if found.difference is None else sign * found.difference
        return None

    def _changes(self, baseline: str, candidate: str) -> Iterator[Change]:
        for found in self.changes:
            if (found.metric, found.baseline, found.candidate) == (P50, baseline, candidate):
                yield found


def explain_arms(known: Known) -> Iterator[Explanation]:
    """Each other arm against the baseline, under each condition with taps."""
    for condition, arm in known.arms:
        baseline = (condition, known.scenario.baseline)
        if arm != known.scenario.baseline and baseline in known.arms:
            difference = known.difference_of_arms(arm, condition)
            yield _explain(known, (baseline, (condition, arm)), None, difference)


def explain_conditions(known: Known) -> Iterator[Explanation]:
    """Each arm against itself under another condition with taps."""
    tapped = {condition for condition, _ in known.arms}
    absent = [index for index in range(len(known.conditions)) if index not in tapped]
    for pair in pair_conditions(known.scenario, absent):
        for arm in (arm.name for arm in known.scenario.arms):
            before, after = (pair.reference, arm), (pair.condition, arm)
            if before in known.arms and after in known.arms:
                difference = known.difference_of_conditions(arm, pair.reference, pair.condition)
                yield _explain(known, (before, after), pair.factor, difference)


def _explain(
    known: Known, ends: tuple[Cell, Cell], factor: str | None, difference: Difference
) -> Explanation:
    old, new = (known.arms[end] for end in ends)
    before, after = ([capture.hops for capture in known.captured[end]] for end in ends)
    measured_us, measured_ci95 = difference
    waterfall = draw_waterfall(before, after, measured_us)
    costs = [known.cost_of_taps(arm, condition) for condition, arm in ends]
    return Explanation(
        baseline=old.arm,
        candidate=new.arm,
        reference=old.condition,
        condition=new.condition,
        factor=factor,
        waterfall=waterfall,
        bars=tuple(bar for step in waterfall.steps for bar in _list_bars(known.scenario, step, old, new)),
        measured_ci95=measured_ci95,
        client_us=new.shares.client.us - old.shares.client.us,
        taps_us=None if costs[0] is None or costs[1] is None else costs[1] - costs[0],
    )


def _list_bars(scenario: Scenario, step: Step, old: ArmAnatomy, new: ArmAnatomy) -> Iterator[Bar]:
    if not step.parts:
        titles = [
            title_hop(
                scenario.network(scenario.arm(arm.arm)),
                step.group,
                step.ends,
                name_served(scenario),
                conditions(scenario)[arm.condition].load.vantage,
            )
            for arm in (new, old)
        ]
        title = " instead of ".join(dict.fromkeys(titles))
        yield Bar(title=title, group=step.group, us=step.difference_us, ci95=step.ci95)
        return
    added = {hop.row.name: hop for hop in new.hops}
    saved = {hop.row.name: hop for hop in old.hops}
    for name, us in step.parts:
        hop = added.get(name) or saved[name]
        ci95 = hop.mean.ci95
        if ci95 is not None and name not in added:
            ci95 = -ci95[1], -ci95[0]
        yield Bar(title=hop.title, group=step.group, us=us, ci95=ci95)
