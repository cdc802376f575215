"""Steal: what a scenario lets pass beyond the usual is told before the numbers."""

from pathlib import Path

import pytest

from bench.report.run.cautions import find_cautions
from bench.results.run import Run
from bench.scenario.model import USUAL_STEAL, Schedule
from bench.scenario.plan import plan_slots
from bench.slots.gates.machine import check_quiet

from .conftest import make_scenario
from .reports import judged, measure, store_run


def run_with(folder: Path, steal: float, allowed: float) -> Run:
    """A run whose first two slots had so much steal, the others none."""
    scenario = make_scenario(schedule=Schedule(blocks=3, max_steal=allowed))
    slots = tuple(
        measure(scenario, slot).model_copy(
            update={"gates": tuple(check_quiet({}, 0, steal if slot.index < 2 else 0, allowed))}
        )
        for slot in plan_slots(scenario, seed=1)
    )
    return judged(store_run(folder, scenario, slots=slots))


def test_slots_with_more_than_usual_that_count_are_told_with_their_number_and_the_most(
    tmp_path: Path,
) -> None:
    [said] = [said for said in find_cautions(run_with(tmp_path, 0.061, 0.1)) if "hypervisor" in said]

    assert "more than 2% of their time in 2 of 12 slots that count, 6.1% at most" in said
    assert "this scenario lets 10% pass" in said


@pytest.mark.parametrize(
    ("steal", "allowed"),
    [(0.02, 0.1), (0.061, USUAL_STEAL), (0.11, 0.1)],
    ids=["no more than usual", "void as usual", "void as the scenario says"],
)
def test_nothing_is_told_of_steal_that_did_not_pass_or_is_usual(
    tmp_path: Path, steal: float, allowed: float
) -> None:
    assert not any("hypervisor" in said for said in find_cautions(run_with(tmp_path, steal, allowed)))


def test_a_scenario_that_says_nothing_lets_two_percent_pass() -> None:
    assert Schedule().max_steal == USUAL_STEAL == 0.02
