"""A stored run that somebody changed: which command notices it, and in which words."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

import bench
from bench.errors import ExitCode
from bench.judgement.capacity import knee
from bench.judgement.capacity.record import Probe
from bench.judgement.capacity.search import judge_slot
from bench.results import columns, store, sums
from bench.results.run import Run
from bench.results.verification import find_capacity_differences, find_faults, verify_all
from bench.scenario.metric import Metric
from bench.scenario.plan import digest_plan, plan_slots
from bench.slots.gates.gate import GateKind
from bench.slots.gates.load import check_open_loop, usable_metrics
from bench.slots.metrics import measure_requests
from bench.slots.requests import Outcome

from .captures import make_tapped, store_captures
from .conftest import (
    BRIDGE,
    HOST,
    make_gate,
    make_records,
    make_run,
    make_scenario,
    make_slot_record,
    store_whole,
)
from .reports import CLAIM, few_resamples
from .test_capacity import begin
from .test_cli import run_bench

pytestmark = pytest.mark.slow

EXAMPLES = sorted((Path(__file__).parents[2] / "results").glob("example-*/*/"))
SCENARIO = make_scenario(blocks=4, claims=(CLAIM,))
FIRST = plan_slots(SCENARIO, seed=1)[0].directory
COMMANDS = (
    ("report", "{run}", "--format", "md"),
    ("report", "{run}", "--format", "json"),
    ("report", "{run}", "--format", "html"),
    ("check", "{run}"),
    ("check", "{run}", "--json"),
    ("compare", "{run}", "{run}/later"),
    ("compare", "{run}", "{run}/later", "--json"),
    ("map", "{run}"),
    ("map", "{run}", "--json"),
    ("history", "{run}"),
    ("verify", "{run}"),
    ("verify", "{run}", "--json"),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a claim and requests, as one that ended leaves it, reported."""
    folder = tmp_path_factory.mktemp("runs") / "unit" / "20250102T030405Z-00ff"
    folder.mkdir(parents=True)
    record = make_run(SCENARIO, warnings=())
    for slot in record.planned:
        rows = [{"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2 + slot.index} for n in range(60)]
        columns.write_requests(folder, slot.directory, make_records(rows))
    store_whole(folder, record)
    return folder


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    target = tmp_path / original.name
    shutil.copytree(original, target)
    return target


def store_later(run: Path) -> None:
    """A second run of the same plan, to be compared with."""
    (run / "later").mkdir()
    store_whole(run / "later", make_run(SCENARIO, id="20250103T030405Z-00ff", seed=2, warnings=()))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored, indent=1))


def slow_bridge_down(stored: Any) -> None:
    for slot in stored["slots"]:
        if slot["slot"]["arm"] == "bridge":
            slot["values"]["p50_latency_us"] *= 1.5


def halve(path: Path) -> None:
    frame = pd.read_parquet(path)
    frame["done_ns"] = frame["sent_ns"] + (frame["done_ns"] - frame["sent_ns"]) // 2
    frame.to_parquet(path)


