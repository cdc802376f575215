import csv
import json
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader, PcapWriter

from bench.errors import EnvironmentLacks, ExitCode, InputError
from bench.judgement.verdict import judge
from bench.lab.hosts import command
from bench.records.environment import LabFacts
from bench.records.run import SCHEMA_VERSION, RunRecord
from bench.results import columns, files, slot_table, store, sums
from bench.scenario.metric import PERFORMANCE, Metric
from bench.slots.requests import NO_CONNECTION, Outcome

from .conftest import make_gate, make_records, make_run, make_scenario, make_slot_record

RUN = make_run(make_scenario(blocks=3, factors={"load.connections": (1, 16)}))


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The disk is full after `size` bytes of any file, as far as this process can see."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# A run's folder.


def test_a_run_id_is_its_time_in_utc_and_four_hexadecimal_digits() -> None:
    summer = datetime(2025, 7, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))

    assert re.fullmatch(r"20250630T230203Z-[0-9a-f]{4}", files.new_run_id(summer))
    assert len({files.new_run_id(summer) for _ in range(20)}) > 1


def test_a_runs_folder_is_that_of_its_scenario_and_id_and_is_made_once(tmp_path: Path) -> None:
    folder = files.create_run_folder(tmp_path, "unit", RUN.id)

    assert folder == tmp_path / "unit" / RUN.id
    assert (folder / "slots").is_dir()
    with pytest.raises(EnvironmentLacks):
        files.create_run_folder(tmp_path, "unit", RUN.id)


def test_a_results_folder_that_is_a_file_is_a_lack_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentLacks, match="--results") as caught:
        files.create_run_folder(tmp_path / "file", "unit", RUN.id)
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


# run.json.


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    store.write_run(tmp_path, RUN)

    assert store.read_run(tmp_path) == RUN


def test_a_run_that_was_registered_and_has_no_data_is_read_as_it_was_written(tmp_path: Path) -> None:
    bare = RUN.model_copy(update={"slots": (), "finished_at": None, "budget_s": 90.0, "lab": LabFacts()})
    store.write_run(tmp_path, bare)

    assert store.read_run(tmp_path) == bare


def test_a_slot_that_failed_is_read_as_it_was_written(tmp_path: Path) -> None:
    gate = make_gate(name="answered", passed=False, detail="no 200 came; « ends »\n\x1b[0m")
    failed = make_slot_record(RUN.planned[0], gates=(gate,), values={}, counters={}, p999_latency_us=None)
    store.write_run(tmp_path, RUN.model_copy(update={"slots": (failed,)}))

    assert store.read_run(tmp_path).slots == (failed,)


def test_the_plan_is_in_run_json_before_there_is_data(tmp_path: Path) -> None:
    store.write_run(tmp_path, RUN.model_copy(update={"slots": ()}))
    stored = json.loads((tmp_path / "run.json").read_text())

    assert stored["schema_version"] == SCHEMA_VERSION
    assert stored["seed"] == 1
    assert [slot["arm"] for slot in stored["planned"]] == [slot.arm for slot in RUN.planned]
    assert stored["scenario"]["margins"]["p50_latency_us"] == 0.05


def refusal_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        store.read_run(folder)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_run_json_that_is_cut_off_is_bad_input(share: float, tmp_path: Path) -> None:
    store.write_run(tmp_path, RUN)
    path = tmp_path / "run.json"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    assert "run.json" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"{}", b"\x00\x01\x02", b"\xff\xfe\x00", b"[" * 100_000], ids=repr
)
def test_a_run_json_of_anything_else_is_bad_input(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content[:100_000])

    refusal_of(tmp_path)


def test_a_run_json_with_a_field_of_another_type_is_bad_input_that_names_it(tmp_path: Path) -> None:
    stored = json.loads(RUN.model_dump_json())
    stored["scenario"]["margins"]["p50_latency_us"] = "wide"
    (tmp_path / "run.json").write_text(json.dumps(stored))

    assert "scenario.margins.p50_latency_us" in refusal_of(tmp_path)


