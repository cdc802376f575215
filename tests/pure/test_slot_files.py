"""A run on the disk slot by slot: what is written for one, and what a kill between any two writes leaves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bench
from bench.cli.publishing import publish_run
from bench.errors import InputError, MeasurementInvalid
from bench.measure.progress import Watch
from bench.measure.run import resume_run
from bench.records.run import RunRecord, SlotRecord, Status
from bench.results import columns, files, store, sums
from bench.results.verification import find_faults
from bench.slots.gates.gate import GateKind
from bench.slots.surroundings import digest

from .conftest import make_gate, make_records, make_run, make_scenario
from .reports import few_resamples

FACTS = ({"link mtu": "1500"}, {"link mtu": "1400"})
WHOLE = make_run(make_scenario(blocks=2))
WHOLE = WHOLE.model_copy(
    update={
        "slots": tuple(
            slot.model_copy(update={"surroundings": digest(FACTS[slot.slot.index % 2])})
            for slot in WHOLE.slots
        ),
        "surroundings": {digest(facts): facts for facts in FACTS},
    }
)
REGISTERED = WHOLE.model_copy(
    update={"status": Status.RUNNING, "slots": (), "surroundings": {}, "finished_at": None}
)


class Killed(BaseException):
    """As kill -9 between two writes: nothing after it happens."""


class Silent:
    def stage(self, what: str) -> None:
        pass

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        pass


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """`[n]`: of the writes that follow, `n` happen, and the one after them kills."""
    left = [10**9]
    write = files.write_atomically

    def write_or_die(target: Path, content: bytes) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        write(target, content)

    for module in (store, sums, columns):
        monkeypatch.setattr(module, "write_atomically", write_or_die)
    return left


def write_slots(folder: Path, slots: tuple[SlotRecord, ...]) -> tuple[SlotRecord, ...]:
    written = []
    for slot in slots:
        columns.write_requests(folder, slot.slot.directory, make_records([{"connection": slot.slot.index}]))
        written.append(store.write_slot(folder, slot, WHOLE.surroundings[slot.surroundings]))
    return tuple(written)


def go_on(folder: Path) -> None:
    """What a run does of its writes, from wherever it is."""
    record = store.reopen_run(folder, store.read_run(folder))
    left = {slot.index for slot in record.remaining()}
    written = write_slots(folder, tuple(slot for slot in WHOLE.slots if slot.slot.index in left))
    slots = tuple(sorted((*record.slots, *written), key=lambda slot: slot.slot.index))
    changes = {"slots": slots, "surroundings": WHOLE.surroundings, "status": Status.COMPLETE}
    store.finish_run(folder, record.model_copy(update=changes))


def values_of(record: RunRecord) -> list[SlotRecord]:
    return [slot.model_copy(update={"sealed": {}, "own_sha256": ""}) for slot in record.slots]


# What is on the disk.


def test_a_slot_has_its_own_file_and_run_json_the_slots_only_when_the_run_has_ended(tmp_path: Path) -> None:
    store.write_run(tmp_path, REGISTERED)
    registered = (tmp_path / "run.json").read_bytes()
    [slot] = write_slots(tmp_path, WHOLE.slots[:1])

    assert json.loads((tmp_path / slot.slot.directory / "slot.json").read_text()) == slot.model_dump(
        mode="json"
    )
    assert (tmp_path / "run.json").read_bytes() == registered
    ended = REGISTERED.model_copy(
        update={"status": Status.INTERRUPTED, "slots": (slot,), "surroundings": WHOLE.surroundings}
    )
    store.finish_run(tmp_path, ended)
    assert len(json.loads((tmp_path / "run.json").read_text())["slots"]) == 1
    assert store.read_run(tmp_path) == ended


def test_a_run_that_did_not_end_has_the_slots_that_it_wrote_and_what_they_found_around_them(
    tmp_path: Path,
) -> None:
    store.write_run(tmp_path, REGISTERED)
    written = write_slots(tmp_path, WHOLE.slots[:3])
    found = bench.load(tmp_path)

    assert found.record.slots == written
    assert found.record.surroundings == WHOLE.surroundings
    assert found.faults == ()
    assert len(found.requests(2, warm_up=True)) == 1


def test_what_is_written_for_a_slot_does_not_grow_with_the_slots_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = files.write_atomically

    def count(target: Path, content: bytes) -> None:
        sizes.append(len(content))
        write(target, content)

    monkeypatch.setattr(store, "write_atomically", count)
    store.write_run(tmp_path, REGISTERED)
    sizes.clear()
    each = []
    for slot in WHOLE.slots:
        store.write_slot(tmp_path, slot, WHOLE.surroundings[slot.surroundings])
        each.append(sum(sizes))
        sizes.clear()

    # The first two of all also write what they found around them; numbers have one digit or two.
    assert max(each[2:]) - min(each[2:]) < 100
    assert each[-1] < each[0]


def test_a_slot_is_sealed_with_the_sums_of_its_files(tmp_path: Path) -> None:
    [slot] = write_slots(tmp_path, WHOLE.slots[:1])
    requests = tmp_path / slot.slot.directory / "requests.parquet"

    assert slot.sealed == {"requests.parquet": sums.digest_file(requests)}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_slot_of_a_run_that_did_not_end_is_refused_by_name(text: str, tmp_path: Path) -> None:
    store.write_run(tmp_path, REGISTERED)
    [slot] = write_slots(tmp_path, WHOLE.slots[:1])
    (tmp_path / slot.slot.directory / "slot.json").write_text(text)

    with pytest.raises(InputError, match=f"{slot.slot.directory} .*its slot.json "):
        store.read_run(tmp_path)


def test_a_slot_that_lies_in_anothers_place_is_refused(tmp_path: Path) -> None:
    store.write_run(tmp_path, REGISTERED)
    first, second = (tmp_path / slot.slot.directory for slot in write_slots(tmp_path, WHOLE.slots[:2]))
    (second / "slot.json").write_bytes((first / "slot.json").read_bytes())

    with pytest.raises(InputError, match="of another slot"):
        store.read_run(tmp_path)


# Kills.


def test_after_a_kill_between_any_two_writes_a_run_is_read_and_goes_on_to_the_same_end(
    tmp_path: Path, writes: list[int]
) -> None:
    for survived in range(60):
        folder = tmp_path / str(survived)
        folder.mkdir()
        store.write_run(folder, REGISTERED)
        writes[0] = survived
        try:
            go_on(folder)
        except Killed:
            ended = False
        else:
            ended = True
        writes[0] = 10**9
        seen = store.read_run(folder)
        assert values_of(seen) == values_of(WHOLE)[: len(seen.slots)]
        assert list(find_faults(folder, seen)) == []
        if seen.status is Status.RUNNING:
            go_on(folder)
        assert values_of(store.read_run(folder)) == values_of(WHOLE)
        assert list(find_faults(folder, store.read_run(folder))) == []
        if ended:
            return
    pytest.fail("sixty writes were not enough for a run of eight slots")


@pytest.mark.parametrize("version", [2, 4])
def test_a_run_of_an_earlier_schema_goes_on_after_a_kill_between_any_two_writes(
    version: int, tmp_path: Path, writes: list[int]
) -> None:
    half = WHOLE.model_copy(
        update={"schema_version": version, "status": Status.INTERRUPTED, "slots": WHOLE.slots[:5]}
    )
    for survived in range(60):
        folder = tmp_path / str(survived)
        folder.mkdir()
        for slot in half.slots:
            columns.write_requests(folder, slot.slot.directory, make_records([{}]))
        store.finish_run(folder, half)
        writes[0] = survived
        try:
            go_on(folder)
        except Killed:
            ended = False
        else:
            ended = True
        writes[0] = 10**9
        seen = store.read_run(folder)
        assert values_of(seen) == values_of(WHOLE)[: max(len(seen.slots), 5)]
        assert list(find_faults(folder, seen)) == []
        if seen.status is not Status.COMPLETE:
            go_on(folder)
        whole = store.read_run(folder)
        assert values_of(whole) == values_of(WHOLE)
        assert all("requests.parquet" in slot.sealed for slot in whole.slots)
        assert list(find_faults(folder, whole)) == []
        if ended:
            return
    pytest.fail("sixty writes were not enough for a run of eight slots")


def test_a_slot_that_is_measured_anew_replaces_its_record(tmp_path: Path) -> None:
    store.write_run(tmp_path, REGISTERED)
    failed = WHOLE.slots[0].model_copy(update={"gates": (make_gate(name=GateKind.ANSWERED, passed=False),)})
    write_slots(tmp_path, (failed, WHOLE.slots[1]))
    read = store.read_run(tmp_path)
    kept = store.reopen_run(tmp_path, read.model_copy(update={"slots": read.slots[1:]}))

    assert store.read_run(tmp_path).slots == kept.slots == read.slots[1:]
    go_on(tmp_path)
    assert values_of(store.read_run(tmp_path)) == values_of(WHOLE)
    assert list(find_faults(tmp_path, store.read_run(tmp_path))) == []


# A run that died after its last slot.


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own, so that no lab and no lock of this machine is touched."""
    monkeypatch.setattr("bench.paths.STATE", tmp_path / "state")
    return tmp_path / "state"


