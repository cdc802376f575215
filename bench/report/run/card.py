"""The decision card: every network mode with what it costs here and what it gives up, a row each."""

from collections.abc import Collection, Mapping
from statistics import median
from typing import Any

from bench.judgement.comparison import Comparison, Word
from bench.report.run.answer import comparisons_of_arms
from bench.report.table import NOT_AVAILABLE, Table
from bench.report.text import ABSENT, format_difference, format_number, format_percent
from bench.results.run import Run
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.served import describe_subject

NOT_IN_RUN = "not in this run"
FEW_CONDITIONS = 3
"""The costs under more conditions than this are given as a range."""


def tell_modes(run: Run) -> Mapping[str, Any]:
    """The card's tables, without one that is empty, and whose costs they hold."""
    return {
        "said": describe_subject(run.record.scenario, "Costs"),
        "tables": [table for table in tabulate_modes(run) if table.rows],
    }


def tabulate_modes(run: Run) -> list[Table]:
    """The modes of this run's arms, and folded behind them those that it does not have."""
    columns = (
        "Mode",
        f"{run.record.scenario.headline.label} against {run.record.scenario.baseline}",
        "Start to first 200",
        "Ports; replicas on a host",
        "Client's address",
        "Firewall",
        "Reachable from",
        "In a sentence",
    )
    rows: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for mode in MODES:
        if MODES[mode].docker is None and not run.record.scenario.served.is_built_in:
            continue  # Without Docker there is the built-in service alone.
        arms = [arm for arm in run.record.scenario.arms if arm.kind is mode]
        rows[bool(arms)] += [_row(run, mode, arm) for arm in arms] or [_row(run, mode, None)]
    return [
        Table(
            caption=caption,
            columns=columns,
            rows=tuple(rows[here]),
            prose=frozenset(columns),
            folded=not here,
        )
        for caption, here in (("Modes of this run", True), ("Modes that are not in this run", False))
    ]


def _row(run: Run, mode: Mode, arm: Arm | None) -> tuple[str, ...]:
    about, trade_offs = MODES[mode], MODES[mode].trade_offs
    name = arm.name if arm else str(mode)
    target = f" (of {arm.target})" if arm and arm.target else ""
    return (
        f"{name}\n{about.summary}{target}",
        describe_cost(run, arm) if arm else NOT_IN_RUN,
        _start(run, arm) if arm else ABSENT,
        f"{trade_offs.ports}; replicas: {trade_offs.replicas}",
        trade_offs.client_address,
        trade_offs.firewall,
        trade_offs.reachable_from + describe_trials(run, trade_offs.tried_by),
        trade_offs.advice,
    )


def describe_trials(run: Run, statements: Collection[str]) -> str:
    """A line more for what stands on the card as known: the words that the walkthrough beside this run gave
    to the `statements` that try it; empty where none did."""
    walks = run.walkthrough.walks if run.walkthrough else ()
    found = [finding for walk in walks for finding in walk.findings if finding.id in statements]
    words = dict.fromkeys(finding.word.value for finding in found)
    names = dict.fromkeys(finding.id for finding in found)
    return f"\ntried beside this run: {', '.join(words)} ({', '.join(names)})" if found else ""


def describe_cost(run: Run, arm: Arm) -> str:
    """What an arm costs against the baseline, in us and in percent, or why that is not known."""
    if arm.name in run.verdict.unavailable:
        return f"{NOT_AVAILABLE}\n{run.verdict.unavailable[arm.name]}"
    if not run.record.scenario.network(arm).reachable:
        return describe_control(run, arm)
    if arm.name == run.record.scenario.baseline:
        return "the baseline"
    headline = run.record.scenario.headline
    found = [c for c in comparisons_of_arms(run) if c.candidate == arm.name and c.metric is headline]
    if not found:
        return ABSENT
    if len(found) == 1:
        return _cost(found[0], "\n")
    shown = found
    if len(found) > FEW_CONDITIONS:
        known = sorted((c for c in found if c.ratio is not None), key=lambda c: c.ratio or 0)
        shown = [known[0], known[-1]] if len(known) > 1 else found[:1]
    said = f"{'ends over' if len(shown) < len(found) else 'under'} {len(found)} conditions"
    return "\n".join([said, *(f"{c.condition}: {_cost(c, ', ')}" for c in shown)])


def _cost(comparison: Comparison, separator: str) -> str:
    if comparison.ratio is None or comparison.ci95 is None:
        return f"{Word.INVALID}{separator}{'; '.join(comparison.notes)}"
    percent = format_percent(comparison.ratio, comparison.ci95, signed=True)
    void = f"{separator}{Word.INVALID}, see below" if comparison.word is Word.INVALID else ""
    return f"{format_difference(comparison)}{separator}{percent}{void}"


def describe_control(run: Run, arm: Arm) -> str:
    """What the slots of a control proved."""
    slots = [record for record in run.record.slots if record.slot.arm == arm.name]
    if not slots:
        return "a control, not measured"
    return f"a control: out of reach in {sum(record.valid for record in slots)} of {len(slots)} slots"


def _start(run: Run, arm: Arm) -> str:
    found = [
        record.start_to_first_200_ms
        for record in run.record.slots
        if record.slot.arm == arm.name and record.valid and record.start_to_first_200_ms is not None
    ]
    return f"{format_number(median(found))} ms" if found else ABSENT
