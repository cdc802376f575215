"""What the lab's own faults say of an arm that is tried, or of a slot: nothing."""

from functools import partial
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import EnvironmentLacks, MeasurementInvalid
from bench.generator.client import Generator
from bench.generator.failures import GeneratorDied
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Endpoint
from bench.lab.servers.engine import PrivateEngine
from bench.measure import availability
from bench.measure import slot as measuring
from bench.scenario.conditions import conditions
from bench.scenario.placement import docker_host_of
from bench.scenario.plan import plan_slots
from tests.pure.conftest import make_scenario


def make_bed(dead_engines: str = "") -> Any:
    scenario = make_scenario()
    return SimpleNamespace(
        scenario=scenario,
        place=partial(docker_host_of, scenario),
        lacks={},
        missing={},
        find_missing=lambda *_: None,
        describe_dead_engines=lambda: dead_engines,
    )


def test_an_engine_that_ended_gives_no_arm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = make_bed("the engine of docker1 has ended")
    monkeypatch.setattr(availability, "try_arm", lambda *_: "no answer came")

    with pytest.raises(EnvironmentLacks, match=r"no answer came; the engine of docker1 has ended"):
        availability.find_gaps(bed)


def test_an_arm_whose_server_died_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["Apache has ended", None, None])
    bed = make_bed()
    monkeypatch.setattr(availability, "try_arm", lambda *_: next(answers))

    assert availability.find_gaps(bed) == ({}, {}, {})


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


@pytest.mark.parametrize("said", ["", '{"first_200_'])
def test_a_generator_that_is_killed_while_it_answers_has_died(said: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("its last words")
    process: Any = SimpleNamespace(stdin=StringIO(), stdout=StringIO(said), wait=lambda: -9)
    host: Any = None

    with pytest.raises(GeneratorDied, match="its last words"):
        Generator(process, host, tmp_path / "log", host).first_200_ns(Endpoint("198.18.0.1", 80), "/1024")


def test_an_engine_that_ended_before_its_restart_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> str:
        raise CommandFailed("Running `kill 9`", "exit 1: No such process", "Run it by hand.")

    host: Any = SimpleNamespace(name="docker1", scratch="/s", run=run, read=lambda path: {path: "9"})
    program: Any = SimpleNamespace(ends=lambda _: True)
    client: Any = SimpleNamespace(close=lambda: None)
    started: list[str] = []
    monkeypatch.setattr(PrivateEngine, "start", lambda engine: started.append(engine.host.name))

    PrivateEngine(host, "group", [], None, {}, client, program).restart()
    host.read = lambda _: {}  # One that ends in order takes its file along.
    PrivateEngine(host, "group", [], None, {}, client, program).restart()

    assert started == ["docker1", "docker1"]