def resume(folder: Path, publish: Callable[[bench.Run], None] = lambda _: None) -> bench.Run:
    with few_resamples():
        return resume_run(folder, Watch(Silent(), publish))


def test_surroundings_of_a_killed_run_that_somebody_changed_are_named(tmp_path: Path) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    store.write_run(folder, REGISTERED)
    write_slots(folder, WHOLE.slots)
    assert bench.load(folder).faults == ()
    [first, _] = sorted((folder / files.SURROUNDINGS_FOLDER).iterdir())
    first.write_text(json.dumps(json.loads(first.read_text()) | {"cores": "0-63"}))

    told = f"what is stored of the surroundings {first.stem} is not as it was written"
    assert bench.load(folder).faults == (told,)


@pytest.mark.parametrize("name", ["../../0123456789ab", "a" * 300, "0123456789AB", "\n"])
def test_a_slot_whose_surroundings_have_no_digest_s_name_is_refused(name: str, tmp_path: Path) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    store.write_run(folder, REGISTERED)
    write_slots(folder, WHOLE.slots)
    path = folder / WHOLE.slots[0].slot.directory / files.SLOT_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surroundings": name}))

    with pytest.raises(InputError, match="surroundings: String should match") as caught:
        bench.load(folder)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FAILED, Status.INTERRUPTED])
