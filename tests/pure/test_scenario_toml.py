"""A scenario written as TOML is read as the same scenario, whatever it holds."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.cli.scenario_files import bundled_scenarios
from bench.results import store
from bench.results.run import Run
from bench.scenario.load import Load
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import Arm, Capacity, Claim, LabSettings, Margins, Schedule
from bench.scenario.modes.model import Vantage
from bench.scenario.parsing import parse_scenario
from bench.scenario.scenario import Scenario
from bench.scenario.toml import scenario_toml

from .conftest import make_run, make_scenario

MODES = ("host", "bridge", "macvlan", "wired", "user-bridge", "container:bridge")
LEVELS = {
    "load.connections": (1, 16, 64),
    "load.keep_alive": (True, False),
    "load.vantage": tuple(Vantage),
    "load.page_bytes": (1024, 65536),
    "lab.engine": ("machine", "debian:trixie"),
    "lab.forward_rules": (0, 500),
    "lab.receive_steering": (True, False),
    "lab.stamp_before_queue": (True, False),
    "load.rate_rps": (50.0, 200, 1e5),
}
fractions = st.floats(0.001, 0.9)
texts = st.text(min_size=1, max_size=60)


def some(table: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The table with some of these fields, the others left to their defaults."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: table(**given))


loads = st.one_of(
    some(
        Load,
        connections=st.integers(1, 127),
        warm_up_s=st.floats(0.001, 3600),
        measure_s=st.floats(0.001, 3600),
        wrk_witness_s=st.integers(0, 60),
    ),
    st.builds(
        Load,
        model=st.just("open"),
        rate_rps=st.none() | st.floats(0.01, 1e6),
        arrivals=st.sampled_from(("poisson", "uniform")),
        pacing=st.sampled_from(("spin", "sleep")),
    ),
)
labs = some(
    LabSettings,
    hold_idle_states=st.booleans(),
    server_wait_us=st.integers(0, 1_000_000),
    link_mbit=st.integers(0, 100),
)
margins = some(Margins, p50_latency_us=fractions, throughput_rps=fractions)
schedules = some(
    Schedule, blocks=st.integers(4, 99), slots_per_arm=st.integers(2, 20), sessions=st.integers(1, 4)
)
capacities = some(
    Capacity,
    limit_ms=st.floats(0.1, 100),
    keep_alive=st.sampled_from(((True,), (False, True))),
    confirmations=st.sampled_from((1, 3, 5)),
    shares=st.sampled_from(((0.3, 0.6), (0.1, 0.2, 0.9))),
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Scenarios of every table, by their models; what does not go together is thrown away."""
    arms = [
        Arm(name=f"arm-{place}" if mode != "bridge" else "bridge", mode=mode, port=80 + place)
        for place, mode in enumerate(
            draw(st.lists(st.sampled_from(MODES), min_size=2, max_size=6, unique=True))
        )
    ]
    names = [arm.name for arm in arms]
    other = st.sampled_from(names[1:])
    fields: dict[str, st.SearchStrategy[Any]] = {
        "load": loads,
        "lab": labs,
        "schedule": schedules,
        "margins": margins,
        "factors": st.dictionaries(st.sampled_from(sorted(LEVELS)), st.none(), max_size=3).map(
            lambda keys: {key: LEVELS[key] for key in keys}
        ),
        "claims": st.lists(
            st.builds(
                Claim,
                id=st.sampled_from(("first", "second")),
                text=texts,
                better=st.just(names[0]),
                than=other,
                metrics=st.sampled_from((PERFORMANCE[:1], PERFORMANCE)),
            ),
            max_size=2,
        ).map(tuple),
        "ladder": st.permutations(names).map(tuple) | st.just(()),
        "capacity": st.none() | capacities,
        "walkthrough": st.booleans(),
    }
    given = draw(st.fixed_dictionaries({}, optional=fields))
    try:
        return Scenario(name="made", question=draw(texts), baseline=names[0], arms=tuple(arms), **given)
    except ValidationError:
        assume(False)
        raise


@given(scenarios())
def test_a_scenario_is_read_from_its_file_as_it_was(scenario: Scenario) -> None:
    assert parse_scenario(scenario_toml(scenario), "again") == scenario


@given(scenarios())
def test_so_is_one_that_was_stored_in_a_run(scenario: Scenario) -> None:
    stored = Scenario.model_validate_json(scenario.model_dump_json())

    assert parse_scenario(scenario_toml(stored), "again") == scenario


@pytest.mark.parametrize("path", sorted(Path(bundled_scenarios()).glob("*.toml")), ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_bench_is_written_with_every_key_of_its_file(path: Path) -> None:
    scenario = parse_scenario(path.read_text(), path.name)
    written = scenario_toml(scenario)

    assert parse_scenario(written, "again") == scenario
    assert tomllib.loads(written) == tomllib.loads(path.read_text())


def test_a_table_that_is_given_empty_is_not_lost() -> None:
    scenario = make_scenario(load=Load(model="open"), capacity=Capacity())

    assert "[capacity]" in scenario_toml(scenario)
    assert parse_scenario(scenario_toml(scenario), "again") == scenario


def test_a_setting_that_a_stored_scenario_did_not_know_is_not_in_its_file(tmp_path: Path) -> None:
    record = make_run(make_scenario())
    store.write_run(tmp_path, record)
    known = Run(tmp_path).record.scenario
    fields = known.load.model_dump(exclude={"pacing"})
    older = known.model_copy(update={"load": Load(**fields)})

    assert "pacing" in scenario_toml(known)
    assert "pacing" not in scenario_toml(older)
    assert "arrivals" in scenario_toml(older)
