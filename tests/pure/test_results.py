from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench
from bench.errors import InputError
from bench.judgement.verdict import judge
from bench.records.environment import LabFacts
from bench.records.run import RunRecord
from bench.report.run.answer import answer_sentence
from bench.results import columns, slot_table, store
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.model import Claim
from bench.scenario.modes.model import Vantage
from bench.slots.requests import NO_CONNECTION

from .conftest import make_records, make_run, make_scenario

METRICS = [metric.value for metric in make_scenario().metrics]
CLAIM = Claim(id="article", text="Host is faster.", better="host", than="bridge")
RUN = make_run(make_scenario(blocks=4, claims=(CLAIM,), factors={"load.connections": (1, 16)}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stored run whose slot 3 has requests before, in and after its window of 1,000 to 2,000,000 ns."""
    store.write_run(tmp_path, RUN)
    slot_table.write_slots_csv(tmp_path, RUN.slots)
    rows = [
        {"sent_ns": sent_ns, "done_ns": sent_ns + 20_500} for sent_ns in (999, 1_000, 1_999_999, 2_000_000)
    ]
    rows.insert(1, {"sent_ns": 1_500, "done_ns": 0, "outcome": 4})
    columns.write_requests(tmp_path, RUN.planned[3].directory, make_records(rows))
    return tmp_path


def test_a_run_is_opened_by_its_folder_as_text_or_path(folder: Path) -> None:
    assert bench.load(folder).record == RUN
    assert bench.load(str(folder)).record == RUN


def test_what_is_not_a_run_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        bench.load(tmp_path)


def test_opening_and_judging_a_run_reads_no_requests(folder: Path) -> None:
    requests = folder / RUN.planned[3].directory / "requests.parquet"
    requests.write_bytes(b"not Parquet")
    run = bench.load(folder)

    assert len(run.slots) == len(RUN.slots)
    assert len(run.comparisons) == len(run.verdict.comparisons)
    with pytest.raises(InputError, match="bench verify"):
        run.requests(3)


def test_requests_whose_file_is_gone_are_bad_input_that_names_it(folder: Path) -> None:
    (folder / RUN.planned[3].directory / "requests.parquet").unlink()

    with pytest.raises(InputError, match=r"003-.*requests\.parquet"):
        bench.load(folder).requests(3)


def test_a_run_of_schema_version_2_is_judged_as_it_was_then(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "data/run-v2.json").read_text()
    (tmp_path / "run.json").write_text(text)
    run = bench.load(tmp_path)
    words = run.comparisons.set_index(["kind", "candidate", "metric"])["word"]

    assert run.record.schema_version == 2
    assert len(run.slots) == 24
    assert words["arms", "bridge", "p50_latency_us"] == "BETTER"
    assert run.record.slots[0].capture is None


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(bench.__file__).parent / "py.typed").is_file()


def test_bench_has_no_other_attributes_than_it_says() -> None:
    with pytest.raises(AttributeError, match="loda"):
        _ = bench.loda


def test_slots_are_those_of_slots_csv(folder: Path) -> None:
    slots = bench.load(folder).slots
    table = pd.read_csv(folder / "slots.csv")

    assert list(slots.columns) == list(table.columns)
    assert len(slots) == len(RUN.slots)
    for column in ("slot", "arm", "condition", "valid", "window_end_ns", *METRICS):
        assert slots[column].tolist() == (
            pytest.approx(table[column].tolist()) if column in METRICS else table[column].tolist()
        )


def test_conditions_are_what_the_column_condition_counts(folder: Path) -> None:
    run = bench.load(folder)

    assert [condition.load.connections for condition in run.conditions] == [1, 16]
    assert set(run.slots["condition"]) == {0, 1}


def test_requests_of_a_slot_are_those_sent_inside_its_window(folder: Path) -> None:
    requests = bench.load(folder).requests(3)

    assert requests["sent_ns"].tolist() == [1_500, 1_000, 1_999_999]
    assert list(requests.index) == [0, 1, 2]
    assert {str(requests[name].dtype) for name in ("intended_ns", "sent_ns", "first_byte_ns", "done_ns")} == {
        "int64"
    }


def test_requests_of_the_warm_up_and_the_drain_are_there_for_who_asks(folder: Path) -> None:
    assert bench.load(folder).requests(3, warm_up=True)["sent_ns"].tolist() == [
        999,
        1_500,
        1_000,
        1_999_999,
        2_000_000,
    ]


def test_latency_is_done_minus_sent_in_microseconds_and_unknown_where_it_never_ended(folder: Path) -> None:
    requests = bench.load(folder).requests(3)

    assert requests["latency_us"].isna().tolist() == [True, False, False]
    assert requests["latency_us"][1:].tolist() == [20.5, 20.5]


def test_response_counts_from_the_intended_time_and_service_from_the_sending(folder: Path) -> None:
    requests = bench.load(folder).requests(3)

    assert requests["service_us"][1:].tolist() == requests["latency_us"][1:].tolist() == [20.5, 20.5]
    assert requests["response_us"][1:].tolist() == [20.6, 2_019.599]
    assert requests["response_us"].isna().tolist() == [True, False, False]


def test_requests_of_an_open_loop_are_those_intended_in_the_window_and_their_latency_is_the_response(
    tmp_path: Path,
) -> None:
    run = make_run(make_scenario(blocks=4, load=Load(model="open", rate_rps=3_000)))
    store.write_run(tmp_path, run)
    rows = [
        {"intended_ns": 999, "sent_ns": 1_001, "done_ns": 2_000},
        {"intended_ns": 1_000, "sent_ns": 2_000_500, "done_ns": 2_001_000},
        {"intended_ns": 1_999_999, "sent_ns": 0, "done_ns": 0, "outcome": 4, "connection": NO_CONNECTION},
    ]
    columns.write_requests(tmp_path, run.planned[0].directory, make_records(rows))
    found = bench.load(tmp_path)
    requests = found.requests(0)

    assert requests["intended_ns"].tolist() == [1_000, 1_999_999]
    assert requests["latency_us"].fillna(-1).tolist() == [2_000.0, -1]
    assert requests["service_us"].fillna(-1).tolist() == [0.5, -1]
    assert found.latencies_us(0).tolist() == [2_000.0]
    assert found.scope["rate"].startswith("open loop, Poisson arrivals at 3,000/s, engine raw; throughput")
    assert found.verdict.comparisons
    assert Metric.THROUGHPUT_RPS not in {comparison.metric for comparison in found.verdict.comparisons}


def test_latencies_alone_are_those_of_the_answered_requests_of_the_window(folder: Path) -> None:
    run = bench.load(folder)
    requests = run.requests(3)
    answered = requests[requests["outcome"] == "ok"]

    assert 0 < len(answered) < len(requests)
    assert run.latencies_us(3).tolist() == answered["latency_us"].tolist()


def test_a_slot_that_was_not_measured_is_a_key_error(folder: Path) -> None:
    with pytest.raises(KeyError, match="999"):
        bench.load(folder).requests(999)


def test_the_verdict_is_judged_from_what_is_stored(folder: Path) -> None:
    run = bench.load(folder)
    expected = judge(RUN.scenario, [slot.metrics() for slot in RUN.slots], run.scope, RUN.seed, RUN.warnings)

    assert run.verdict == expected
    assert [claim.id for claim in run.verdict.claims] == ["article", "article"]


def test_comparisons_are_a_row_each_with_the_ends_of_intervals_as_columns(folder: Path) -> None:
    run = bench.load(folder)
    frame = run.comparisons
    first = run.verdict.comparisons[0]

    assert len(frame) == len(run.verdict.comparisons) == 2 * 3 * len(METRICS)
    assert first.ci95 is not None
    assert (frame["ci95_low"][0], frame["ci95_high"][0]) == first.ci95
    assert frame["word"].tolist() == [comparison.word.value for comparison in run.verdict.comparisons]


def test_comparisons_without_numbers_have_rows_as_well(tmp_path: Path) -> None:
    store.write_run(tmp_path, RUN.model_copy(update={"slots": ()}))
    frame = bench.load(tmp_path).comparisons

    assert set(frame["word"]) == {"INVALID"}
    assert frame["ratio"].isna().all()
    assert frame["ci95_low"].isna().all()


@pytest.mark.parametrize(
    ("change", "key", "text"),
    [
        ({}, "machine", "A CPU, cores 2"),
        ({}, "kernel", "6.1"),
        ({}, "engine", "Docker 26.1.5"),
        ({"engines": {}}, "engine", "Docker, version unknown"),
        ({}, "workload", "GET of 1,024 bytes"),
        ({}, "rate", "closed loop"),
        ({}, "vantage", "same-kernel lab"),
        ({"lab": LabFacts()}, "vantage", "unknown"),
    ],
)
def test_the_scope_says_where_the_verdict_holds(
    change: dict[str, Any], key: str, text: str, tmp_path: Path
) -> None:
    record: RunRecord = RUN.model_copy(update=change)
    store.write_run(tmp_path, record)

    assert text in bench.load(tmp_path).scope[key]


@pytest.mark.parametrize("vantage", ["host-loopback", "host-address"])
def test_a_load_from_the_docker_host_itself_is_said_in_the_scope_and_in_the_answer(
    vantage: str, tmp_path: Path
) -> None:
    scenario = make_scenario(blocks=3, load=Load(vantage=Vantage(vantage)))
    store.write_run(tmp_path, make_run(scenario))
    run = bench.load(tmp_path)
    where = Vantage(vantage).label

    assert run.scope["vantage"].startswith(
        f"same-kernel lab; load from {where} (there client and server share"
    )
    assert f"seen from {where}, in a same-kernel lab" in answer_sentence(run)
    assert "client" not in answer_sentence(run)


def test_steps_and_changes_are_rows_as_comparisons_are(tmp_path: Path) -> None:
    scenario = make_scenario(ladder=("host", "bridge"), factors={"load.connections": (1, 16)})
    store.write_run(tmp_path, make_run(scenario))
    run = bench.load(tmp_path)

    assert list(run.steps.columns) == list(run.comparisons.columns)
    assert run.steps["condition"].tolist() == ["connections=1"] * 4 + ["connections=16"] * 4
    assert set(run.steps["kind"]) == {"step"}
    assert run.changes["p_holm"].tolist() == [change.p_holm for change in run.verdict.changes]
    assert (run.changes["difference_ci95_low"] <= run.changes["difference_ci95_high"]).all()


def test_a_run_without_ladder_and_factors_has_tables_without_rows(tmp_path: Path) -> None:
    store.write_run(tmp_path, make_run(make_scenario()))
    run = bench.load(tmp_path)

    assert (len(run.steps), len(run.changes)) == (0, 0)
    assert {"baseline", "ratio", "ci95_low"} <= set(run.steps.columns)
    assert {"level", "p_holm", "ci95_low"} <= set(run.changes.columns)
