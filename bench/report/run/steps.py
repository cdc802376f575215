"""The ladder becomes tables and a sentence: what each step adds to the rung below it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench.judgement.comparison import Comparison, Word
from bench.report.run.comparisons import format_blocks
from bench.report.table import Table
from bench.report.text import (
    ABSENT,
    count,
    format_difference,
    format_ratio,
    join_words,
    name_condition,
)
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import UNITS

STEP_WORDS = {
    Word.BETTER: "cost something",
    Word.WORSE: "save something",
    Word.EQUIVALENT: "add nothing that matters",
    Word.INCONCLUSIVE: "cannot be told from nothing",
    Word.INVALID: "have no answer",
}
"""What the words mean of a step, whose baseline is the rung below."""


def tell_steps(run: Run) -> Mapping[str, Any] | None:
    """The ladder, where there is one."""
    return {"said": describe_steps(run), "tables": tabulate_steps(run)} if run.verdict.steps else None


def name_step(step: Comparison) -> str:
    """`host → wired`."""
    return f"{step.baseline} → {step.candidate}"


def describe_addition(run: Run, step: Comparison) -> str:
    """What the heavier rung is, and below it what its path moves that the lighter one's does not."""
    scenario = run.record.scenario
    lighter, heavier = scenario.arm(step.baseline), scenario.arm(step.candidate)
    condition = next(c for c in run.conditions if c.label == step.condition)
    seen, proxied = condition.load.vantage, condition.lab.userland_proxy
    moved = [
        UNITS[counter].replace("ns of docker-proxy", "docker-proxy's work")
        for counter in scenario.network(heavier).path_from(seen, userland_proxy=proxied)
        if counter not in scenario.network(lighter).path_from(seen, userland_proxy=proxied)
    ]
    return MODES[heavier.kind].summary + (f"\nnew on its path: {join_words(moved)}" if moved else "")


def tabulate_steps(run: Run) -> list[Table]:
    """A table a condition and metric; the later metrics are folded."""
    found: dict[tuple[str, Metric], list[Comparison]] = {}
    for step in run.verdict.steps:
        found.setdefault((step.condition, step.metric), []).append(step)
    return [
        Table(
            caption=name_condition(condition, f"{metric.label}: what each step adds"),
            columns=(
                "Step",
                "What is added",
                "Difference, 95 %",
                "Ratio, 95 %",
                "Blocks",
                "Word",
                "Notes",
            ),
            rows=tuple(
                (
                    name_step(step),
                    describe_addition(run, step),
                    format_difference(step),
                    format_ratio(step.ratio, step.ci95),
                    format_blocks(step.blocks, step.unit_of_replication),
                    str(step.word),
                    "; ".join(step.notes) or ABSENT,
                )
                for step in steps
            ),
            prose=frozenset({"What is added", "Blocks", "Notes"}),
            folded=metric is not run.record.scenario.leading,
        )
        for (condition, metric), steps in found.items()
    ]


def describe_steps(run: Run) -> list[str]:
    """The steps at the leading metric, a sentence a condition: the largest, and how many have which word."""
    said = []
    for condition in dict.fromkeys(step.condition for step in run.verdict.steps):
        steps = [
            step
            for step in run.verdict.steps
            if step.condition == condition and step.metric is run.record.scenario.leading
        ]
        words = Counter(step.word for step in steps)
        outcome = join_words(
            [f"{words[word]} {meaning}" for word, meaning in STEP_WORDS.items() if words[word]]
        )
        sentence = f"Of {count(len(steps), 'step')} at {steps[0].metric.label}, {outcome}"
        told = [step for step in steps if step.word in (Word.BETTER, Word.WORSE)]
        if told:
            largest = max(told, key=lambda step: abs(step.difference or 0))
            sentence += f"; the largest is {name_step(largest)}, {format_difference(largest)}"
        said.append(name_condition(condition, f"{sentence}."))
    return said
