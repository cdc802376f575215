"""The answer of a run in sentences: who is better, by how much, of what."""

from collections import Counter
from collections.abc import Sequence

from bench.judgement.comparison import Compared, Comparison, Word
from bench.records.environment import REMOTE, UNKNOWN
from bench.report.run.stalls import name_stalled
from bench.report.text import count, format_interval, format_number, format_percent, format_share, join_words
from bench.results.run import Run
from bench.results.verification import describe_faults
from bench.scenario import served
from bench.scenario.metric import Metric
from bench.scenario.modes.model import Vantage

HEADLINE_METRICS = (Metric.P50_LATENCY_US, Metric.THROUGHPUT_RPS, Metric.P99_LATENCY_US)
"""Without a ratio of the scenario's headline the answer is given on the first of these that has one: the
p50 is the steadiest."""
MOST_CLAUSES = 3
"""Of more arms than these, the one sentence speaks of those that a claim names."""


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
    negligible = ", inside the margin and so negligible" if comparison.negligible else ""
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
    if comparison.metric.unit == "MB":
        return f"{comparison.candidate} takes {size} {'more' if more else 'less'}"
    if comparison.metric.higher_is_better:
        return f"{comparison.candidate} serves {size} {'more' if more else 'fewer'}"
    return f"{comparison.candidate} {'adds' if more else 'saves'} {size}"


def describe_workload(run: Run) -> str:
    """What every slot had in common: a factor that a condition changes is not named."""
    scenario = run.record.scenario
    load, varied = scenario.load, set(scenario.factors)
    if load.is_start:
        return f"{load.describe_start(varied)} ({served.name_served(scenario)})"
    said = {
        "load.page_bytes": served.describe_workload(scenario),
        "connections": load.describe_connections(varied),
        "load.model": load.describe_loop(varied),
        "load.engine": f"load {load.describe_engine()}",
    }
    return ", ".join(words for field, words in said.items() if words and field not in varied)


def describe_vantage(run: Run) -> str:
    """Whose latency it is: `a client in a same-kernel lab`, or `a client on another machine (remote)`."""
    lab = run.record.lab.vantage or UNKNOWN
    if run.record.on_real_hosts:
        return f"a client {'on another machine' if lab == REMOTE else 'of the same kernel'} ({lab})"
    if run.vantages == (Vantage.CLIENT,):
        return f"a client in a {lab}"
    return f"{join_words([vantage.label for vantage in run.vantages])}, in a {lab}"


def answer_sentence(run: Run) -> str:
    """The run's answer in one sentence, with its interval and its scope; first, whether it may be used."""
    said = (describe_faults(f"run {run.record.id}", run.faults), name_stalled(run), _answer(run))
    return " ".join(filter(None, said))


def _answer(run: Run) -> str:
    if not run.record.slots:
        return "There is no answer: no slot was measured."
    compared = comparisons_of_arms(run)
    answered = {comparison.metric for comparison in compared if comparison.ratio is not None}
    if not answered:
        reasons = dict.fromkeys(note for comparison in compared for note in comparison.notes)
        reasons |= {f"{arm} is NOT AVAILABLE here": None for arm in run.verdict.unavailable}
        return f"There is no answer: {'; '.join(reasons)}."
    order = (run.record.scenario.headline, *HEADLINE_METRICS, *Metric)
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
    return f"On this machine, {_describe_sessions(run)}, {'; '.join(clauses)}{more}, {scope}."


def _describe_sessions(run: Run) -> str:
    """What the answer's interval is over: that of one session knows nothing of what the next would say."""
    sessions = len({record.slot.session for record in run.record.slots})
    return "in this session" if sessions == 1 else f"over {count(sessions, 'session')}"


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


def compared_metrics(run: Run) -> list[Metric]:
    """Metrics that the run's arms are compared on, in the scenario's order: an earlier one may lack some."""
    found = {comparison.metric for comparison in run.verdict.comparisons}
    return [metric for metric in run.record.scenario.metrics if metric in found]


def comparisons_of_arms(run: Run) -> list[Comparison]:
    """The comparisons of a candidate with the baseline, without the A/A pairs."""
    return [comparison for comparison in run.verdict.comparisons if comparison.kind is Compared.ARMS]


def pairs_of_arms(run: Run) -> list[Comparison]:
    """The A/A comparisons: an arm against itself."""
    return [comparison for comparison in run.verdict.comparisons if comparison.kind is Compared.ITSELF]
