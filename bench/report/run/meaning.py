"""What the run means for whoever has the service, a line an arm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.judgement.comparison import Comparison
from bench.judgement.meaning import Meaning, Standing, weigh
from bench.report.run.answer import comparisons_of_arms
from bench.report.text import format_change, format_number, format_share
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.served import name_served
from bench.wire.hops import SERVER_HOP

P50, CPU = Metric.P50_LATENCY_US, Metric.CPU_US_PER_REQUEST
FEW_CONDITIONS = 3
"""Of more than these an arm has the lines of its smallest and its largest share."""


def tell_meaning(run: Run) -> Mapping[str, Any] | None:
    """The lines, and what they are of; None where the run has no difference to tell."""
    lines = list_meanings(run)
    return {"said": _introduce(run), "lines": lines} if lines else None


def list_meanings(run: Run) -> list[str]:
    """A line a compared arm, and condition where there are few."""
    found = _find_meanings(run)
    candidates = dict.fromkeys(comparison.candidate for comparison, _ in found)
    return [
        line
        for name in candidates
        for line in _describe_arm(run, [pair for pair in found if pair[0].candidate == name])
    ]


def headline_meaning(run: Run) -> list[str]:
    """The line of one pair, if there is any: of a claim's arm, or else of the first that is compared."""
    claimed = {name for claim in run.record.scenario.claims for name in (claim.better, claim.than)}
    found = sorted(_find_meanings(run), key=lambda pair: pair[0].candidate not in claimed)
    return [f"What it means: {_describe(run, *pair)}." for pair in found[:1]]


def _introduce(run: Run) -> str:
    scenario = run.record.scenario
    margin = (
        "the margin, which the scenario declares as the smallest difference that matters, is of a request's"
        " whole time, the client's part included"
    )
    if any(meaning.own_us for _, meaning in _find_meanings(run)):
        return (
            f"What each mode adds to a request's p50, beside the time that {name_served(scenario)} itself"
            f" takes: the median of the hop at the server in {scenario.baseline}, where packets were"
            f" captured; {margin}."
        )
    return f"What each mode adds to a request's p50, beside that p50 in {scenario.baseline}; {margin}."


def _find_meanings(run: Run) -> list[tuple[Comparison, Meaning]]:
    compared = comparisons_of_arms(run)
    cpu = {(c.candidate, c.condition): c for c in compared if c.metric is CPU}
    own_us = dict(_list_own_times(run))
    found = [
        (
            c,
            weigh(
                c,
                own_us=own_us.get(c.condition),
                cpu=cpu.get((c.candidate, c.condition)),
                rate_rps=run.record.scenario.served.rate_rps,
            ),
        )
        for c in compared
        if c.metric is P50
    ]
    return [(comparison, meaning) for comparison, meaning in found if meaning]


def _list_own_times(run: Run) -> Iterator[tuple[str, float]]:
    """Label of a condition without taps -> us of the baseline's server hop under its like with taps."""
    for arm in run.anatomy.arms if run.tapped else ():
        if arm.arm != run.record.scenario.baseline:
            continue
        tapped = run.conditions[arm.condition]
        lab = tapped.lab.model_copy(update={"taps": False})
        [hop] = [hop for hop in arm.hops if hop.row.name == SERVER_HOP]
        for condition in run.conditions:
            if (condition.load, condition.lab) == (tapped.load, lab):
                yield condition.label, hop.row.median_us


def _describe_arm(run: Run, found: Sequence[tuple[Comparison, Meaning]]) -> list[str]:
    shown = list(found)
    if len(found) > FEW_CONDITIONS:
        by_share = sorted(found, key=lambda pair: pair[1].share_of_whole)
        shown = [by_share[0], by_share[-1]]
    more = f" (of {len(found)} conditions this is an end)" if len(shown) < len(found) else ""
    return [f"{_describe(run, c, meaning)}{more}." for c, meaning in shown]


def _describe(run: Run, comparison: Comparison, meaning: Meaning) -> str:
    """`bridge: +2.70 us [2.40, 2.90] of 840.0 us: 0.3 %, below your margin of 5 %`."""
    difference = format_change(meaning.difference_us, meaning.ci95_us, "us")
    margin = f"{_say_standing(meaning.standing)} your margin of {format_share(meaning.margin)}"
    whole = f"{format_number(meaning.whole_us)} us"
    said = f"{difference} of {whole}: {format_fraction(meaning.share_of_whole)}, {margin}"
    if meaning.own_us and meaning.share_of_own is not None:
        served = name_served(run.record.scenario)
        said = (
            f"{difference} of the {format_number(meaning.own_us)} us that {served} itself takes:"
            f" {format_fraction(meaning.share_of_own)}; of a request's whole {whole} it is"
            f" {format_fraction(meaning.share_of_whole)}, {margin}"
        )
    several = sum(condition.is_compared for condition in run.conditions) > 1
    condition = f" ({comparison.condition})" if several else ""
    return f"{comparison.candidate}{condition}: {said}{_describe_rate(run, meaning)}"


def _say_standing(standing: Standing) -> str:
    return "which this run cannot tell from" if standing is Standing.UNTOLD else str(standing)


def _describe_rate(run: Run, meaning: Meaning) -> str:
    """What it comes to in a second of the service's own rate, all requests together."""
    rate_rps, waiting_ms = run.record.scenario.served.rate_rps, meaning.waiting_ms
    if rate_rps is None or waiting_ms is None:
        return ""
    less = waiting_ms < 0
    said = f"; at {rate_rps:,g} requests a second: {_format_short(abs(waiting_ms))} ms of every second are"
    said += " no longer spent waiting" if less else " spent waiting for it"
    if meaning.core_share is not None:
        fewer = "less" if meaning.core_share < 0 else "more"
        said += f", and {format_fraction(abs(meaning.core_share))} of a core {fewer} is used"
    return said


def format_fraction(fraction: float) -> str:
    """A fraction as percent, with as many digits as mean something: `0.3 %`, `46 %`, `0.04 %`."""
    return f"{_format_short(100 * fraction)} %"


def _format_short(value: float) -> str:
    size = abs(value)
    return f"{value:,.{0 if size >= 10 else 1 if size >= 0.1 else 2}f}"
