"""What the lab's own faults say of an arm that is tried, or of a slot: nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import EnvironmentLacks, MeasurementInvalid
from bench.generator.client import GeneratorDied
from bench.measure import availability
from bench.measure import slot as measuring
from bench.scenario.conditions import conditions
from bench.scenario.plan import plan_slots
from tests.pure.conftest import make_scenario


def test_an_engine_that_ended_gives_no_arm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bed: Any = SimpleNamespace(
        scenario=make_scenario(), missing={}, describe_dead_engines=lambda: "the engine of docker1 has ended"
    )
    monkeypatch.setattr(availability, "try_arm", lambda *_: "no answer came")

    with pytest.raises(EnvironmentLacks, match=r"no answer came; the engine of docker1 has ended"):
        availability.find_gaps(bed)


@pytest.mark.parametrize("fault", [GeneratorDied, MeasurementInvalid])
def test_a_dead_generator_is_no_fault_of_the_arm(fault: type[MeasurementInvalid]) -> None:
    def serve(*_: object) -> Any:
        raise fault("Asking", "nothing came", "Try again.")

    scenario = make_scenario()
    bed: Any = SimpleNamespace(scenario=scenario, serve=serve)
    given: list[Any] = [bed, scenario.arms[0], None]
    if fault is GeneratorDied:
        with pytest.raises(GeneratorDied):
            availability.try_arm(*given)
    else:
        assert availability.try_arm(*given) == "nothing came"


@pytest.mark.parametrize("gone", [FileNotFoundError("/proc/9/ns/net"), ProcessLookupError("process 9")])
def test_a_server_that_ends_while_it_is_looked_at_makes_its_slot_invalid_and_nothing_else(
    gone: OSError, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> Any:
        raise gone

    monkeypatch.setattr(measuring, "_measure", fail)
    bed: Any = SimpleNamespace(describe_dead_engines=lambda: "")
    scenario = make_scenario()
    record, facts = measuring.measure_slot(
        bed, plan_slots(scenario, seed=1)[0], conditions(scenario)[0], tmp_path
    )

    assert not record.measured
    assert facts == {}
    assert record.failed_gates[0].detail == f"A process ended that was looked at: {gone}; every engine lives"
