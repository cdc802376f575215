"""Numbers and findings as plain text, the same in the terminal, in HTML and in Markdown. No markup here."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from bench.judgement.comparison import NEGLIGIBLE, Comparison, Word
from bench.results.run import Run
from bench.scenario.model import Metric
from bench.scenario.modes.catalogue import Vantage

Interval = tuple[float, float]

ABSENT = "–"
"""Stands where there is no number."""
HEADLINE_METRICS = (Metric.P50_LATENCY_US, Metric.THROUGHPUT_RPS, Metric.P99_LATENCY_US)
"""Without a ratio of the scenario's headline the answer is given on the first of these that has one: the
p50 is the steadiest."""
MOST_CLAUSES = 3
"""Of more arms than these, the one sentence speaks of those that a claim names."""


def format_number(value: float) -> str:
    """Three or four digits that mean something: 7.89, 44.9, 113.8, 19,413."""
    size = abs(value)
    decimals = 2 if size < 10 else 1 if size < 1_000 else 0
    return f"{value:,.{decimals}f}"


def format_value(value: float | None, unit: str) -> str:
    """A value with its unit."""
    return ABSENT if value is None else f"{format_number(value)} {unit}"


def format_ratio(ratio: float | None, interval: Interval | None) -> str:
    """`1.176 [1.156, 1.195]`, with a fourth decimal where the interval is narrow enough to need it."""
    if ratio is None:
        return ABSENT
    if interval is None:
        return f"{ratio:.3f}"
    decimals = 3 if interval[1] - interval[0] > 0.004 else 4
    return f"{ratio:.{decimals}f} {format_interval(interval, lambda end: f'{end:.{decimals}f}')}"


def format_interval(interval: Interval | None, format_end: Callable[[float], str] = format_number) -> str:
    """`[low, high]`."""
    return ABSENT if interval is None else f"[{format_end(interval[0])}, {format_end(interval[1])}]"


def format_percent(ratio: float, interval: Interval, *, signed: bool) -> str:
    """A ratio as what it adds to 1: `17.6 % [15.6, 19.5]`, or `+11.3 % [-15.7, +46.8]`."""
    decimals = 1 if interval[1] - interval[0] > 0.004 else 2
    sign = "+" if signed else ""
    low, middle, high = (f"{(end - 1) * 100:{sign}.{decimals}f}" for end in (interval[0], ratio, interval[1]))
    return f"{middle} % [{low}, {high}]"


def format_difference(comparison: Comparison) -> str:
    """Candidate minus baseline with its 95 % interval."""
    return format_change(comparison.difference, comparison.difference_ci95, comparison.unit)


def format_change(difference: float | None, interval: Interval | None, unit: str) -> str:
    """A signed difference with its 95 % interval: `+7.89 us [7.09, 8.70]`."""
    if difference is None:
        return ABSENT
    sign = "+" if difference > 0 else ""
    return f"{sign}{format_number(difference)} {unit} {format_interval(interval)}"


def format_share(fraction: float) -> str:
    """A fraction as percent without idle zeros: `5 %`."""
    return f"{fraction * 100:.4g} %"


def format_p_value(p_value: float | None) -> str:
    """Two digits; a p-value has no more to say."""
    return ABSENT if p_value is None else f"{p_value:.2g}"


def format_time(iso: str | None) -> str:
    """`2026-11-24 20:49:02 UTC`."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else ABSENT


