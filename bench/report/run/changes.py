"""What a factor changes becomes tables and sentences: from one level to another, in an arm or in its cost."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench.judgement.change import Change, Changed, ChangeWord
from bench.report.run.comparisons import format_blocks
from bench.report.table import Table
from bench.report.text import (
    ABSENT,
    count,
    format_change,
    format_p_value,
    format_ratio,
    format_share,
    join_words,
)
from bench.results.run import Run
from bench.scenario.engine_source import OWN_ENGINE
from bench.scenario.metric import Metric
from bench.scenario.placement import docker_hosts

ENGINE_FACTOR = "lab.engine"
SWITCHES = {"true": "on", "false": "off"}
MOST_SENTENCES = 6
"""More changes of costs than this are counted, not told one by one."""


def tell_changes(run: Run) -> Mapping[str, Any] | None:
    """The changes between conditions, where there are any."""
    return {"said": describe_changes(run), "tables": tabulate_changes(run)} if run.verdict.changes else None


def name_level(run: Run, factor: str, level: str) -> str:
    """A level as a person names it: `Docker 20.10.24 (debian:bookworm)`, `receive steering on`."""
    if factor == ENGINE_FACTOR:
        origin = "the machine's own" if level == str(OWN_ENGINE) else level
        for host in docker_hosts(run.record.scenario):
            found = run.record.engines.get(host.name)
            if str(host.engine) == level and found:
                return f"Docker {found.version.partition('+')[0]} ({origin})"
        return f"the engine of {level}"
    named = factor.split(".")[1].replace("_", " ")
    return f"{named} {SWITCHES.get(level, level)}"


def name_subject(change: Change) -> str:
    """What a change is of: an arm's cost, or an arm by itself."""
    if change.kind is Changed.ARM:
        return f"{change.candidate} itself"
    return f"{change.candidate}'s cost against {change.baseline}"


def name_transition(run: Run, change: Change) -> str:
    """`Docker 20.10.24 (debian:bookworm) → ...`, and in which other settings both conditions agree."""
    levels = [name_level(run, change.factor, level) for level in (change.reference, change.level)]
    return " → ".join(levels) + describe_held(change)


def describe_held(change: Change) -> str:
    """`, at connections=16`: the other factors' levels, that both conditions have."""
    return f", at {', '.join(change.held)}" if change.held else ""


def tabulate_changes(run: Run) -> list[Table]:
    """A table a metric and pair of conditions, costs before arms; all but the first ones are folded."""
    found: dict[tuple[Metric, str], list[Change]] = {}
    for change in run.verdict.changes:
        found.setdefault((change.metric, name_transition(run, change)), []).append(change)
    return [
        Table(
            caption=f"{metric.label}: {transition}",
            columns=(
                "What changed",
                "Change, 95 %",
                "Ratio of the two, 95 %",
                "p (Holm)",
                "Margin",
                "Blocks",
                "Word",
                "Notes",
            ),
            rows=tuple(
                (
                    name_subject(change),
                    format_change(change.difference, change.difference_ci95, change.unit),
                    format_ratio(change.ratio, change.ci95),
                    format_p_value(change.p_holm),
                    format_share(change.margin),
                    format_blocks(change.blocks, change.unit_of_replication),
                    str(change.word),
                    "; ".join(change.notes) or ABSENT,
                )
                for change in changes
            ),
            prose=frozenset({"What changed", "Blocks", "Notes"}),
            folded=metric is not run.record.scenario.leading or place >= MOST_SENTENCES,
        )
        for place, ((metric, transition), changes) in enumerate(found.items())
    ]


def describe_changes(run: Run) -> list[str]:
    """What became of the arms' cost at the leading metric, a sentence each; of many, those that changed."""
    leading = run.record.scenario.leading
    costs = [
        change for change in run.verdict.changes if change.kind is Changed.COST and change.metric is leading
    ]
    if len(costs) <= MOST_SENTENCES:
        return [describe_change(run, change) for change in costs]
    words = Counter(change.word for change in costs)
    said = join_words([f"{words[word]} {word}" for word in ChangeWord if words[word]])
    changed = [change for change in costs if change.word is ChangeWord.CHANGED]
    largest = sorted(changed, key=lambda change: -abs(change.difference or 0))[:MOST_SENTENCES]
    return [
        f"{count(len(costs), 'change')} of an arm's cost at the {leading.short}: {said}.",
        *(describe_change(run, change) for change in largest),
    ]


def describe_change(run: Run, change: Change) -> str:
    """A change of an arm's cost as a sentence, with its interval."""
    before, after = (name_level(run, change.factor, level) for level in (change.reference, change.level))
    between = f"Between {before} and {after}{describe_held(change)}"
    cost = f"{name_subject(change)} at {change.metric.label}"
    size = format_change(change.difference, change.difference_ci95, change.unit)
    match change.word:
        case ChangeWord.CHANGED:
            return f"{between}, {cost} changed by {size}."
        case ChangeWord.NO_PRACTICAL_CHANGE:
            return f"{between}, {cost} did not change in a way that matters: {size}."
        case ChangeWord.INCONCLUSIVE:
            return f"{between}, this run cannot tell whether {cost} changed: {size}."
        case ChangeWord.INVALID:
            return f"{between}, nothing can be said of {cost}: {'; '.join(change.notes)}."
