"""What a run would do, before it does it: slots, time, and every change to this machine."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.errors import BenchError
from bench.judgement.capacity.search import expected_search_seconds
from bench.judgement.precision import extend, predict_blocks
from bench.lab.servers import image
from bench.measure.planned_changes import planned_changes
from bench.results import store
from bench.results.run import Run, load
from bench.scenario.conditions import conditions
from bench.scenario.interleaving import describe_turns
from bench.scenario.modes.catalogue import MODES
from bench.scenario.plan import (
    Slot,
    digest_plan,
    expected_seconds,
    measuring_seconds,
    plan_slots,
    slot_seconds,
)
from bench.scenario.scenario import Scenario
from bench.scenario.served import describe_requests, name_served
from bench.statistics.components import choose_life

IMAGE_BUILD_S = 30.0
"""Seconds to make the image where the cache has none; for the estimate only."""


@dataclass(frozen=True)
class Preview:
    """A run before it is made."""

    scenario: str
    question: str
    served: str
    """What serves in every arm, and what it is asked for."""
    arms: dict[str, str]
    conditions: list[str]
    blocks: int
    sessions: int
    slots: int
    first_block: list[str]
    seed: int
    plan_sha256: str
    """Digest of scenario, seed and slots: a run with this seed registers the same."""
    turns: str
    """How arms take turns; empty where each slot is measured by itself."""
    expected_s: float
    forecast: str
    """Blocks and time that a wished precision takes; empty where none was asked for."""
    budget_blocks: int | None
    """Blocks that a budget is enough for; None where there is none."""
    changes: list[str]
    unavailable: dict[str, str] = field(default_factory=dict)
    """What of it real hosts cannot have -> why; what the lab cannot have is found by trying."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def preview(
    scenario: Scenario,
    seed: int,
    precision: float | None = None,
    results: Path = Path("results"),
    budget_s: float | None = None,
    plan_changes: Callable[[Scenario], list[str]] | None = None,
) -> Preview:
    """Describe the run of `scenario` with `seed`. Changes nothing and needs no right.

    How long a `precision` (a fraction) takes is forecast from the newest run of it below `results`.
    `plan_changes`: what a run changes where it is not the lab that it is made in.
    """
    if scenario.capacity:
        return _preview_capacity(scenario, seed)
    slots, interleave = plan_slots(scenario, seed), scenario.schedule.interleave
    settings = conditions(scenario)
    return Preview(
        scenario=scenario.name,
        question=scenario.question,
        served=f"{name_served(scenario)}: {describe_requests(scenario)}",
        arms={
            arm.name: f"{arm.mode} mode, port {scenario.port(arm, scenario.load)}: {MODES[arm.kind].summary}"
            for arm in scenario.arms
        },
        conditions=[condition.label for condition in settings if condition.label],
        blocks=scenario.schedule.blocks,
        sessions=scenario.schedule.sessions,
        slots=len(slots),
        first_block=[_describe(slot, settings[slot.condition].label) for slot in slots if slot.block == 0],
        seed=seed,
        plan_sha256=digest_plan(scenario, seed, slots),
        turns=describe_turns(interleave, sum(slot.life == slots[0].life for slot in slots))
        if interleave
        else "",
        expected_s=expected_seconds(scenario, slots) + (0 if image.is_cached() else IMAGE_BUILD_S),
        forecast=_forecast(scenario, precision, results) if precision else "",
        budget_blocks=_count_blocks(scenario, slots, budget_s) if budget_s else None,
        changes=(plan_changes or planned_changes)(scenario),
    )


def _count_blocks(scenario: Scenario, slots: tuple[Slot, ...], budget_s: float) -> int:
    """Whole blocks that fit; the first is measured in any case."""
    blocks = scenario.schedule.blocks
    return min(blocks, max(1, int(budget_s / measuring_seconds(scenario, slots) * blocks)))


def _preview_capacity(scenario: Scenario, seed: int) -> Preview:
    """Of `bench capacity`: the search, and a comparison a workload at as many rates as there are shares."""
    asked = scenario.capacity
    assert asked
    # The rates are to be found; for the plan any will do.
    rates = {"load.rate_rps": tuple(1_000 * share for share in asked.shares)}
    kinds = len(asked.keep_alive)
    compared = preview(scenario.model_copy(update={"capacity": None, "factors": rates}), seed)
    searched_s = expected_search_seconds(scenario)
    return replace(
        compared,
        conditions=[f"load.rate_rps = {share:.0%} of the weakest arm's knee" for share in asked.shares],
        slots=kinds * compared.slots,
        first_block=[],
        expected_s=searched_s + kinds * compared.expected_s,
        forecast=f"of it about {searched_s / 60:.1f} minutes to find the knees, before any slot: `bench"
        f" capacity {scenario.name}`; then {kinds} run(s) at equal service",
    )


def _forecast(scenario: Scenario, precision: float, results: Path) -> str:
    wish = f"for +- {precision * 100:g} % on p50"
    earlier = _find_earlier(scenario, results)
    if earlier is None:
        return f"{wish}: unknown, since {results / scenario.name} has no earlier run whose spread would tell"
    run = load(earlier)
    record = run.record
    blocks = predict_blocks(record.scenario, [slot.metrics() for slot in record.slots], precision)
    if blocks is None:
        return f"{wish}: unknown, since {record.id} has too few valid blocks"
    most = extend(scenario).schedule.blocks
    schedule = scenario.schedule.model_copy(update={"blocks": min(blocks, most), "sessions": 1})
    longer = scenario.model_copy(update={"schedule": schedule})
    seconds = expected_seconds(longer, plan_slots(longer, seed=0))
    better = _choose_design(scenario, run, precision)
    by = f"by the spread of {record.id}{', which is not as it was measured' if run.faults else ''}"
    if blocks > most:
        return (
            f"{wish}: not to be had here: about {blocks:,} blocks, {by}, and a run ends after {most:,}"
            f" ({seconds / 60:.1f} minutes) in any case"
        )
    return f"{wish}: about {blocks} blocks, {seconds / 60:.1f} minutes, {by}{better}"


def _find_earlier(scenario: Scenario, results: Path) -> Path | None:
    """The newest run of the scenario whose arms took turns if its own do: the designs spread differently."""
    for path in sorted((results / scenario.name).glob("*/run.json"), reverse=True):
        try:
            known = store.read_run(path.parent).scenario.schedule.interleave
        except BenchError:  # A damaged one tells nothing; the others stay.
            continue
        if (known is None) == (scenario.schedule.interleave is None):
            return path.parent
    return None


def _choose_design(scenario: Scenario, run: Run, precision: float) -> str:
    """How arms that take turns would come to it soonest, by the variance components of an earlier run."""
    interleave, known = scenario.schedule.interleave, run.record.scenario.schedule.interleave
    if not (interleave and known and run.variance):
        return ""
    containers = sum(slot.life == 0 for slot in plan_slots(scenario, seed=0))
    [condition, *_] = conditions(scenario)
    overhead_s = containers * (slot_seconds(condition, interleave) - interleave.life_s)
    designs = [
        choose_life(found, precision, known.life_s, containers, overhead_s) for found in run.variance.values()
    ]
    worst = max(designs, key=lambda design: design.seconds)
    return (
        f"; with life_s = {worst.life_s:.1f} about {worst.blocks} sets, {worst.seconds / 60:.1f} minutes, the"
        " least by the parts of its variance"
    )


def _describe(slot: Slot, label: str) -> str:
    port = f" at {slot.port}" if slot.port else ""
    return f"{slot.arm}{port}{f' [{label}]' if label else ''}"
