"""`bench scenario new` and `check`: what they write is a scenario, and what they refuse is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli.scenario import scenario_app
from bench.errors import InputError
from bench.scenario.conditions import conditions
from bench.scenario.modes.model import Mode
from bench.scenario.parsing import parse_scenario
from bench.scenario.template import draft_scenario

from .test_schema import faults_of

OTHERS = [str(mode) for mode in Mode if mode not in (Mode.HOST, Mode.CONTAINER)] + ["container:host"]


@given(st.lists(st.sampled_from(OTHERS), min_size=1, max_size=6, unique=True))
def test_a_draft_of_any_modes_is_a_scenario_that_fits_the_schema(others: list[str]) -> None:
    text = draft_scenario("mine", ["host", *others])
    scenario = parse_scenario(text, "mine.toml")
    assert faults_of(text) == []
    assert [arm.mode for arm in scenario.arms] == ["host", *others]
    assert scenario.baseline == "host"
    reachable = {arm.name for arm in scenario.compared} - {"host"}
    assert {claim.than for claim in scenario.claims} == reachable
    assert all(name in scenario.question for name in reachable)


def test_what_a_draft_has_commented_out_may_be_taken_in() -> None:
    text = draft_scenario("mine", ["host", "bridge"])
    taken = text.replace("# [factors]", "[factors]").replace('# "load.', '"load.')
    assert len(conditions(parse_scenario(text, "mine.toml"))) == 1
    assert len(conditions(parse_scenario(taken, "mine.toml"))) == 2


def test_new_writes_a_file_that_check_accepts_and_never_writes_over_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    argv = ["new", "mine", "--mode", "macvlan", "--output", str(path)]
    assert CliRunner().invoke(scenario_app, argv).exit_code == 0
    written = path.read_text()
    assert [arm.mode for arm in parse_scenario(written, "mine.toml").arms] == ["host", "macvlan"]
    checked = CliRunner().invoke(scenario_app, ["check", str(path)])
    assert checked.exit_code == 0
    assert "2 arms, 72 slots" in checked.stdout
    refused = CliRunner().invoke(scenario_app, argv)
    assert isinstance(refused.exception, InputError)
    assert path.read_text() == written


@pytest.mark.parametrize(
    ("name", "modes", "said"),
    [
        ("../x", ["bridge"], "name:"),
        ("mine", ["brigde"], "did you mean bridge?"),
        ("mine", ["host", "host"], "used twice"),
        ("mine", ["none", "bridge"], "control"),
    ],
)
def test_new_refuses_what_would_be_no_scenario_and_writes_nothing(
    name: str, modes: list[str], said: str, tmp_path: Path
) -> None:
    options = [word for mode in modes for word in ("--mode", mode)]
    argv = ["new", name, *options, "--output", str(tmp_path / "mine.toml")]
    refused = CliRunner().invoke(scenario_app, argv)
    assert isinstance(refused.exception, InputError)
    assert said in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_check_says_every_fault_of_every_file_and_still_reads_the_good_ones(tmp_path: Path) -> None:
    good, bad, worse = (tmp_path / f"{name}.toml" for name in ("good", "bad", "worse"))
    good.write_text(draft_scenario("good", ["host", "bridge"]))
    bad.write_text(good.read_text().replace("blocks", "blcoks").replace("page_bytes", "page_byte"))
    worse.write_text("name = ")
    checked = CliRunner().invoke(scenario_app, ["check", *map(str, (bad, worse, good))])
    assert checked.exit_code == 2
    said = checked.stderr.replace("\n", " ")
    for word in ("schedule.blocks?", "load.page_bytes?", "worse.toml", "not valid TOML"):
        assert word in said
    assert "good.toml" in checked.stdout
    assert "bad.toml" not in checked.stdout
