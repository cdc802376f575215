"""What a command writes where it is asked to, and what a hostile folder makes it write: nothing elsewhere."""

import os
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import EnvironmentLacks, ExitCode, InputError
from bench.results import columns, files, sums
from bench.results.run import Run

from .conftest import make_records, make_run, make_scenario, store_whole
from .reports import CLAIM, few_resamples
from .test_cli import run_bench

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "unit" / "20250102T030405Z-00ff"
    folder.mkdir(parents=True)
    _store(folder)
    return folder


def _store(folder: Path) -> None:
    record = make_run(make_scenario(blocks=4, claims=(CLAIM,))).model_copy(update={"id": folder.name})
    for slot in record.planned:
        columns.write_requests(
            folder, slot.directory, make_records([{"sent_ns": 1_000 + n} for n in range(9)])
        )
    store_whole(folder, record)


OUTPUTS = {
    "report": ("report", "{run}", "--format", "md", "--output", "{file}"),
    "check": ("check", "{run}", "--junit", "{file}"),
    "history": ("history", "{run}", "--csv", "{file}"),
    "compare": ("compare", "{run}", "{other}", "--output", "{file}"),
    "map": ("map", "{run}", "--output", "{file}"),
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_device_a_link_and_a_pipe_are_written_to_and_stay_what_they_are(
    command: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = run.with_name("20250102T030406Z-00ff")
    other.mkdir()
    _store(other)

    def ask(file: Path) -> int:
        words = (word.format(run=run, other=other, file=file) for word in OUTPUTS[command])
        with few_resamples():
            return run_bench(monkeypatch, *words)

    if os.geteuid() == 0:  # Nobody else may make one, or could lose one.
        null = tmp_path / "null.md"  # Some commands choose the form by the name.
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        assert ask(null) == ExitCode.DONE
        assert stat.S_ISCHR(null.lstat().st_mode)

    target, link = tmp_path / "target.md", tmp_path / "link.md"
    target.write_text("what was there")
    link.symlink_to(target)
    assert ask(link) == ExitCode.DONE
    assert link.is_symlink()
    assert len(target.read_text()) > 100
    assert "what was there" not in target.read_text()

    pipe, read = tmp_path / "pipe.md", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert ask(pipe) == ExitCode.DONE
    reader.join(20)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert read == [target.read_text()]


def test_an_output_below_what_is_no_folder_is_refused_without_an_option_that_the_command_has_not(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_bench(monkeypatch, "report", str(run), "--format", "json", "--output", "/proc/nowhere/x.json")
    said = capsys.readouterr().err

    assert code == ExitCode.ENVIRONMENT
    assert "--results" not in said
    assert said.count("/proc/nowhere/x.json") == 1


def test_a_directory_in_the_place_of_an_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacks, match="directory"):
        files.write_output(tmp_path, b"x")
    assert tmp_path.is_dir()


def test_no_link_that_lies_in_a_runs_folder_is_written_through(run: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("report.html", "SHA256SUMS", ".report.html.partial", "verdict.json"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(victim)
    files.write_atomically(run / "report.html", b"new")
    files.write_atomically(run / "verdict.json", b"new")
    sums.write_sums(run)

    assert victim.read_text() == "mine"
    assert (run / "report.html").read_bytes() == b"new"
    assert not (run / "report.html").is_symlink()


def test_the_name_of_what_is_being_written_cannot_be_known_and_takes_nothing_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    opened = os.open

    def watch(path: str | Path, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL
            assert flags & os.O_NOFOLLOW
            seen.append(Path(path).name)
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", watch)
    for _ in range(3):
        files.write_atomically(tmp_path / "report.html", b"x")

    assert len(set(seen)) == 3


@pytest.mark.parametrize("link", ["figures", "slots"])
def test_a_folder_of_a_run_that_is_a_link_is_not_followed(link: str, run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if (run / link).exists():
        (run / link).rename(tmp_path / "moved")
    (run / link).symlink_to(elsewhere)

    with pytest.raises(EnvironmentLacks, match="it is a link to"):
        files.make_subfolder(run, f"{link}/000-host")
    assert list(elsewhere.iterdir()) == []


def test_a_report_does_not_follow_a_link_of_the_name_figures(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / "figures").symlink_to(elsewhere)
    with few_resamples():
        assert run_bench(monkeypatch, "report", str(run)) == ExitCode.ENVIRONMENT

    assert list(elsewhere.iterdir()) == []
    assert "it is a link to" in capsys.readouterr().err


def test_three_reports_of_one_run_at_the_same_time_all_succeed_and_leave_one_that_is_whole(run: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", "report", str(run)]
    reports = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [report.communicate(timeout=300)[1] for report in reports]

    assert [report.returncode for report in reports] == [0, 0, 0], said
    assert Run(run).faults == ()
    assert not list(run.rglob("*.partial"))
    for name, line in sums.read_sums(run).items():
        assert sums.digest_file(run / name) == line


# Parquet that is not what it should be.

GOOD = make_records([{"sent_ns": 1_000 + n, "connection": n} for n in range(9)])


def change_requests(change: str) -> pa.Table:
    table = pa.table({name: np.ascontiguousarray(GOOD[name]) for name in GOOD.dtype.names or ()})
    table = table.set_column(table.column_names.index("outcome"), "outcome", pa.array(["ok"] * 9))
    place = table.column_names.index("sent_ns")
    return {
        "text": lambda: table.set_column(place, "sent_ns", pa.array(["1"] * 9)),
        "nulls": lambda: table.set_column(place, "sent_ns", pa.array([None] * 9, pa.int64())),
        "fractions": lambda: table.set_column(place, "sent_ns", pa.array([0.5] * 9)),
        "unsigned": lambda: table.set_column(place, "sent_ns", pa.array([2**63] * 9, pa.uint64())),
        "lists": lambda: table.set_column(place, "sent_ns", pa.array([[1]] * 9)),
        "none": lambda: table.drop_columns(["sent_ns"]),
        "outcome": lambda: table.set_column(
            table.column_names.index("outcome"), "outcome", pa.array(["great"] * 9)
        ),
        "outcomes missing": lambda: table.set_column(
            table.column_names.index("outcome"), "outcome", pa.array([None] * 9, pa.string())
        ),
    }[change]()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("text", "its sent_ns is string, not a whole number"),
        ("nulls", "its sent_ns is missing in 9 rows"),
        ("fractions", "its sent_ns is double"),
        ("unsigned", "its sent_ns is uint64"),
        ("lists", "its sent_ns is list"),
        ("none", "it lacks sent_ns"),
        ("outcome", "outcomes that no request has: great"),
        ("outcomes missing", "outcomes that no request has: None"),
    ],
)
def test_requests_with_columns_that_no_request_has_are_bad_input_in_one_paragraph(
    change: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "slots/000-host").mkdir(parents=True)
    pq.write_table(change_requests(change), tmp_path / "slots/000-host/requests.parquet")
    with pytest.raises(InputError) as caught:
        columns.read_requests(tmp_path, "slots/000-host")

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ids", [["1"], [None], [-1], [1, 1], [0.5]], ids=repr)
def test_hops_of_no_requests_are_bad_input(ids: list[object], tmp_path: Path) -> None:
    (tmp_path / "slots/000-host").mkdir(parents=True)
    pd.DataFrame({"id": ids}).to_parquet(tmp_path / "slots/000-host/hops.parquet")

    with pytest.raises(InputError, match=r"hops\.parquet"):
        columns.read_hops(tmp_path, "slots/000-host", ["id"])


@pytest.mark.parametrize("said", [b"\xb4", b'{"index_columns": ["sent_ns"], "columns": []}'], ids=repr)
def test_what_pandas_wrote_beside_the_columns_is_not_heeded(said: bytes, tmp_path: Path) -> None:
    columns.write_requests(tmp_path, "slots/000-host", GOOD)
    path = tmp_path / "slots/000-host/requests.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"pandas": said}), path)

    assert "sent_ns" in columns.read_requests(tmp_path, "slots/000-host").to_pandas()


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_parquet_file_is_read_as_it_is_or_refused(seed: int, tmp_path: Path) -> None:
    columns.write_requests(tmp_path, "slots/000-host", GOOD)
    path = tmp_path / "slots/000-host/requests.parquet"
    content = bytearray(path.read_bytes())
    sealed = sums.digest(bytes(content))
    dice = np.random.default_rng(seed)
    for place in dice.integers(len(content), size=3):
        content[place] ^= int(dice.integers(1, 256))
    path.write_bytes(bytes(content))

    refusal = ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            columns.read_requests(tmp_path, "slots/000-host", sealed=sealed)
        except InputError as fault:
            refusal = str(fault)
    assert [one.category for one in warned] == [sums.NotAsWritten]
    assert "\n" not in refusal