@pytest.mark.parametrize(("version", "age"), [(1, "older"), (SCHEMA_VERSION + 1, "newer"), (99, "newer")])
def test_a_run_of_another_schema_is_refused_with_what_can_be_read_and_who_wrote_it(
    version: int, age: str, tmp_path: Path
) -> None:
    later = RUN.model_copy(update={"schema_version": version, "bench_version": "7.6.5"})
    store.write_run(tmp_path, later)

    said = refusal_of(tmp_path)
    assert f"schema version {version}, {age} than those that this bench reads: 2, 3, 4, 5, 6, 7." in said
    assert said.endswith("Read it with the version of bench that wrote it: 7.6.5.")


def test_a_run_of_another_schema_is_refused_for_its_version_and_not_for_its_fields(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 1, "arms": []}')

    assert "schema version 1, older" in refusal_of(tmp_path)


def test_a_folder_without_a_run_is_bad_input(tmp_path: Path) -> None:
    refusal_of(tmp_path)
    refusal_of(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[1", "\x00"])
def test_a_run_json_that_is_no_json_is_called_damaged_and_not_of_another_version(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(text)
    said = refusal_of(tmp_path)

    assert "its run.json is damaged (" in said
    assert "schema version" not in said
    assert "(:" not in said
    assert "version of bench" not in said


def test_a_file_that_is_not_there_is_named_once_with_the_reason(tmp_path: Path) -> None:
    said = refusal_of(tmp_path)

    assert said.count("run.json") == 1
    assert said.count(str(tmp_path)) == 1
    assert "No such file or directory" in said
    with pytest.raises(InputError, match=r"verdict\.json: No such file or directory"):
        store.read_verdict(tmp_path)


def test_a_file_in_place_of_a_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    refusal_of(tmp_path / "file")


# Atomic writes.


def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    files.write_atomically(target, b"old")
    with no_file_larger_than(1_000), pytest.raises(EnvironmentLacks) as caught:
        files.write_atomically(target, b"n" * 100_000)

    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert str(target) in str(caught.value)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_run_that_cannot_be_written_can_still_be_read_as_it_was(tmp_path: Path) -> None:
    store.write_run(tmp_path, RUN)
    with no_file_larger_than(1_000), pytest.raises(EnvironmentLacks):
        store.write_run(tmp_path, RUN.model_copy(update={"slots": ()}))

    assert store.read_run(tmp_path) == RUN


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with no_file_larger_than(1_000), pytest.raises(EnvironmentLacks):
        files.write_atomically(tmp_path / "run.json", b"n" * 100_000)

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_behind_does_not_hinder_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".0123456789abcdef.partial").write_bytes(b"half of something much longer")
    files.write_atomically(tmp_path / "run.json", b"new")
    files.remove_partials(tmp_path)

    assert (tmp_path / "run.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("parent", ["nowhere", "file"])
def test_a_write_below_what_is_no_folder_is_a_lack_of_the_environment(parent: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentLacks, match="Writing"):
        files.write_atomically(tmp_path / parent / "run.json", b"new")


def test_a_reader_sees_the_old_run_or_the_new_one_and_never_a_part(tmp_path: Path) -> None:
    versions = (RUN, RUN.model_copy(update={"slots": ()}))
    store.write_run(tmp_path, versions[0])
    is_enough = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not is_enough.is_set():
            store.write_run(tmp_path, versions[len(written) % 2])
            written.append(1)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        reads = 0
        while reads < 100 or (len(written) < 40 and writer.is_alive()):
            assert store.read_run(tmp_path) in versions
            reads += 1
    finally:
        is_enough.set()
        writer.join()

    assert len(written) >= 40


# requests.parquet.

ROWS = [{"sent_ns": 2**62 + outcome, "connection": 9_999, "outcome": int(outcome)} for outcome in Outcome]


def test_requests_have_the_columns_of_the_contract_in_its_types(tmp_path: Path) -> None:
    columns.write_requests(tmp_path, "slots/000-host", make_records(ROWS))
    schema = pq.read_schema(tmp_path / "slots" / "000-host" / "requests.parquet")

    assert {field.name: field.type for field in schema} == {
        "intended_ns": pa.int64(),
        "sent_ns": pa.int64(),
        "first_byte_ns": pa.int64(),
        "done_ns": pa.int64(),
        "bytes": pa.int64(),
        "connection": pa.int32(),
        "status": pa.int16(),
        "outcome": pa.dictionary(pa.int8(), pa.string()),
    }


def test_requests_are_read_as_they_were_recorded_with_outcomes_in_words(tmp_path: Path) -> None:
    records = make_records(ROWS)
    columns.write_requests(tmp_path, "slots/000-host", records)
    frame = pd.read_parquet(tmp_path / "slots" / "000-host" / "requests.parquet")

    assert frame["outcome"].tolist() == [
        "ok",
        "http_error",
        "framing_error",
        "connection_error",
        "unfinished",
        "stalled",
    ]
    assert set(frame.columns) == set(columns.REQUEST_COLUMNS)
    for name in set(frame.columns) - {"outcome"}:
        assert frame[name].tolist() == records[name].tolist()


def test_which_request_it_was_is_kept_of_a_load_of_several(tmp_path: Path) -> None:
    rows = [{"request": 0}, {"request": 2, "connection": NO_CONNECTION}]
    columns.write_requests(tmp_path, "slots/000-host", make_records(rows))
    table = columns.read_requests(tmp_path, "slots/000-host")

    assert (table["request"].type, table["request"].to_pylist()) == (pa.int32(), [0, 2])
    assert (table["connection"].type, table["connection"].to_pylist()) == (pa.int32(), [0, -1])


def test_a_request_of_a_load_of_one_may_be_asked_which_it_was(tmp_path: Path) -> None:
    columns.write_requests(tmp_path, "slots/000-host", make_records(ROWS))

    table = columns.read_requests(tmp_path, "slots/000-host", ["sent_ns", "request"])

    assert table.column_names == ["sent_ns"]


def test_a_slot_without_requests_has_the_same_columns(tmp_path: Path) -> None:
    for directory, rows in (("slots/000-host", ROWS), ("slots/001-host", [])):
        columns.write_requests(tmp_path, directory, make_records(rows))
    full, empty = (
        pq.read_table(tmp_path / "slots" / name / "requests.parquet") for name in ("000-host", "001-host")
    )

    assert (len(full), len(empty)) == (len(Outcome), 0)
    assert empty.schema == full.schema


# verdict.json.


def test_a_verdict_is_read_as_it_was_written_with_the_keys_of_the_contract(tmp_path: Path) -> None:
    verdict = judge(RUN.scenario, [slot.metrics() for slot in RUN.slots], {"kernel": "6.1"}, 1)
    store.write_verdict(tmp_path, verdict)
    stored = json.loads((tmp_path / "verdict.json").read_text())

    assert store.read_verdict(tmp_path) == verdict
    assert {
        *("metric", "unit", "baseline", "candidate", "ratio", "ci95", "ci90", "difference"),
        *("difference_ci95", "margin", "blocks", "word", "notes"),
    } <= set(stored["comparisons"][0])
    assert {"comparisons", "claims", "scope"} <= set(stored)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe\x00"], ids=repr)
def test_a_verdict_that_cannot_be_read_is_bad_input_with_the_command_that_makes_it(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "verdict.json").write_bytes(content)

    with pytest.raises(InputError, match="bench report"):
        store.read_verdict(tmp_path)


# slots.csv.


def test_slots_csv_has_a_row_a_slot_and_a_column_a_metric(tmp_path: Path) -> None:
    bad = make_slot_record(
        RUN.planned[1], gates=(make_gate(passed=False), make_gate(name="steal", passed=False)), values={}
    )
    slot_table.write_slots_csv(tmp_path, (RUN.slots[0], bad))
    table = pd.read_csv(tmp_path / "slots.csv")

    assert table["slot"].tolist() == [0, 1]
    assert table["arm"].tolist() == [slot.arm for slot in RUN.planned[:2]]
    assert table["valid"].tolist() == [True, False]
    assert table["failed_gates"].fillna("").tolist() == ["", "requests; steal"]
    for metric in PERFORMANCE:
        assert table[metric.value][0] == RUN.slots[0].values[metric]
        assert pd.isna(table[metric.value][1])


def test_a_value_in_slots_csv_is_the_one_that_was_measured_to_the_last_digit(tmp_path: Path) -> None:
    slot_table.write_slots_csv(tmp_path, RUN.slots)
    with (tmp_path / "slots.csv").open(newline="") as lines:
        found = [float(row["p50_latency_us"]) for row in csv.DictReader(lines)]

    assert found == [slot.values[Metric.P50_LATENCY_US] for slot in RUN.slots]


def test_a_run_without_slots_has_a_slots_csv_with_a_header_alone(tmp_path: Path) -> None:
    slot_table.write_slots_csv(tmp_path, ())

    assert pd.read_csv(tmp_path / "slots.csv").empty


# SHA256SUMS.


@pytest.fixture
def summed(tmp_path: Path) -> Path:
    """A run's folder with its sums."""
    columns.write_requests(tmp_path, RUN.planned[0].directory, make_records(ROWS))
    store.finish_run(tmp_path, RUN)
    slot_table.write_slots_csv(tmp_path, RUN.slots)
    sums.write_sums(tmp_path)
    return tmp_path


def check_sums(folder: Path) -> str:
    return command.run(["env", "-C", str(folder), "sha256sum", "--strict", "-c", "SHA256SUMS"])


def test_sha256sum_finds_every_file_of_a_run_as_its_sums_say(summed: Path) -> None:
    found = {line.removesuffix(": OK") for line in check_sums(summed).splitlines()}

    assert found == {"run.json", "slots.csv", f"{RUN.planned[0].directory}/requests.parquet"}


def test_sums_of_what_was_measured_are_not_written_anew(summed: Path) -> None:
    before = sums.read_sums(summed)
    (summed / "run.json").write_text("{}")
    (summed / "slots.csv").write_text("slot\n")
    (summed / RUN.planned[0].directory / "requests.parquet").unlink()
    sums.write_sums(summed)

    assert {name for name, line in sums.read_sums(summed).items() if before[name] != line} == {"slots.csv"}


def test_what_is_being_written_beside_it_has_no_sum(summed: Path) -> None:
    (summed / ".0123456789abcdef.partial").write_text("half")
    sums.write_sums(summed)

    assert not [name for name in sums.read_sums(summed) if "partial" in name]


def test_sums_written_again_are_the_same(summed: Path) -> None:
    before = (summed / "SHA256SUMS").read_bytes()
    sums.write_sums(summed)

    assert (summed / "SHA256SUMS").read_bytes() == before


def test_a_file_that_was_changed_afterwards_does_not_pass(summed: Path) -> None:
    (summed / "slots.csv").write_text("slot\n")

    with pytest.raises(command.CommandFailed):
        check_sums(summed)


def test_a_run_record_does_not_take_a_field_that_it_does_not_know() -> None:
    stored = json.loads(RUN.model_dump_json()) | {"colour": "blue"}

    with pytest.raises(ValueError, match="colour"):
        RunRecord.model_validate(stored)


def test_the_packets_that_are_kept_are_whole_and_the_first(tmp_path: Path) -> None:
    (tmp_path / "slot").mkdir()
    packets = [bytes([number % 256]) * 60 for number in range(columns.KEPT_PACKETS + 5)]
    capture = tmp_path / "uplink.pcap"
    with PcapWriter(str(capture), nano=True) as writer:
        writer.write([Ether(packet) for packet in packets])
    columns.write_packets(tmp_path, "slot", "uplink", capture)

    with PcapReader(str(tmp_path / "slot" / "uplink.pcap")) as reader:
        assert [bytes(packet) for packet in reader] == packets[: columns.KEPT_PACKETS]


def test_a_capture_without_packets_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "slot").mkdir()
    capture = tmp_path / "uplink.pcap"
    with PcapWriter(str(capture), nano=True, linktype=1) as writer:
        writer.write_header(None)
    columns.write_packets(tmp_path, "slot", "uplink", capture)

    assert (tmp_path / "slot" / "uplink.pcap").read_bytes() == capture.read_bytes()
