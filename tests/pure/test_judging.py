"""`bench compare`, `check` and `history`: what they print, write, and exit with."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench.errors import ExitCode
from bench.records.run import RunRecord
from bench.scenario.load import Load
from bench.scenario.model import Arm, Claim, LabSettings
from bench.statistics import estimate

from .conftest import BRIDGE, HOST, make_scenario, store_whole
from .test_cli import run_bench
from .test_run_comparison import run_of

CLAIM = Claim(id="article", text="Host is faster.", better="host", than="bridge")
PLAN = make_scenario(blocks=12, sessions=6, claims=(CLAIM,))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "RESAMPLES", 199)


class Shop:
    """Runs in a folder, and the command line over them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    def store(self, name: str, record: RunRecord) -> str:
        path = self.folder / record.scenario.name / name
        path.mkdir(parents=True)
        store_whole(path, record.model_copy(update={"id": name}))
        return str(path)

    def run(self, name: str, cost: float = 1.1, **changes: Any) -> str:
        about: dict[str, Any] = {"seed": len(name), "scenario": PLAN}
        return self.store(name, run_of(cost, **(about | changes)))

    def bench(self, *arguments: str) -> int:
        return run_bench(self.monkeypatch, *arguments)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def test_compare_says_first_what_else_differs_then_what_changed(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = {"cpu": "A CPU", "usable_cores": "2", "kernel": "6.12"}
    before, after = shop.run("a"), shop.run("bb", 1.2, machine=machine)
    assert shop.bench("compare", before, after) == ExitCode.DONE
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "The runs differ in machine.kernel: 6.1 → 6.12"
    assert said[1].startswith("bridge's cost against host at p50 latency changed: 1.09")


def test_compare_gives_the_same_as_json_and_writes_both_reports(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, after = shop.run("a"), shop.run("bb", 1.2)
    pages = [tmp_path / "changes.html", tmp_path / "changes.md"]
    options = [option for page in pages for option in ("--output", str(page))]
    assert shop.bench("compare", before, after, "--json", *options) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["before"], found["after"]) == ("a", "bb")
    assert {change["word"] for change in found["changes"] if change["kind"] == "cost"} == {"CHANGED"}
    html, markdown = (page.read_text() for page in pages)
    for page in (html, markdown):
        assert "bridge's cost against host" in page.replace("&#39;", "'")
        assert "includes whatever the machine did" in page
    assert html.count("<svg") == 1
    assert "<script" not in html


def test_compare_refuses_another_plan_with_exit_code_2_and_names_the_field(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shop.run("a")
    other = make_scenario(blocks=12, sessions=6, lab=LabSettings(forward_rules=500))
    after = shop.run("bb", scenario=other)
    assert shop.bench("compare", before, after) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    assert "lab.forward_rules: 0 → 500" in said.err
    assert said.out == ""
    assert shop.bench("compare", before, after, "--across", "lab.forward_rules") == ExitCode.DONE
    assert capsys.readouterr().out.startswith("The runs differ in lab.forward_rules: 0 → 500")


def test_compare_of_a_run_without_valid_blocks_exits_with_4(shop: Shop) -> None:
    empty = run_of(seed=1, scenario=PLAN)
    before = shop.store("a", empty.model_copy(update={"slots": empty.slots[:3]}))
    assert shop.bench("compare", before, shop.run("bb")) == ExitCode.INVALID_MEASUREMENT


def test_compare_writes_no_report_of_an_unknown_form(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", shop.run("a"), shop.run("bb"), "--output", "report.pdf"]
    assert shop.bench(*arguments) == ExitCode.BAD_INPUT
    assert "report.pdf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        ([], ExitCode.DONE, "MET           claim article: SUPPORTED"),
        (["--claim", "article"], ExitCode.DONE, "MET           claim article"),
        (["--claim", "article=NO PRACTICAL DIFFERENCE"], ExitCode.GATE_FAILED, "FAILED        claim article"),
        (["--max-cost", "1.2"], ExitCode.DONE, "MET           cost of bridge at p50 latency: 1.0"),
        (["--max-cost", "1.05"], ExitCode.GATE_FAILED, "FAILED        cost of bridge at p50 latency: 1.0"),
        (["--max-cost", "1.1"], ExitCode.GATE_FAILED, "INCONCLUSIVE  cost of bridge at p50 latency: 1.0"),
        (["--max-cost", "1.2", "--metric", "p99_latency_us"], ExitCode.DONE, "cost of bridge at p99"),
        (["--claim", "moon"], ExitCode.BAD_INPUT, ""),
        (["--claim", "article=GOOD"], ExitCode.BAD_INPUT, ""),
        (["--max-cost", "1.2", "--arm", "macvlan"], ExitCode.BAD_INPUT, ""),
        (["--arm", "bridge", "--metric", "p99_latency_us"], ExitCode.BAD_INPUT, ""),
        (["--claim", "article", "--arm", "bridge"], ExitCode.BAD_INPUT, ""),
    ],
)
def test_check_prints_a_line_a_demand_and_exits_by_the_contract(
    options: list[str], code: ExitCode, line: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.bench("check", shop.run("a"), *options) == code
    said = capsys.readouterr().out
    assert line in said
    assert said.count("\n") == (0 if code is ExitCode.BAD_INPUT else 1)


def test_check_finds_a_regression_since_a_baseline_run_and_writes_it_as_junit(
    shop: Shop, tmp_path: Path
) -> None:
    good, bad = shop.run("a"), shop.run("bb", 1.25)
    assert shop.bench("check", good, "--baseline", bad) == ExitCode.DONE, "a cost that shrank is none"
    report = tmp_path / "junit.xml"
    assert shop.bench("check", bad, "--baseline", good, "--junit", str(report)) == ExitCode.GATE_FAILED
    [suite] = ET.parse(report).getroot()
    assert suite.get("failures") == "1"


def test_check_of_a_run_without_valid_blocks_exits_with_4(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run_of(seed=1, scenario=PLAN)
    path = shop.store("a", record.model_copy(update={"slots": record.slots[:3]}))
    assert shop.bench("check", path, "--max-cost", "1.5", "--claim", "article") == 4
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["INVALID", "INVALID"]


def test_check_with_nothing_to_ask_is_refused(shop: Shop) -> None:
    assert shop.bench("check", shop.run("a", scenario=make_scenario(blocks=12))) == ExitCode.BAD_INPUT


def test_check_does_not_pass_over_an_arm_that_was_asked_for(shop: Shop) -> None:
    third = Arm(name="third", mode="bridge", port=81)
    plan = make_scenario(blocks=6, arms=(HOST, BRIDGE, third))
    record = run_of(seed=1, scenario=plan)
    path = shop.store("a", record.model_copy(update={"unavailable": {"third": "no driver"}}))
    assert shop.bench("check", path, "--max-cost", "2", "--arm", "third") == ExitCode.ENVIRONMENT
    whole = shop.store("bb", record)
    assert shop.bench("check", whole, "--baseline", shop.run("ccc"), "--arm", "third") == ExitCode.BAD_INPUT


def test_check_refuses_a_metric_that_the_run_does_not_compare(shop: Shop) -> None:
    plan = make_scenario(blocks=6, load=Load(model="open", rate_rps=100.0))
    path = shop.run("a", scenario=plan)
    assert shop.bench("check", path, "--max-cost", "2", "--metric", "throughput_rps") == ExitCode.BAD_INPUT


def test_check_gives_the_same_as_json(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.bench("check", shop.run("a"), "--max-cost", "1.05", "--json") == ExitCode.GATE_FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], [demand["word"] for demand in found["demands"]]) == (10, ["FAILED"])


def test_map_says_a_word_a_cell_of_several_runs_and_writes_its_page(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [shop.run("a"), shop.run("bb", 1.3)]
    pages = [tmp_path / "map.html", tmp_path / "map.md"]
    options = [option for path in pages for option in ("--output", str(path))]
    assert shop.bench("map", *runs, *options) == ExitCode.DONE
    said = capsys.readouterr().out
    assert said.count("host against bridge") == 2 + 2 * 4
    for path in pages:
        assert "Where host is better" in path.read_text()
        assert "unit bb" in path.read_text()
    assert pages[0].read_text().count("<svg") == 1
    assert shop.bench("map", *runs, "--json") == ExitCode.DONE
    together = json.loads(capsys.readouterr().out)
    assert shop.bench("map", runs[0], "--json") == ExitCode.DONE
    alone = json.loads(capsys.readouterr().out)
    assert len(together) == 2 * len(alone) == 8
    assert all(a["p_holm"] >= b["p_holm"] for a, b in zip(together, alone, strict=False))


def test_map_refuses_a_run_that_is_named_twice(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    run = shop.run("a")
    assert shop.bench("map", run, run) == ExitCode.BAD_INPUT
    assert "named twice" in capsys.readouterr().err


def test_history_shows_a_row_a_line_and_writes_page_and_csv(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "bb", "ccc"):
        shop.run(name)
    page, table = tmp_path / "history.html", tmp_path / "history.csv"
    options = ["--output", str(page), "--csv", str(table)]
    assert shop.bench("history", str(tmp_path), *options) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "bridge against host  p50 latency  3     1." in said
    assert "No change point was found." in said
    assert page.read_text().count("<svg") == 4
    assert table.read_text().count("\n") == 1 + 3 * 4
    assert shop.bench("history", str(tmp_path), "--json") == ExitCode.DONE
    assert [len(line["points"]) for line in json.loads(capsys.readouterr().out)] == [3, 3, 3, 3]


def test_history_names_a_run_that_cannot_be_read_and_shows_the_others(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.run("a")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{}")
    assert shop.bench("history", str(tmp_path)) == ExitCode.DONE
    said = capsys.readouterr()
    assert "left out: Opening the run" in said.err
    assert "bridge against host" in said.out


def test_history_of_nothing_is_refused(shop: Shop, tmp_path: Path) -> None:
    assert shop.bench("history", str(tmp_path)) == ExitCode.BAD_INPUT
    assert shop.bench("history", str(tmp_path / "nowhere")) == ExitCode.BAD_INPUT
    shop.run("a")
    assert shop.bench("history", str(tmp_path), "--output", "page.md") == ExitCode.BAD_INPUT
