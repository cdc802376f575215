"""Suites without a lab: what is asked for, how a budget is divided, how it ends, what the index says."""

import errno
import itertools
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.cli.publishing import Index
from bench.cli.scenario_files import bundled_scenarios, read_asked
from bench.cli.suite import print_end
from bench.errors import ExitCode, InputError
from bench.judgement.samples import MIN_BLOCKS
from bench.judgement.verdict import Verdict, judge
from bench.measure.budget import divide_budget
from bench.measure.preview_suite import preview_suite
from bench.measure.suite import Watcher, _run_entry, resume_suite
from bench.records.run import Status
from bench.records.suite import SEVERITY, SUITE_SCHEMA_VERSION, Entry, SuiteRecord, find_worst
from bench.report.pages.suite import list_chapters, write_index
from bench.results import files, store
from bench.results.verification import verify_all
from bench.scenario.plan import measuring_seconds, overhead_seconds, plan_slots
from bench.scenario.scenario import Scenario
from bench.scenario.suite import parse_suite

from .conftest import make_run, make_scenario, store_whole
from .reports import CLAIM, few_resamples

FAULT = "Making the run's folder x: [Errno 28] No space left on device. Make <room>."


def make_entry(scenario: Scenario | None = None, **changes: object) -> Entry:
    fields = {"source": "unit.toml", "scenario": scenario or make_scenario(), "seed": 1, "budget_s": None}
    return Entry.model_validate({**fields, **changes})


def make_suite(*entries: Entry, **changes: object) -> SuiteRecord:
    fields = {
        "schema_version": SUITE_SCHEMA_VERSION,
        "id": "20250102T030405Z-00ff",
        "bench_version": "0.1.0",
        "name": "unit",
        "question": "Does it <hold>?",
        "status": Status.COMPLETE,
        "started_at": "2025-01-02T03:04:05+00:00",
        "finished_at": "2025-01-02T03:05:05+00:00",
        "budget_s": None,
        "precision": None,
        "entries": entries,
    }
    return SuiteRecord.model_validate({**fields, **changes})


def store_suite(results: Path) -> tuple[Path, SuiteRecord]:
    """A suite of a run that is complete, one that could not be begun, and one that was not."""
    scenario = make_scenario(claims=(CLAIM,))
    store.write_run(files.create_run_folder(results, "unit", "20250102T030405Z-0001"), make_run(scenario))
    record = make_suite(
        make_entry(
            scenario, run="../../unit/20250102T030405Z-0001", status=Status.COMPLETE, exit_code=ExitCode.DONE
        ),
        make_entry(
            run="../../unit/20250102T030405Z-0002",
            status=Status.FAILED,
            exit_code=ExitCode.ENVIRONMENT,
            fault=FAULT,
        ),
        make_entry(),
        status=Status.FAILED,
    )
    return store.create_suite_folder(results, record.id), record


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


def test_every_scenario_gets_the_same_part_of_its_blocks_and_all_of_them_fit_the_budget() -> None:
    scenarios = [make_scenario(blocks=12), make_scenario(blocks=40, sessions=8)]
    shares = divide_budget(scenarios, 150)
    needs = [measuring_seconds(scenario, plan_slots(scenario, 0)) for scenario in scenarios]
    parts = [share / need for share, need in zip(shares, needs, strict=True)]
    assert parts[0] == pytest.approx(parts[1])
    assert sum(shares) + sum(map(overhead_seconds, scenarios)) == pytest.approx(150)


def test_a_budget_is_refused_where_a_scenario_would_get_too_few_blocks_and_the_one_it_names_is_enough() -> (
    None
):
    scenarios = [make_scenario(blocks=12), make_scenario(blocks=6)]
    with pytest.raises(InputError) as caught:
        divide_budget(scenarios, 20)
    enough = float(caught.value.advice.split()[1])
    for scenario, share in zip(scenarios, divide_budget(scenarios, enough + 1), strict=True):
        block_s = measuring_seconds(scenario, plan_slots(scenario, 0)) / scenario.schedule.blocks
        assert share >= MIN_BLOCKS * block_s
    with pytest.raises(InputError):
        divide_budget(scenarios, enough - 1)


def test_the_worst_exit_code_is_the_first_by_severity_in_whatever_order_runs_end() -> None:
    for length in range(1, 4):
        for codes in itertools.product(SEVERITY, repeat=length):
            assert SEVERITY.index(find_worst(codes)) == min(map(SEVERITY.index, codes))


def test_a_suite_that_has_not_ended_exits_as_interrupted_and_one_that_has_with_its_worst() -> None:
    done, void = (
        make_entry(status=Status.COMPLETE, exit_code=code)
        for code in (ExitCode.DONE, ExitCode.INVALID_MEASUREMENT)
    )
    assert make_suite(done, make_entry()).exit_code is ExitCode.INTERRUPTED
    assert make_suite(done, done).exit_code is ExitCode.DONE
    assert make_suite(done, void).exit_code is ExitCode.INVALID_MEASUREMENT