def count(number: int, noun: str) -> str:
    """`1 slot`, `2 slots`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def name_condition(condition: str, what: str) -> str:
    """`what`, after the condition under which it holds, if there are several."""
    return f"{condition}: {what}" if condition else what


def join_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def describe_comparison(comparison: Comparison) -> str:
    """A comparison of arms as a clause: who is better at what, by how much, in percent and in its unit."""
    base, other, title = comparison.baseline, comparison.candidate, comparison.metric.label
    ratio, ci95 = comparison.ratio, comparison.ci95
    if ratio is None or ci95 is None:
        reason = "; ".join(comparison.notes) or "there is no ratio"
        return f"{base} and {other} cannot be compared at {title} ({reason})"
    beside = describe_difference(comparison)
    if comparison.word is Word.INVALID:
        return f"{base} and {other} are not comparable at {title} ({'; '.join(comparison.notes)})"
    if comparison.word is Word.INCONCLUSIVE:
        effect = format_percent(ratio, ci95, signed=True)
        return f"this run cannot tell {base} from {other} at {title}: {effect} ({beside})"
    if comparison.word is Word.EQUIVALENT:
        effect = format_percent(ratio, ci95, signed=True)
        margin = format_share(comparison.margin)
        inside = f"its 90 % interval inside the margin of {margin}"
        return f"{base} and {other} are equivalent at {title}: {effect}, {inside} ({beside})"
    if comparison.word is Word.WORSE:
        base, other = other, base
        ratio, ci95 = 1 / ratio, (1 / ci95[1], 1 / ci95[0])
    negligible = ", inside the margin and so negligible" if NEGLIGIBLE in comparison.notes else ""
    effect = format_percent(ratio, ci95, signed=False)
    return f"{base} is {effect} better than {other} at {title}{negligible} ({beside})"


def describe_difference(comparison: Comparison) -> str:
    """`bridge adds 7.89 us [7.09, 8.70]`; empty where there is no difference to tell."""
    difference, interval = comparison.difference, comparison.difference_ci95
    if difference is None or interval is None:
        return ""
    more = difference >= 0
    if not more:
        difference, interval = -difference, (-interval[1], -interval[0])
    size = f"{format_number(difference)} {comparison.unit} {format_interval(interval)}"
    if comparison.metric.higher_is_better:
        return f"{comparison.candidate} serves {size} {'more' if more else 'fewer'}"
    return f"{comparison.candidate} {'adds' if more else 'saves'} {size}"


def describe_workload(run: Run) -> str:
    """What every slot had in common: a factor that a condition changes is not named."""
    scenario = run.record.scenario
    load, varied = scenario.load, set(scenario.factors)
    said = {
        "load.page_bytes": f"GET of {load.page_bytes:,} bytes",
        "load.connections": load.describe_connections(),
        "load.model": load.describe_loop(varied),
        "load.engine": f"load engine {load.engine}",
    }
    return ", ".join(words for field, words in said.items() if field not in varied)


def describe_vantage(run: Run) -> str:
    """Whose latency it is: `a client in a same-kernel lab`."""
    lab = run.record.lab.get("vantage", "unknown")
    if run.vantages == (Vantage.CLIENT,):
        return f"a client in a {lab}"
    return f"{join_words([vantage.label for vantage in run.vantages])}, in a {lab}"


def answer_sentence(run: Run) -> str:
    """The run's answer in one sentence, with its interval and its scope."""
    if not run.record.slots:
        return "There is no answer: no slot was measured."
    compared = comparisons_of_arms(run)
    answered = {comparison.metric for comparison in compared if comparison.ratio is not None}
    if not answered:
        reasons = dict.fromkeys(note for comparison in compared for note in comparison.notes)
        reasons |= {f"{arm} is NOT AVAILABLE here": None for arm in run.verdict.unavailable}
        return f"There is no answer: {'; '.join(reasons)}."
    order = (run.record.scenario.headline, *HEADLINE_METRICS)
    metric = next(metric for metric in order if metric in answered)
    headline = [comparison for comparison in compared if comparison.metric is metric]
    claimed = {name for claim in run.record.scenario.claims for name in (claim.better, claim.than)}
    candidates = sorted(
        dict.fromkeys(comparison.candidate for comparison in headline), key=lambda name: name not in claimed
    )
    # The rest of many arms stands in the table: this is one sentence.
    told = candidates if len(candidates) <= MOST_CLAUSES else candidates[: max(len(claimed) - 1, 1)]
    clauses = [_describe_candidate(run, [c for c in headline if c.candidate == name]) for name in told]
    rest = len(candidates) - len(told)
    more = f"; {count(rest, 'more arm')} in the tables" if rest else ""
    scope = f"for {describe_workload(run)}, seen from {describe_vantage(run)}"
    return f"On this machine, {'; '.join(clauses)}{more}, {scope}."


def _describe_candidate(run: Run, found: Sequence[Comparison]) -> str:
    one = sum(condition.is_compared for condition in run.conditions) == 1
    return describe_comparison(found[0]) if one else _describe_range(found)


def _describe_range(found: Sequence[Comparison]) -> str:
    """The ends of an effect's range over conditions, and how many of them bear which word."""
    words = Counter(comparison.word for comparison in found)
    known = sorted(
        (c.ratio, c.ci95, c.condition) for c in found if c.ratio is not None and c.ci95 is not None
    )
    ends = [
        f"{format_percent(ratio, ci95, signed=True)} ({condition})"
        for ratio, ci95, condition in known[:1] + known[1:][-1:]
    ]
    first = found[0]
    effect = f"runs from {' to '.join(ends)}" if len(ends) > 1 else f"is {''.join(ends)}"
    said = join_words([f"{word} under {words[word]}" for word in Word if words[word]])
    return (
        f"the lead of {first.baseline} over {first.candidate} at {first.metric.label}"
        f" {effect if ends else 'is not known'}: {said} of {count(len(found), 'condition')}"
    )


def comparisons_of_arms(run: Run) -> list[Comparison]:
    """The comparisons of a candidate with the baseline, without the A/A pairs."""
    return [comparison for comparison in run.verdict.comparisons if comparison.kind == "arms"]


def pairs_of_arms(run: Run) -> list[Comparison]:
    """The A/A comparisons: an arm against itself."""
    return [comparison for comparison in run.verdict.comparisons if comparison.kind == "A/A"]
