"""The command line: what a mistake prints and how it exits."""

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from bench.cli import app, options, terminal
from bench.cli import run as run_command
from bench.cli.scenario_files import bundled_scenarios
from bench.cli.terminal import print_table
from bench.errors import ExitCode
from bench.judgement.precision import MAX_EXTENSION
from bench.results.store import write_run
from bench.scenario.parsing import parse_scenario

from .conftest import make_run, make_scenario, noise
from .reports import few_resamples, store_run

GOOD = Path(bundled_scenarios(), "quick.toml").read_text()


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BAD_SCENARIOS = {
    "not TOML": ("name = ", "not valid TOML"),
    "an empty file": ("", "name: is missing"),
    "an unknown mode": (edited('mode = "bridge"', 'mode = "brigde"'), "arms.1.mode"),
    "zero blocks": (edited("blocks = 10", "blocks = 0"), "schedule.blocks"),
    "a margin of 0": (edited("p50_latency_us = 0.05", "p50_latency_us = 0.0"), "margins.p50_latency_us"),
    "a number as text": (edited("connections = 1", 'connections = "1"'), "load.connections"),
    "an unknown option": (edited("page_bytes", "page_size"), "load.page_size"),
    "two arms of one name": (edited('name = "bridge"', 'name = "host"'), "the name host is used twice"),
    "a baseline that is no arm": (edited('baseline = "host"', 'baseline = "native"'), "no arm native"),
    "a claim of unknown arms": (edited('than = "bridge"', 'than = "overlay"'), "claims.0.than"),
    "a name that leaves the folder": (edited('name = "quick"', 'name = "../../etc"'), "name: "),
    "an endless window": (edited("life_s = 1.1", "life_s = inf"), "schedule.interleave.life_s"),
    "a port beyond 65535": (edited('mode = "host"', 'mode = "host"\nport = 70000'), "arms.0.port"),
    "more sessions than blocks": (edited("blocks = 10", "sessions = 20\nblocks = 10"), "20 sessions"),
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
    "an unknown shell": (["completion", "tcsh"], "tcsh"),
    "one of two scenarios that is none": (["run", "quick", "nowhere"], "nowhere"),
    "a budget too small for a suite": (["run", "quick", "ladder", "--budget", "20s"], "fewer scenarios"),
    "a file that is there already": (["scenario", "new", "quick", "--output", "README.md"], "README.md"),
    "an ending that is no form": (["report", "RUN", "--output", "report.pdf"], "pdf"),
}


def run_bench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return app.run_app()


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
    def fail(_: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run_command, "read_asked", fail)
    assert run_bench(monkeypatch, "plan", "quick") == ExitCode.INTERNAL_ERROR
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_plan_lists_every_change_and_sends_only_json_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "plan", "quick", "--json") == ExitCode.DONE
    plan = json.loads(capsys.readouterr().out)
    assert plan["slots"] == 10 * 2 * 2
    assert sorted(slot.split(" at ")[0] for slot in plan["first_block"]) == ["bridge"] * 2 + ["host"] * 2
    changes = "\n".join(plan["changes"])
    for word in ("dockerd", "198.18.0.100", "--bip 198.19.0.1/24", "cpu_dma_latency", "control groups"):
        assert word in changes


@pytest.mark.parametrize(
    ("name", "begins"), [("to-send.html", "<!DOCTYPE html>"), ("to-send.md", "# "), ("to-send.json", "{")]
)
def test_one_form_of_a_report_is_written_elsewhere_and_the_run_left_alone(
    name: str, begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    store_run(run, make_scenario(blocks=3), requests=True)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with few_resamples():
        assert run_bench(monkeypatch, "report", str(run), "--output", str(tmp_path / name)) == ExitCode.DONE

    assert (tmp_path / name).read_text().lstrip().startswith(begins)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("2.5", 2.5)])
def test_a_time_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert options.parse_duration(text) == seconds