def test_a_run_that_died_after_its_last_slot_is_finished_by_resuming_it(
    status: Status, state: Path, tmp_path: Path
) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    store.write_run(folder, REGISTERED)
    slots = write_slots(folder, WHOLE.slots)
    if status is not Status.RUNNING:
        died = REGISTERED.model_copy(
            update={"status": status, "slots": slots, "surroundings": WHOLE.surroundings}
        )
        store.finish_run(folder, died)
    run = resume(folder, publish_run)

    assert run.record.status is Status.COMPLETE
    assert run.record.slots == slots
    assert run.record.finished_at is not None
    assert {"report.html", "slots.csv", "verdict.json", "SHA256SUMS"} <= {
        path.name for path in folder.iterdir()
    }
    assert bench.load(folder).faults == ()
    with pytest.raises(InputError, match=r"it has ended \(complete\)"):
        resume(folder)


def test_a_run_of_an_earlier_schema_that_died_after_its_last_slot_is_finished_too(
    state: Path, tmp_path: Path
) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    store.write_run(folder, WHOLE.model_copy(update={"schema_version": 4, "status": Status.RUNNING}))
    for slot in WHOLE.planned:
        columns.write_requests(folder, slot.directory, make_records([{}]))

    assert resume(folder).record.status is Status.COMPLETE
    assert bench.load(folder).faults == ()


def test_a_precise_run_that_died_before_it_said_so_is_finished_as_precise(
    state: Path, tmp_path: Path
) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    long = make_run(make_scenario(blocks=12))
    changes = {"scenario": make_scenario(blocks=8), "precision": 0.5}
    long = long.model_copy(update=changes)
    died = long.model_copy(update={"status": Status.RUNNING, "slots": long.slots[: 4 * 9]})
    store.write_run(folder, died.model_copy(update={"slots": ()}))
    for slot in died.slots:
        columns.write_requests(folder, slot.slot.directory, make_records([{}]))
        store.write_slot(folder, slot, {})

    assert resume(folder).record.status is Status.PRECISE


def test_a_run_that_was_changed_since_is_not_measured_further(state: Path, tmp_path: Path) -> None:
    folder = files.create_run_folder(tmp_path, "unit", WHOLE.id)
    store.write_run(folder, REGISTERED)
    [slot, *_] = write_slots(folder, WHOLE.slots)
    columns.write_requests(folder, slot.slot.directory, make_records([{"connection": 7}]))

    with pytest.raises(MeasurementInvalid, match="is not as it was written"):
        resume(folder)
