"""The command line: what a mistake prints and how it exits."""

import json
import sys
from pathlib import Path

import pytest

from bench import cli
from bench.core.errors import ExitCode

GOOD = Path(cli.bundled_scenarios(), "quick.toml").read_text()


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BAD_SCENARIOS = {
    "not TOML": ("name = ", "not valid TOML"),
    "an empty file": ("", "name: is missing"),
    "an unknown mode": (edited('mode = "bridge"', 'mode = "brigde"'), "arms.1.mode"),
    "zero blocks": (edited("blocks = 18", "blocks = 0"), "schedule.blocks"),
    "a margin of 0": (edited("p50_latency_us = 0.05", "p50_latency_us = 0.0"), "margins.p50_latency_us"),
    "a number as text": (edited("connections = 1", 'connections = "1"'), "load.connections"),
    "an unknown option": (edited("page_bytes", "page_size"), "load.page_size"),
    "two arms of one name": (edited('name = "bridge"', 'name = "host"'), "the name host is used twice"),
    "a baseline that is no arm": (edited('baseline = "host"', 'baseline = "native"'), "no arm native"),
    "a claim of unknown arms": (edited('than = "bridge"', 'than = "overlay"'), "claims.0.than"),
    "a name that leaves the folder": (edited('name = "quick"', 'name = "../../etc"'), "name: "),
    "an endless window": (edited("measure_s = 0.65", "measure_s = inf"), "load.measure_s"),
    "a port beyond 65535": (edited('mode = "host"', 'mode = "host"\nport = 70000'), "arms.0.port"),
    "more sessions than blocks": (edited("blocks = 18", "sessions = 20\nblocks = 18"), "20 sessions"),
    "an unknown factor": (GOOD + '\n[factors]\n"lab.moon" = [1, 2]\n', "lab.moon is not a factor"),
    "deep nesting": ("a = " + "[" * 20_000, "not valid TOML"),
}
BAD_OPTIONS = {
    "no such scenario": (["plan", "nowhere"], "nowhere"),
    "a capacity of a scenario without its table": (["capacity", "quick"], "no table [capacity]"),
    "a run of a scenario whose rates are to be found": (["run", "capacity"], "bench capacity"),
    "a folder for a scenario": (["plan", "."], "directory"),
    "binary for a scenario": (["plan", sys.executable], "utf-8"),
    "no such run": (["report", "nowhere"], "nowhere"),
    "a budget that is no time": (["run", "quick", "--budget", "soon"], "'soon' is not a time"),
    "a negative seed": (["run", "quick", "--seed", "-1"], "--seed"),
    "an unknown command": (["brun"], "brun"),
    "an engine of no distribution": (["walkthrough", "--engine", "podman"], "podman"),
    "an unknown form": (["report", "RUN", "--format", "pdf"], "pdf"),
}


def run_bench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return cli.run_app()


@pytest.mark.parametrize("case", BAD_SCENARIOS)
def test_a_bad_scenario_is_one_paragraph_with_the_place_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, place = BAD_SCENARIOS[case]
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    assert run_bench(monkeypatch, "plan", str(path)) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    assert place in said.err.replace("\n", " ")
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_says_what_was_wrong_with_exit_code_2(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, place = BAD_OPTIONS[case]
    assert run_bench(monkeypatch, *arguments) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    assert place in said.err
    assert "Traceback" not in said.err


def test_a_bug_prints_its_traceback_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "read_scenario", fail)
    assert run_bench(monkeypatch, "plan", "quick") == ExitCode.INTERNAL_ERROR
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_plan_lists_every_change_and_sends_only_json_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "plan", "quick", "--json") == ExitCode.DONE
    plan = json.loads(capsys.readouterr().out)
    assert plan["slots"] == 18 * 2 * 2
    assert sorted(plan["first_block"]) == ["bridge", "bridge", "host", "host"]
    changes = "\n".join(plan["changes"])
    for word in ("dockerd", "198.18.0.100", "--bip 198.19.0.1/24", "cpu_dma_latency", "control groups"):
        assert word in changes


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("2.5", 2.5)])
def test_a_time_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert cli.parse_duration(text) == seconds