def test_a_plan_says_how_many_blocks_a_budget_is_enough_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for budget in ("1s", "45s", "1h"):
        assert run_bench(monkeypatch, "plan", "quick", "--budget", budget, "--json") == ExitCode.DONE
        found.append(json.loads(capsys.readouterr().out)["budget_blocks"])
    assert found[0] == 1
    assert 1 < found[1] < 10
    assert found[2] == 10


@pytest.mark.parametrize("precision", ["0.01%", "0.1%", "0.2%"])
def test_a_plan_says_where_a_precision_needs_more_blocks_than_a_run_may_have(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = ["plan", "quick", "--results", str(tmp_path), "--precision", precision]
    noisy = make_run(
        parse_scenario(GOOD, "quick"),
        lambda slot: 20 * noise(slot, 0.2),
    )
    folder = tmp_path / "quick" / noisy.id
    folder.mkdir(parents=True)
    write_run(folder, noisy)
    (tmp_path / "quick" / "later").mkdir()
    (tmp_path / "quick" / "later" / "run.json").write_text("{")  # A damaged one ends no plan.
    assert run_bench(monkeypatch, *plan) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "not to be had here" in said
    assert f"a run ends after {10 * MAX_EXTENSION}" in said


def test_the_plan_of_a_suite_says_how_far_a_precision_may_lengthen_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "plan", "quick", "open", "--precision", "1%") == ExitCode.DONE
    assert f"up to {MAX_EXTENSION} times the slots" in capsys.readouterr().out


def test_the_plan_of_a_suite_adds_up_its_scenarios_and_divides_the_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "plan", "quick", "open", "--budget", "300s", "--json") == ExitCode.DONE
    suite = json.loads(capsys.readouterr().out)
    alone = []
    for name in ("quick", "open"):
        run_bench(monkeypatch, "plan", name, "--json")
        alone.append(json.loads(capsys.readouterr().out))
    assert [row["slots"] for row in suite["rows"]] == [plan["slots"] for plan in alone]
    # Where the image is still to be built, that is once in a suite, and once in each plan.
    builds = sum(plan["expected_s"] for plan in alone) - suite["expected_s"]
    assert builds == pytest.approx(0) or builds == pytest.approx(30)
    assert 0 < sum(row["budget_s"] for row in suite["rows"]) < 300


def test_every_command_teaches_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = typer.main.get_command(app.app)
    assert isinstance(group, TyperGroup)
    scenario = group.commands["scenario"]
    assert isinstance(scenario, TyperGroup)
    named = [[name] for name in group.commands if name != "scenario"]
    for words in [*named, *(["scenario", name] for name in scenario.commands)]:
        assert run_bench(monkeypatch, *words, "--help") == ExitCode.DONE
        shown = " ".join(capsys.readouterr().out.split())
        assert "Example: " in shown, words
        assert f"bench {' '.join(words)}" in shown.partition("Example: ")[2], words


def test_what_is_said_is_printed_as_it_is_whatever_it_would_be_in_a_language_of_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "report", "results/:100:[bold]") == ExitCode.BAD_INPUT
    assert "results/:100:[bold]" in capsys.readouterr().err.replace("\n", "")

    print_table(("[bold]arm",), [(":100:[/bold]",)])
    said = capsys.readouterr().out
    assert "[bold]arm" in said
    assert ":100:[/bold]" in said


def test_where_even_the_paragraph_finds_no_memory_a_shorter_one_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(terminal.err, "print", fail)

    assert run_bench(monkeypatch, "report", "results/there-is-none") == ExitCode.ENVIRONMENT
    assert "there is not enough memory" in capfd.readouterr().err


def test_a_library_that_finds_no_room_in_memory_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def import_it(**_: object) -> None:
        raise ImportError("_parquet.so: failed to map segment from shared object")

    monkeypatch.setattr(app, "app", import_it)

    assert app.run_app() == ExitCode.ENVIRONMENT
    said = capfd.readouterr().err
    assert "there is not enough memory" in said
    assert "Traceback" not in said