def swap(first: Path, second: Path) -> None:
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def forge(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """`change` by somebody who takes care: what was changed has its new sum."""

    def forged(run: Path) -> None:
        change(run)
        path = run / "SHA256SUMS"
        names = [line.split("  ", 1)[1] for line in path.read_text().splitlines()]
        lines = [f"{hashlib.sha256((run / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        path.write_text("".join(lines))

    return forged


def other(run: Path) -> Path:
    """The requests of a slot of the other arm than the first."""
    arm = "host" if "bridge" in FIRST else "bridge"
    return next(run.glob(f"slots/*-{arm}/requests.parquet"))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "values in run.json": (lambda run: edit(run / "run.json", slow_bridge_down), "run.json"),
    "a blank in run.json": (lambda run: (run / "run.json").open("a").write(" "), "run.json"),
    "margins in run.json": (
        lambda run: edit(run / "run.json", lambda it: it["scenario"]["margins"].update(p50_latency_us=0.3)),
        "run.json",
    ),
    "a slot taken out of run.json": (
        lambda run: edit(run / "run.json", lambda it: it["slots"].pop()),
        "run.json",
    ),
    "values in slot.json": (
        lambda run: edit(run / FIRST / "slot.json", lambda it: it["values"].update(p50_latency_us=1.0)),
        f"{FIRST}/slot.json",
    ),
    "a slot.json is gone": (lambda run: (run / FIRST / "slot.json").unlink(), f"{FIRST}/slot.json"),
    "latencies halved": (lambda run: halve(run / FIRST / "requests.parquet"), f"{FIRST}/requests.parquet"),
    "two arms' requests swapped": (
        lambda run: swap(run / FIRST / "requests.parquet", other(run)),
        f"{FIRST}/requests.parquet",
    ),
    "no sums": (lambda run: (run / "SHA256SUMS").unlink(), "SHA256SUMS is not there"),
    "run.json and its sum": (
        forge(lambda run: edit(run / "run.json", slow_bridge_down)),
        "slot.json says otherwise than run.json",
    ),
    "requests and their sum": (
        forge(lambda run: halve(run / FIRST / "requests.parquet")),
        f"{FIRST}/requests.parquet",
    ),
    "sums that are none": (lambda run: (run / "SHA256SUMS").write_bytes(b"\xff\x00"), "SHA256SUMS"),
}


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Path, *command: str
) -> tuple[int, str, str]:
    with few_resamples():
        code = run_bench(monkeypatch, *(word.format(run=run) for word in command))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_measured_and_changed_since_is_named_by_verify_and_ends_a_check_with_4(
    change: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, named = CHANGES[change]
    make(run)

    code, said, _ = call(monkeypatch, capsys, run, "verify", "{run}")
    assert code == ExitCode.INVALID_MEASUREMENT
    assert named in said
    code, said, _ = call(monkeypatch, capsys, run, "check", "{run}")
    assert code == ExitCode.INVALID_MEASUREMENT
    assert named in said.splitlines()[0]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_output_of_a_changed_run_says_so_before_its_first_number(
    command: tuple[str, ...], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(run / "run.json", slow_bridge_down)

    store_later(run)
    _, said, beside = call(monkeypatch, capsys, run, *command)
    if command[0] == "history":
        assert "left out" in beside
        assert "run.json is not as it was written" in beside
        assert "20250102T030405Z-00ff" not in said
        return
    place = said.find("run.json is not as it was written")
    assert place >= 0
    if "--json" not in command and "json" not in command:
        first = said.find("95 %") if "md" in command or "html" in command else said.find("1.")
        assert first == -1 or place < first


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_output_of_a_run_that_is_as_it_was_says_anything_of_it(
    command: tuple[str, ...], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store_later(run)
    code, said, beside = call(monkeypatch, capsys, run, *command)

    assert "not as it was" not in (said + beside).lower()
    assert "left out" not in beside
    if command[0] in ("verify", "check"):
        assert code == ExitCode.DONE


def test_a_report_written_again_makes_no_forgery_whole(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(run / "run.json", slow_bridge_down)
    before = sums.read_sums(run)["run.json"]
    assert call(monkeypatch, capsys, run, "report", "{run}")[0] == ExitCode.DONE

    assert sums.read_sums(run)["run.json"] == before != sums.digest_file(run / "run.json")
    assert json.loads((run / "verdict.json").read_text())["faults"]
    assert call(monkeypatch, capsys, run, "verify", "{run}")[0] == ExitCode.INVALID_MEASUREMENT


def test_what_follows_from_a_run_is_written_again_with_its_sums(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, capsys, run, "report", "{run}")
    measured = {name: line for name, line in sums.read_sums(run).items() if not sums.is_derived(name)}
    (run / "report.md").write_text("Host is best.")
    code, said, _ = call(monkeypatch, capsys, run, "verify", "{run}")
    assert code == ExitCode.INVALID_MEASUREMENT
    assert "report.md is not as it was written" in said
    assert call(monkeypatch, capsys, run, "check", "{run}")[0] == ExitCode.DONE

    call(monkeypatch, capsys, run, "report", "{run}")
    assert call(monkeypatch, capsys, run, "verify", "{run}")[0] == ExitCode.DONE
    assert measured.items() <= sums.read_sums(run).items()


def test_a_check_of_a_changed_run_says_so_in_json_and_junit(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    halve(run / FIRST / "requests.parquet")
    junit = tmp_path / "junit.xml"
    code, said, _ = call(monkeypatch, capsys, run, "check", "{run}", "--json", "--junit", str(junit))

    found = json.loads(said)
    assert code == found["exit_code"] == ExitCode.INVALID_MEASUREMENT
    assert (found["demands"][0]["kind"], found["demands"][0]["word"]) == ("integrity", "INVALID")
    case = next(ET.parse(junit).getroot().iter("testcase"))
    assert "requests.parquet is not as it was written" in case[0].attrib["message"]


def test_requests_that_were_changed_are_read_with_a_warning_and_those_that_were_not_without(
    run: Path, recwarn: pytest.WarningsRecorder
) -> None:
    halve(run / FIRST / "requests.parquet")
    found = bench.load(run)
    with pytest.warns(sums.NotAsWritten, match=FIRST):
        found.requests(0)
    with pytest.warns(sums.NotAsWritten, match=FIRST):
        found.latencies_us(0)
    recwarn.clear()
    found.requests(1)
    assert not list(recwarn)


def test_a_run_whose_record_was_changed_is_opened_with_a_warning(run: Path) -> None:
    edit(run / "run.json", slow_bridge_down)
    with pytest.warns(sums.NotAsWritten, match=r"run\.json"):
        bench.load(run)


def test_a_file_that_is_named_outside_of_the_run_is_not_read(run: Path, tmp_path: Path) -> None:
    with (run / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  ../../elsewhere\n{'0' * 64}  {tmp_path}/elsewhere\n")

    assert [fault for fault in Run(run).faults if "is a place outside of the run" in fault] == list(
        Run(run).faults
    )
    assert len(Run(run).faults) == 2


# Stored values and requests.


def test_values_that_do_not_follow_from_the_requests_are_named_by_a_deep_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "20250102T030405Z-00ff"
    folder.mkdir()
    scenario = make_scenario(blocks=2)
    rows = [{"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2} for n in range(60)]
    slots = []
    for slot in plan_slots(scenario, seed=1):
        columns.write_requests(folder, slot.directory, make_records(rows))
        slots.append(true_record(slot, rows))
    slots[3] = slots[3].model_copy(update={"errors": 4})
    store_whole(folder, make_run(scenario, slots=tuple(slots)))

    assert call(monkeypatch, capsys, folder, "verify", "{run}")[0] == ExitCode.DONE
    code, said, _ = call(monkeypatch, capsys, folder, "verify", "{run}", "--deep", "--json")
    assert code == ExitCode.INVALID_MEASUREMENT
    [found] = json.loads(said)
    assert found["differences"] == ["slot 3: errors is stored as 4, and its requests say 0"]


def true_record(slot: Any, rows: list[dict[str, int]], load: Any = None, **changes: Any) -> Any:
    found = measure_requests(make_records(rows), changes.get("window_start_ns", 1_000), 2_000_000, load)
    fields: dict[str, Any] = {
        "requests": found.requests,
        "errors": found.errors,
        "unfinished": found.unfinished,
        "values": usable_metrics(found.values, []),
        "p99_latency_us": found.values.get(Metric.P99_LATENCY_US),
        "p999_latency_us": found.p999_latency_us,
        "mean_latency_us": found.mean_latency_us,
        "service_p50_us": found.service_p50_us,
        "service_p99_us": found.service_p99_us,
        "requests_recorded": len(rows),
    }
    return make_slot_record(slot, **(fields | changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("achieved_share", 0.5),
        ("error_share", None),
        ("p99_ms", 2.0),
        ("generator_busy", 0.1),
        ("outcome", knee.Outcome.CLIENT),
    ],
)
def test_what_a_probe_says_otherwise_than_its_slot_is_named_by_a_deep_look(
    name: str, value: Any, tmp_path: Path
) -> None:
    record = begin()
    [slot, *_] = plan_slots(record.scenario, seed=1)
    rows = [
        {"intended_ns": 1_000 + 9 * n, "sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2} for n in range(60)
    ]
    columns.write_requests(tmp_path, slot.directory, make_records(rows))
    measured = true_record(slot, rows, achieved_share=1.0, generator_busy=0.4, load=record.scenario.load)
    bare = Probe(arm=slot.arm, keep_alive=True, rate_rps=1e5, confirming=False, outcome=knee.Outcome.VOID)
    probe = judge_slot(bare, measured, record.settings)
    whole = record.model_copy(update={"probes": (probe,)})
    assert probe.error_share is not None
    changed = whole.model_copy(update={"probes": (probe.model_copy(update={name: value}),)})
    as_it_was, told = (
        [line for line in find_capacity_differences(tmp_path, each) if line.startswith("probe")]
        for each in (whole, changed)
    )

    assert not as_it_was
    assert [line.split(", and")[0] for line in told] == [f"probe 0: {name} is stored as {value}"]


RECOMPUTED = (
    *("requests", "errors", "unfinished", "requests_recorded", "achieved_share", "lateness_p99_us"),
    *("p99_latency_us", "p999_latency_us", "mean_latency_us", "service_p50_us", "service_p99_us"),
)


def test_every_number_that_a_slot_stores_of_its_requests_is_computed_again(tmp_path: Path) -> None:
    """In a run with an open loop; who changed it gave the slot, its file and the run new sums."""
    shutil.copytree(next(folder for folder in EXAMPLES if "anatomy" in str(folder)), tmp_path / "run")
    record = store.read_run(tmp_path / "run")
    forged = {
        index: slot.model_copy(update={name: getattr(slot, name) + 1})
        for index, (name, slot) in enumerate(zip(RECOMPUTED, record.slots, strict=False))
    }
    slots = tuple(forged.get(slot.slot.index, slot) for slot in record.slots)
    plan_sha256 = digest_plan(record.scenario, record.seed, record.planned)  # As this version writes it.
    store_whole(tmp_path / "run", record.model_copy(update={"slots": slots, "plan_sha256": plan_sha256}))

    [checked] = verify_all(tmp_path / "run", deep=True)
    assert checked.findings["faults"] == ()
    said = [difference.split(" is stored as")[0] for difference in checked.findings["differences"]]
    assert said == [f"slot {index}: {name}" for index, name in enumerate(RECOMPUTED)]


@pytest.mark.parametrize(
    ("done_ns", "version"),
    [(0, 7), (0, 4), (9_123, 7), (9_123, 4)],
    ids=["unanswered", "unanswered, early", "answered", "answered, early"],
)
def test_a_share_achieved_of_nothing_or_rounded_in_an_early_gate_agrees_with_its_requests(
    done_ns: int, version: int, tmp_path: Path
) -> None:
    """Before schema version 5 a gate alone held it, and lateness, with as many digits as it tells."""
    outcome = Outcome.OK if done_ns else Outcome.UNFINISHED
    rows = [
        {"intended_ns": 1_000 + n, "sent_ns": 1_000 + 3 * n, "done_ns": n * done_ns, "outcome": outcome}
        for n in range(1, 300)
    ]
    scenario = make_scenario(blocks=2, load={"model": "open", "rate_rps": 100})
    slot = plan_slots(scenario, seed=1)[0]
    columns.write_requests(tmp_path, slot.directory, make_records(rows))
    found = measure_requests(make_records(rows), 500, 2_000_000, scenario.load)
    assert found.open_loop
    later = {"achieved_share": found.achieved_share, "lateness_p99_us": found.lateness_p99_us}
    record = true_record(
        slot,
        rows,
        scenario.load,
        window_start_ns=500,
        gates=tuple(check_open_loop(found.open_loop, found.values)),
        **(later if version == 7 else {}),
    )
    store_whole(tmp_path, make_run(scenario, schema_version=version, slots=(record,)))

    [checked] = verify_all(tmp_path, deep=True)
    assert checked.findings["differences"] == ()


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.parent.name)
def test_the_runs_that_ship_are_as_they_were_written_and_their_values_follow_from_their_requests(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = call(monkeypatch, capsys, folder, "verify", "{run}", "--deep")

    assert (code, said.count("\n")) == (ExitCode.DONE, 1)
    assert "and its values follow from its requests" in said


def test_a_run_of_an_earlier_schema_is_held_against_its_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / EXAMPLES[0].name
    shutil.copytree(EXAMPLES[0], folder)
    halve(next(folder.glob("slots/*/requests.parquet")))

    code, said, _ = call(monkeypatch, capsys, folder, "verify", "{run}")
    assert code == ExitCode.INVALID_MEASUREMENT
    assert "requests.parquet is not as it was written, by its sum in SHA256SUMS" in said
    before = sums.read_sums(folder)
    call(monkeypatch, capsys, folder, "report", "{run}")
    after = sums.read_sums(folder)
    assert {n for n, line in after.items() if before.get(n) != line} <= set(filter(sums.is_derived, after))


# Hops.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids: [-1, *ids[1:]], "a request of the number -1"),
        (lambda ids: [ids[1], *ids[1:]], "a request twice"),
        (lambda ids: [*ids[:-1], 9_999], "a request 9999"),
    ],
)
def test_hops_of_a_request_that_the_slot_has_not_are_refused(
    change: Callable[[list[int]], list[int]],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_captures(tmp_path, make_tapped(blocks=3, arms=(HOST, BRIDGE)))
    path = next(tmp_path.glob("slots/*/hops.parquet"))
    frame = pd.read_parquet(path)
    frame["id"] = change(frame["id"].tolist())
    frame.to_parquet(path)

    code, _, error = call(monkeypatch, capsys, tmp_path, "report", "{run}", "--format", "md")
    assert code == ExitCode.BAD_INPUT
    assert said in error.replace("\n", " ").replace(",", "")


def test_a_gate_that_is_completed_as_it_is_read_makes_no_slot_another(tmp_path: Path) -> None:
    run = make_run(make_scenario(blocks=2))
    image = make_gate(name=GateKind.IMAGE, unit="image id, exactly")
    slots = tuple(slot.model_copy(update={"gates": (*slot.gates, image)}) for slot in run.slots)
    store_whole(tmp_path, run.model_copy(update={"slots": slots}))

    assert list(find_faults(tmp_path, store.read_run(tmp_path))) == []
