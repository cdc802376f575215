"""What a person sees who types `bench`, `bench list`, or the tabulator."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench import __version__
from bench.errors import ExitCode
from bench.records.run import Status
from bench.results import columns, files, store, sums
from bench.results.listing import describe_age, list_shelf

from .conftest import make_run, make_scenario, store_whole
from .reports import CLAIM
from .test_capacity import begin
from .test_findings import make_record, make_walk
from .test_suite import store_suite

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
"""Nothing here comes near it unless it waits for what never comes."""


def bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The `bench` command, run in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=PATIENCE_S,
    )


def store_one(results: Path, number: str, status: Status) -> Path:
    run_id = f"20250102T030405Z-{number}"
    folder = files.create_run_folder(results, "unit", run_id)
    store.write_run(folder, make_run(make_scenario(), id=run_id, status=status))
    return folder


def test_bench_alone_tells_a_newcomer_how_to_begin(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.returncode == 0
    for command in ("bench doctor", "bench run quick", "make quick"):
        assert command in done.stdout
    assert "bench resume" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_bench_alone_names_the_last_run_and_how_to_go_on_with_it_where_it_stopped(tmp_path: Path) -> None:
    store_one(tmp_path / "results", "0001", Status.COMPLETE)
    assert "bench resume" not in bench(tmp_path).stdout
    last = store_one(tmp_path / "results", "0002", Status.INTERRUPTED)
    said = bench(tmp_path).stdout
    assert f"bench resume {last.relative_to(tmp_path)}\n" in said
    assert "interrupted" in said


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert bench(tmp_path, "--version").stdout == f"{__version__}\n"


def test_the_list_tells_runs_and_suites_the_newest_first_with_status_and_word(tmp_path: Path) -> None:
    results = tmp_path / "results"
    judged = files.create_run_folder(results, "unit", "20240102T030405Z-aaaa")
    store.write_run(judged, make_run(make_scenario(claims=(CLAIM,))))
    verdict = {"claims": [{"word": "SUPPORTED"}, {"word": "SUPPORTED"}], "comparisons": []}
    (judged / "verdict.json").write_text(json.dumps(verdict))
    folder, suite = store_suite(results)
    store.write_suite(folder, suite)
    found = json.loads(bench(tmp_path, "list", "--json").stdout)
    assert [each["kind"] for each in found] == ["suite", "run", "run"]
    assert found[0]["word"] == "2 of 3 scenarios"
    assert [each["word"] for each in found[1:]] == ["", "SUPPORTED"]
    table = bench(tmp_path, "list").stdout.splitlines()
    assert [Path(line.split()[-1]).name for line in table[1:]] == [Path(each["path"]).name for each in found]


BAD = {
    "": "is damaged",
    "[]": "holds something else than a",
    "{": "is damaged",
    "\xff": "is damaged",
    '"x"': "holds something else than a",
    "{}": "holds something else than a",
    '{"status": "complete", "scenario": [], "started_at": 3}': "holds something else than a",
    '{"status": 7, "name": {}, "entries": 1, "probes": 2, "walks": 3}': "holds something else than a",
    "[" * 100_000: "is damaged",
}
FILES = {
    "run.json": "run",
    "suite.json": "suite",
    "capacity.json": "capacity measurement",
    "walkthrough.json": "walkthrough",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_what_is_damaged_is_listed_as_unreadable_with_a_reason_and_the_others_stay(
    tmp_path: Path, text: str
) -> None:
    good = store_one(tmp_path / "results", "0001", Status.COMPLETE)
    for name in FILES:
        folder = tmp_path / "results" / "any" / f"20250103T030405Z-{name[:4]}"
        folder.mkdir(parents=True)
        (folder / name).write_text(text, encoding="latin-1")
    found = list_shelf(tmp_path / "results")

    assert found[-1].path == good
    assert {each.kind: each.status for each in found[:-1]} == dict.fromkeys(FILES.values(), "unreadable")
    for each in found[:-1]:
        assert BAD[text] in each.reason


ELSEWHERE = {"a pipe": os.mkfifo, "a device": lambda place: place.symlink_to("/dev/zero")}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_is_no_file_in_a_files_place_keeps_no_reader_waiting(tmp_path: Path, what: str) -> None:
    results = tmp_path / "results"
    names = ["run.json", "suite.json", "capacity.json", "SHA256SUMS"]
    runs = [store_one(results, f"{number:04}", Status.COMPLETE) for number in range(len(names))]
    for run, name in zip(runs, names, strict=True):
        (run / name).unlink(missing_ok=True)
        ELSEWHERE[what](run / name)

    assert "unreadable  run.json: it is a pipe or a device, not a file" in bench(tmp_path, "list").stdout
    for run in runs:
        assert "Traceback" not in bench(tmp_path, "verify", str(run), "--deep").stderr


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_is_no_file_in_the_place_of_requests_is_refused(tmp_path: Path, what: str) -> None:
    ELSEWHERE[what](tmp_path / columns.REQUESTS_FILE)
    script = (
        "import pathlib, sys; from bench.results import columns;"
        " columns.read_requests(pathlib.Path(sys.argv[1]), '.')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE_S,
    )

    assert "InputError" in done.stderr
    assert "it is a pipe or a device, not a file" in done.stderr


def test_a_damaged_run_ends_neither_the_list_nor_what_bench_alone_says(tmp_path: Path) -> None:
    good = store_one(tmp_path / "results", "0001", Status.COMPLETE)
    bad = store_one(tmp_path / "results", "0002", Status.COMPLETE)
    (bad / "run.json").write_text('{"status": "complete", "scenario": [], "started_at": 3}')

    done = bench(tmp_path, "list")
    assert done.returncode == 0
    assert "unreadable" in done.stdout
    assert "run.json holds something else than a run" in done.stdout
    assert str(good.relative_to(tmp_path)) in done.stdout
    done = bench(tmp_path)
    assert done.returncode == 0
    assert "run.json holds something else than a run" in done.stdout
    assert "bench resume" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="who may become nobody is root")
def test_a_folder_that_a_person_may_not_enter_is_listed_with_the_reason() -> None:
    script = (
        "import os, sys; from pathlib import Path; from bench.results.listing import list_shelf\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "for each in list_shelf(Path(sys.argv[1])): print(each.path.name, each.status, each.reason)"
    )
    with tempfile.TemporaryDirectory() as name:  # Not pytest's, which nobody else may enter.
        results = Path(name)
        for path in (results, (run := store_one(results, "0001", Status.COMPLETE)).parent, run):
            path.chmod(0o755)
        (run / "run.json").chmod(0o644)
        store_one(results, "0002", Status.COMPLETE).chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-c", script, name],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "20250102T030405Z-0002 unreadable Permission denied",
        "20250102T030405Z-0001 complete ",
    ]


def test_a_verdict_that_cannot_be_read_takes_a_run_its_word_and_nothing_else(tmp_path: Path) -> None:
    run = store_one(tmp_path, "0001", Status.COMPLETE)
    for text in (
        "{",
        '{"claims": [3]}',
        '{"claims": 3}',
        '{"comparisons": [{}]}',
        '{"claims": [{"word": 1}]}',
    ):
        (run / "verdict.json").write_text(text)
        [found] = list_shelf(tmp_path)
        assert (found.status, found.word) == ("complete", "")


def test_a_capacity_measurement_is_listed_and_can_be_gone_on_with(tmp_path: Path) -> None:
    store_one(tmp_path / "results", "0001", Status.COMPLETE)
    folder = files.create_run_folder(tmp_path / "results", "capacity", "20250103T030405Z-0002")
    store.write_capacity(folder, begin().model_copy(update={"status": Status.INTERRUPTED}))

    found = json.loads(bench(tmp_path, "list", "--json").stdout)
    assert [each["kind"] for each in found] == ["capacity measurement", "run"]
    assert found[0]["status"] == "interrupted"
    assert f"bench resume {folder.relative_to(tmp_path)}\n" in bench(tmp_path).stdout


def test_a_bad_run_ends_no_history_of_the_others(tmp_path: Path) -> None:
    for number in range(3):
        folder = store_one(tmp_path / "results", f"000{number}", Status.COMPLETE)
        store_whole(folder, make_run(make_scenario(), id=folder.name))
    (folder / "run.json").write_text('{"schema_version": 5, "scenario": []}')

    done = bench(tmp_path, "history", "results", "--json")
    assert done.returncode == 0
    assert "left out: Opening the run" in done.stderr
    assert "Traceback" not in done.stderr
    assert {point["run"][-4:] for line in json.loads(done.stdout) for point in line["points"]} == {
        "0000",
        "0001",
    }


CHANGES = {
    "its record": "run.json",
    "the verdict that its word is of": "verdict.json",
    "its sums": "SHA256SUMS",
}


@pytest.mark.parametrize("file", CHANGES.values(), ids=CHANGES)
def test_a_word_of_what_was_changed_since_it_was_written_is_listed_with_a_mark_and_what_tells_more(
    file: str, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    for number in ("0001", "0002"):
        folder = files.create_run_folder(results, "unit", f"20250102T030405Z-{number}")
        store_whole(folder, make_run(make_scenario(claims=(CLAIM,)), id=folder.name))
        (folder / "verdict.json").write_text('{"claims": [{"word": "SUPPORTED"}]}')
        sums.write_sums(folder)
    assert "not as it was written" not in (said := bench(tmp_path, "list")).stdout + said.stderr
    (folder / file).write_text((folder / file).read_text().replace("SUPPORTED", "NOT SUPPORTED") + " ")
    if file == "SHA256SUMS":
        (folder / file).unlink()

    done = bench(tmp_path, "list")
    changed, whole = done.stdout.splitlines()[1:]
    assert "SUPPORTED *" in changed
    assert "*" not in whole
    assert done.stderr == "* not as it was written: `bench verify FOLDER` says what\n"
    assert [each["changed"] for each in json.loads(bench(tmp_path, "list", "--json").stdout)] == [True, False]
    assert f"`bench verify {folder.relative_to(tmp_path)}` says what" in bench(tmp_path).stdout
    assert bench(tmp_path, "verify", str(folder)).returncode == ExitCode.INVALID_MEASUREMENT


def test_what_goes_on_or_has_no_sums_by_its_kind_is_not_said_to_be_changed(tmp_path: Path) -> None:
    store_one(tmp_path, "0001", Status.RUNNING)
    folder = tmp_path / "walkthrough" / "20250103T030405Z-0001"
    folder.mkdir(parents=True)
    (folder / "walkthrough.json").write_text(make_record(make_walk("machine")).model_dump_json())

    assert [each.changed for each in list_shelf(tmp_path)] == [False, False]


def test_an_empty_shelf_says_so_and_what_to_do(tmp_path: Path) -> None:
    done = bench(tmp_path, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "bench run quick" in done.stderr


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=9), "9 d ago"),
        (-timedelta(hours=1), "0 min ago"),
    ],
)
def test_an_age_is_told_in_its_own_unit(ago: timedelta, said: str) -> None:
    now = datetime(2025, 1, 2, tzinfo=UTC)
    assert describe_age((now - ago).isoformat(), now) == said


def test_no_age_is_told_of_what_is_no_time() -> None:
    assert describe_age("", datetime.now(UTC)) == ""


@pytest.mark.slow
def test_bash_completes_commands_scenarios_modes_and_runs_by_the_printed_script(tmp_path: Path) -> None:
    last = store_one(tmp_path / "results", "0001", Status.COMPLETE).relative_to(tmp_path)
    command = tmp_path / "bench"
    command.write_text(f"#!{sys.executable}\nfrom bench.cli.app import main\n\nmain()\n")
    command.chmod(0o755)
    asked = {
        "bench scen": "scenario",
        "bench run qui": "quick",
        "bench run --prec": "--precision",
        "bench scenario new x --mode macv": "macvlan",
        "bench resume results/u": str(last),
    }
    lines = [f"source {tmp_path / 'completion'}"]
    for line in asked:
        words = line.split()
        lines.append(f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _bench_completion bench")
        lines.append('echo "${COMPREPLY[*]}"')
    (tmp_path / "completion").write_text(bench(tmp_path, "completion", "bash").stdout)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert dict(zip(asked, done.stdout.splitlines(), strict=True)) == asked, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_no_file_of_the_person_is_written(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "completion", shell],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "_BENCH_COMPLETE" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["--help"], {}),
        (["run", "--help"], {}),
        ([], {}),
        (["list"], {}),
        (["completion", "bash"], {}),
        ([], {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": "bench resume r", "COMP_CWORD": "2"}),
    ],
    ids=["help", "a command's help", "nothing", "list", "completion", "the tabulator"],
)
def test_what_a_person_waits_for_at_the_prompt_imports_no_library_that_measures_or_draws(
    arguments: list[str], asked: dict[str, str], tmp_path: Path
) -> None:
    store_one(tmp_path / "results", "0001", Status.COMPLETE)
    script = (
        "import sys; from bench.cli import app; sys.argv[1:] = sys.argv[2:];"
        " code = app.run_app();"
        " print(code, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
    )
    code, *imported = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    assert done.stdout
    heavy = {"docker", "locust", "matplotlib", "numpy", "pandas", "pyarrow", "scapy", "scipy"}
    assert not heavy & set(imported)