@pytest.mark.parametrize("status", [*Status, None])
@pytest.mark.parametrize("code", [ExitCode.DONE, ExitCode.INVALID_MEASUREMENT, None])
def test_only_a_run_that_came_to_its_end_and_was_judged_is_not_run_again(
    status: Status | None, code: ExitCode | None
) -> None:
    ended = (
        status in (Status.COMPLETE, Status.PRECISE, Status.DECIDED, Status.BUDGET_SPENT) and code is not None
    )
    assert make_entry(status=status, exit_code=code).has_ended is ended


def test_a_stored_suite_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    store.write_suite(folder, record)
    assert store.read_suite(folder) == record
    assert files.is_suite(folder)
    assert not files.is_suite(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 1', "\x00"])
def test_a_damaged_suite_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(InputError, match="Opening the suite"):
        store.read_suite(tmp_path)


def test_a_suite_of_a_later_version_is_refused_and_says_which_it_is_not(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    later = record.model_copy(update={"schema_version": SUITE_SCHEMA_VERSION + 1})
    store.write_suite(folder, later)
    with pytest.raises(InputError, match=f"newer than those that this bench reads: {SUITE_SCHEMA_VERSION}"):
        store.read_suite(folder)


def test_the_index_tells_every_scenario_and_links_to_the_reports_that_there_are(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    with few_resamples():
        write_index(record, folder)
    page, text = (folder / "index.html").read_text(), (folder / "index.md").read_text()
    links = Links()
    links.feed(page)
    assert set(links.found) - {"data:,"} == {"../../unit/20250102T030405Z-0001/report.html"}
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in page
    assert "<hold>" not in page
    assert "<room>" not in page
    for said in (page, text):
        assert said.count("What does bridge cost?") == 3
        assert "On this machine, " in said
        assert "95" in said
        assert "SUPPORTED" in said
        assert CLAIM.text in said
        assert "No space left on device" in said
        assert "not begun" in said
        assert "1 of 3 scenarios ended" in said


def test_a_suite_says_of_a_run_that_was_changed_since_that_it_was_before_any_of_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = store_suite(tmp_path)
    place = tmp_path / "unit/20250102T030405Z-0001"
    store_whole(place, store.read_run(place))
    store.write_suite(folder, record)

    def tell() -> tuple[str, str, str]:
        with few_resamples():
            write_index(record, folder)
            with pytest.raises(typer.Exit):
                print_end(folder, Index(), as_json=False)
        said = capsys.readouterr().out
        return said, (folder / "index.html").read_text(), (folder / "index.md").read_text()

    assert not any("NOT AS IT WAS MEASURED" in text for text in tell())
    (place / "run.json").open("a").write(" ")
    said, page, text = tell()
    assert "SUPPORTED *" in said
    assert "* NOT AS IT WAS MEASURED: of run 20250102T030405Z-00ff, run.json" in " ".join(said.split())
    for told in (page.partition("<body>")[2], text):
        assert told.index("NOT AS IT WAS MEASURED") < told.index("SUPPORTED")


def test_the_index_tells_how_far_a_run_came_that_was_resumed_by_itself_since(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    stale = record.entries[0].model_copy(update={"status": Status.INTERRUPTED})
    with few_resamples():
        assert list_chapters(record.with_entry(0, stale), folder)[0].status == "complete"


def test_an_index_opens_and_judges_a_run_that_ended_once_however_often_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record = store_suite(tmp_path)
    judged: list[int] = []

    def count(*arguments: Any, **more: Any) -> Verdict:
        judged.append(1)
        return judge(*arguments, **more)

    monkeypatch.setattr("bench.results.run.judge", count)
    index = Index()
    with few_resamples():
        for _ in range(3):
            index.publish(folder, record, None)
        assert len(list_chapters(record, folder, index.runs)) == 3

    assert len(judged) == 1


def test_a_damaged_run_of_a_suite_is_told_and_hides_none_of_the_others(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    store.write_suite(folder, record)
    damaged = tmp_path / "unit" / "20250102T030405Z-0001" / "run.json"
    damaged.write_text("{")
    first, *others = list_chapters(record, folder)
    assert "run.json" in first.answer
    assert len(others) == 2
    assert "run.json" in verify_all(folder)[1].findings["faults"][0]

    damaged.unlink()
    assert "run.json" in verify_all(folder)[1].findings["faults"][0]


@pytest.mark.parametrize("changes", [{"seed": 2}, {"scenario": make_scenario(question="Which?")}])
def test_a_run_in_the_place_of_a_suite_s_that_is_not_the_registered_one_is_named(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    folder, record = store_suite(tmp_path)
    store.finish_suite(folder, record)
    assert verify_all(folder)[0].findings["faults"] == ()
    place = tmp_path / "unit/20250102T030405Z-0001"
    store.write_run(place, store.read_run(place).model_copy(update=changes))
    assert verify_all(folder)[0].findings["faults"] == (
        "../../unit/20250102T030405Z-0001 is of another scenario or seed than suite.json registered",
    )


@pytest.mark.parametrize(
    "place", ["javascript:alert(1)//x", "../../../etc/x", "../../unit/..", "/etc/x", "https://x.test/a/b"]
)
def test_a_run_of_a_suite_lies_beside_it_and_nowhere_else(place: str, tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path)
    store.write_suite(folder, record)
    stored = json.loads((folder / "suite.json").read_text())
    stored["entries"][0]["run"] = place
    (folder / "suite.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"entries\.0\.run"):
        store.read_suite(folder)


FIRST = ("entries", 0)
FAULTS: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "a run of two entries": (("entries", 1, "run"), "../../unit/20250102T030405Z-0001", "is the run of two"),
    "a run of another scenario": (
        (*FIRST, "run"),
        "../../other/1",
        "entries.0.run: ../../other/1 is no place",
    ),
    "a run that has not begun": (
        (*FIRST, "status"),
        None,
        "entries.0.status: is None, and its run ../../unit",
    ),
    "a status without a run": (
        ("entries", 2, "status"),
        "failed",
        "entries.2.status: is failed, and its run N",
    ),
    "a code before it began": (
        ("entries", 2, "exit_code"),
        0,
        "entries.2.exit_code: is 0, and it has not beg",
    ),
    "a code of no run": ((*FIRST, "exit_code"), 10, "entries.0.exit_code: no run ends with 10"),
    "a code that is none": ((*FIRST, "exit_code"), 5, "entries.0.exit_code: Input should be"),
    "a fault of what is done": (
        (*FIRST, "fault"),
        "x",
        "entries.0.fault: there is one, and the exit code is 0",
    ),
    "a share of no budget": ((*FIRST, "budget_s"), 3.0, "entries.0.budget_s: is 3.0, of the suite's None"),
    "a status that is none": ((*FIRST, "status"), "FINE", "entries.0.status: Input should be"),
    "complete, of three of which one is": (("status",), "complete", "status: complete, and not every entry"),
    "a run's status": (("status",), "decided", "status: decided is how a run ends, no suite"),
    "running and finished": (("status",), "running", "finished_at: is 2025-01-02T03:05:05+00:00, and the st"),
    "failed and not finished": (("finished_at",), None, "finished_at: is None, and the status failed"),
    "no entries": (("entries",), [], "entries: Tuple should have at least 1 item"),
    "a precision of nothing": (("precision",), 0.0, "precision: Input should be greater than 0"),
}


def store_changed(folder: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    stored = json.loads((folder / "suite.json").read_text())
    for (*way, last), value in changes:
        place = stored
        for part in way:
            place = place[part]
        place[last] = value
    (folder / "suite.json").write_text(json.dumps(stored))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_suite_that_does_not_hold_together_is_refused_with_the_place_of_the_fault(
    fault: str, tmp_path: Path
) -> None:
    folder, record = store_suite(tmp_path)
    store.write_suite(folder, record)
    way, value, told = FAULTS[fault]
    store_changed(folder, [(way, value)])
    with pytest.raises(InputError) as caught:
        store.read_suite(folder)
    assert told in caught.value.seen


def test_all_faults_of_a_suite_are_one_paragraph_of_a_command_and_end_no_list(tmp_path: Path) -> None:
    folder, record = store_suite(tmp_path / "results")
    store.write_suite(folder, record)
    several = [FAULTS[name] for name in ("a run of another scenario", "a fault of what is done")]
    store_changed(folder, [(way, value) for way, value, _ in several])

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "bench", *command]
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)

    for command in ("report", "verify"):
        done = call(command, str(folder))
        assert done.returncode == ExitCode.BAD_INPUT
        said = " ".join(done.stderr.split())
        assert "its suite.json has 2 faults" in said
        assert all(told[:40] in said for _, _, told in several)
        assert "Traceback" not in said
    assert call("list").stdout.count("20250102T030405Z") == 2
    assert call().returncode == ExitCode.DONE


def test_a_run_that_could_not_go_on_because_its_record_is_damaged_is_no_success_of_the_suite() -> None:
    damaged = make_entry(run="../../unit/1", status=Status.FAILED, exit_code=ExitCode.BAD_INPUT, fault="x")
    assert make_suite(damaged, status=Status.FAILED).exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EACCES])
def test_a_machine_that_has_too_little_of_something_is_no_bug_to_a_suite(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr("bench.measure.suite._measure", lack)
    said = list[str]()
    watcher = Watcher(
        say=said.append,
        progress=lambda: pytest.fail("nothing is measured"),
        ended=lambda *_: None,
        publish=lambda _: None,
        publish_index=Index().publish,
    )
    entry, run = _run_entry(tmp_path / "suites" / "x", make_entry(run="../../unit/1"), None, watcher)

    assert run is None
    assert entry.exit_code is ExitCode.ENVIRONMENT
    assert f"/some/file: {os.strerror(number)}" in entry.fault
    assert "bug" not in entry.fault
    assert said == []


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FAILED])
def test_a_suite_that_died_after_its_last_run_is_finished_by_resuming_it(
    status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.paths.STATE", tmp_path / "state")
    folder, record = store_suite(tmp_path)
    finished_at = None if status is Status.RUNNING else record.finished_at
    changes = {"status": status, "finished_at": finished_at, "entries": record.entries[:1]}
    died = record.model_copy(update=changes)
    store.write_suite(folder, died)
    watcher = Watcher(
        say=lambda _: None,
        progress=lambda: pytest.fail("nothing is left to be run"),
        ended=lambda *_: None,
        publish=lambda _: None,
        publish_index=Index().publish,
    )
    with few_resamples():
        resume_suite(folder, watcher)

    assert store.read_suite(folder).status is Status.COMPLETE
    assert verify_all(folder)[0].findings["faults"] == ()
    assert "1 of 1 scenarios ended" in (folder / "index.md").read_text()
    with pytest.raises(InputError, match="all of its runs have ended"):
        resume_suite(folder, watcher)


def test_a_suite_s_runs_stand_in_its_place_in_the_order_of_the_command() -> None:
    names = [scenario.name for _, scenario in read_asked(["quick", "claim", "quick"]).scenarios]
    assert names[0] == names[-1] == "quick"
    assert names[1:-1] == list(
        parse_suite((bundled_scenarios() / "suites/claim.toml").read_text(), "").scenarios
    )


def test_every_suite_that_we_ship_can_be_read_under_its_file_name() -> None:
    found = list((bundled_scenarios() / "suites").glob("*.toml"))
    assert found
    for path in found:
        asked = read_asked([str(path)])
        assert (asked.name, asked.is_suite) == (path.stem, True)


def test_a_suite_names_scenarios_beside_itself_first(tmp_path: Path) -> None:
    mine = (bundled_scenarios() / "quick.toml").read_text().replace("blocks = 10", "blocks = 2")
    (tmp_path / "mine.toml").write_text(mine)
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "own"\nquestion = "?"\nscenarios = ["mine.toml", "open"]\n')
    asked = read_asked([str(suite)])
    assert [scenario.name for _, scenario in asked.scenarios] == ["quick", "open"]
    assert asked.scenarios[0][1].schedule.blocks == 2


def test_the_faults_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\nquestoin = "?"\n')
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "own"\nquestion = "?"\nscenarios = ["two.toml", "nowhere"]\n')
    with pytest.raises(InputError) as caught:
        read_asked([str(tmp_path / "one.toml"), str(suite), "quick"])
    said = str(caught.value)
    for word in ("one.toml", "two.toml", "nowhere", "did you mean question?"):
        assert word in said


def test_a_suite_in_a_suite_is_refused(tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "own"\nquestion = "?"\nscenarios = ["claim"]\n')
    with pytest.raises(InputError, match="it is a suite"):
        read_asked([str(suite)])


def test_a_misspelt_key_of_a_suite_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean question\?"):
        parse_suite('name = "own"\nquestoin = "?"\nscenarios = ["quick"]\n', "own.toml")


def test_the_plan_tells_what_a_scenario_took_when_it_was_last_complete_as_it_is_now(tmp_path: Path) -> None:
    asked = read_asked(["quick", "open"])
    scenario = asked.scenarios[0][1]
    ended = "2025-01-02T03:09:05+00:00"
    kinds: list[dict[str, object]] = [
        {"finished_at": ended},
        {},
        {"status": Status.INTERRUPTED, "finished_at": ended},
        {"scenario": make_scenario(), "finished_at": ended},
    ]
    for number, changes in enumerate(kinds):
        folder = files.create_run_folder(tmp_path, "quick", f"20250102T030405Z-000{number}")
        store.write_run(folder, make_run(scenario).model_copy(update=changes))
    (files.create_run_folder(tmp_path, "quick", "20250102T030405Z-0009") / "run.json").write_text("{}")
    rows = preview_suite(asked, None, tmp_path).rows
    assert [row.last_s for row in rows] == [60, None]
