"""What is registered before there is data, and sealed when it is written: a change of either is noticed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.errors import ExitCode, InputError
from bench.records.run import RunRecord, SlotRecord, Status
from bench.results import store
from bench.scenario.load import Load
from bench.scenario.model import Schedule
from bench.scenario.plan import digest_plan, plan_slots

from .conftest import make_run, make_scenario, make_slot_record, store_whole
from .test_cli import run_bench

PLAN = make_scenario(blocks=3)


def registered(**changes: Any) -> RunRecord:
    run = make_run(PLAN)
    return run.model_copy(
        update={"plan_sha256": digest_plan(run.scenario, run.seed, run.planned), "slots": ()} | changes
    )


def test_the_digest_is_of_scenario_seed_and_slots() -> None:
    planned = plan_slots(PLAN, 1)
    others = {
        digest_plan(PLAN, 1, planned),
        digest_plan(PLAN, 2, planned),
        digest_plan(PLAN, 1, planned[::-1]),
        digest_plan(make_scenario(blocks=3, load=Load(connections=2)), 1, planned),
        digest_plan(make_scenario(blocks=3, schedule=Schedule(blocks=3, sessions=3)), 1, planned),
    }

    assert len(others) == 5
    assert digest_plan(PLAN, 1, planned) == digest_plan(make_scenario(blocks=3), 1, plan_slots(PLAN, 1))
    assert {len(digest) for digest in others} == {64}


def test_a_plan_that_is_not_the_one_registered_is_refused(tmp_path: Path) -> None:
    store.write_run(tmp_path, registered())
    assert store.read_run(tmp_path).plan_sha256

    said = json.loads((tmp_path / "run.json").read_text())
    said["scenario"]["margins"]["p50_latency_us"] = 0.2
    (tmp_path / "run.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="are not those that were registered"):
        store.read_run(tmp_path)


def test_a_run_of_an_earlier_schema_has_no_digest_and_is_read(tmp_path: Path) -> None:
    store.write_run(tmp_path, registered(plan_sha256=""))

    assert store.read_run(tmp_path).plan_sha256 == ""


def test_the_plan_says_the_digest_that_a_run_of_its_seed_registers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(monkeypatch, "plan", "quick", "--seed", "7", "--json") == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert run_bench(monkeypatch, "plan", "quick", "--seed", "7") == ExitCode.DONE

    assert f"with --seed 7 the plan's SHA-256 is {found['plan_sha256']}" in capsys.readouterr().out


# A slot's own record.


def write_slot(folder: Path) -> tuple[SlotRecord, Path]:
    run = registered(status=Status.RUNNING, finished_at=None)
    store.write_run(folder, run)
    slot = store.write_slot(folder, make_slot_record(run.planned[0], requests=4_000), {})
    return slot, folder / slot.slot.directory / "slot.json"


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["values"].pop("p50_latency_us"),
        lambda said: said["values"].update(p50_latency_us=1.0),
        lambda said: said.update(requests=4_001),
        lambda said: said["counters"].clear(),
        lambda said: said["evidence"].update(loop="another"),
    ],
)
def test_a_slot_that_was_changed_before_its_run_ended_is_noticed(tmp_path: Path, change: Any) -> None:
    _, file = write_slot(tmp_path)
    assert bench.load(tmp_path).faults == ()

    said = json.loads(file.read_text())
    change(said)
    file.write_text(json.dumps(said))
    assert any("slot.json is not as it was written" in fault for fault in bench.load(tmp_path).faults)


def digest_of(said: dict[str, Any]) -> str:
    """As whoever has only the file would take it."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def test_both_digests_are_of_what_stands_in_the_file_whatever_this_version_holds_for_a_default(
    tmp_path: Path,
) -> None:
    slot, file = write_slot(tmp_path)
    run, said = json.loads((tmp_path / "run.json").read_text()), json.loads(file.read_text())

    assert run["plan_sha256"] == digest_of({name: run[name] for name in ("scenario", "seed", "planned")})
    assert said.pop("own_sha256") == digest_of(said) == slot.own_sha256


def test_a_run_of_a_version_that_had_fewer_settings_is_as_it_was_written_and_can_go_on(
    tmp_path: Path,
) -> None:
    _, file = write_slot(tmp_path)
    run, said = json.loads((tmp_path / "run.json").read_text()), json.loads(file.read_text())
    run["scenario"]["schedule"].pop("interleave")
    run["plan_sha256"] = digest_of({name: run[name] for name in ("scenario", "seed", "planned")})
    said.pop("own_sha256")
    said.pop("wrk_witness_rps")
    (tmp_path / "run.json").write_text(json.dumps(run))
    file.write_text(json.dumps(said | {"own_sha256": digest_of(said)}))

    assert bench.load(tmp_path).faults == ()
    store.reopen_run(tmp_path, store.read_run(tmp_path))
    assert bench.load(tmp_path).faults == ()


def test_a_whole_run_that_was_not_touched_has_no_fault(tmp_path: Path) -> None:
    store_whole(tmp_path, make_run(PLAN))

    assert [fault for fault in bench.load(tmp_path).faults if "slot.json" in fault] == []


# What may end by what it says.


def test_decide_goes_with_neither_a_precision_nor_a_suite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["quick", "--precision", "1%"], ["quick", "ladder"]):
        assert run_bench(monkeypatch, "run", *options, "--decide") == ExitCode.BAD_INPUT
        assert "--decide goes with neither" in capsys.readouterr().err.replace("\n", " ")


def test_a_run_that_may_end_by_what_it_says_is_judged_by_wider_intervals(tmp_path: Path) -> None:
    widths = []
    for decide in (False, True):
        folder = tmp_path / str(decide)
        folder.mkdir()
        store_whole(folder, make_run(make_scenario(blocks=12), decide=decide))
        row = bench.load(folder).comparisons.iloc[0]
        widths.append(row["ci95_high"] - row["ci95_low"])

    assert widths[1] > 1.2 * widths[0]


def test_of_too_few_blocks_such_a_run_has_no_answer(tmp_path: Path) -> None:
    store_whole(tmp_path, make_run(make_scenario(blocks=4), decide=True))
    row = bench.load(tmp_path).comparisons.iloc[0]

    assert row["word"] == "INVALID"
    assert "may be looked at after each" in row["notes"][0]
