"""A locustfile as the load, from the scenario to the report: what may be said, and what is told of it."""

from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError, MeasurementInvalid
from bench.generator.client import Generator
from bench.generator.elsewhere import GeneratorElsewhere
from bench.judgement.across_runs.comparability import require_comparable
from bench.judgement.across_runs.history import trace_lines
from bench.measure.planned_changes import planned_changes
from bench.records.run import RunRecord
from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.run.limits import describe_limits
from bench.report.run.method import describe_method
from bench.results.run import Run, find_cells
from bench.results.scope import describe_scope
from bench.scenario.load import Load
from bench.scenario.modes.model import Vantage
from bench.scenario.parsing import parse_scenario
from bench.scenario.real_place import find_load_lacking
from bench.scenario.scenario import Scenario
from bench.scenario.toml import scenario_toml

from .conftest import make_run, make_scenario
from .reports import store_run

# Where the controller finds it.

OWN = Load(engine="locustfile", locustfile="loads/users.py", connections=16)


def make_generator(kind: type[Generator] = Generator, **given: Any) -> Generator:
    nobody: Any = None
    return kind(nobody, nobody, Path("log"), nobody, **given)


def test_the_file_is_found_below_the_folder_that_is_given() -> None:
    generator = make_generator(inputs=Path("/inputs"))

    assert generator.find_locustfile(OWN) == "/inputs/loads/users.py"
    assert generator.find_locustfile(Load()) is None


def test_without_such_a_folder_there_is_no_load() -> None:
    with pytest.raises(MeasurementInvalid, match=r"Finding the locustfile loads/users\.py"):
        make_generator().find_locustfile(OWN)


def test_workers_elsewhere_have_no_locustfile() -> None:
    generator = make_generator(GeneratorElsewhere, inputs=Path("/inputs"))

    assert generator.find_locustfile(Load()) is None
    with pytest.raises(MeasurementInvalid, match="load hosts run bench's own loops alone"):
        generator.find_locustfile(OWN)


# What a scenario may say.

HEAD = """
name = "unit"
question = "What does bridge cost?"
baseline = "host"

[[arms]]
name = "host"
mode = "host"

[[arms]]
name = "bridge"
mode = "bridge"
"""
LOAD = '[load]\nengine = "locustfile"\nlocustfile = "users.py"\n'
REFUSED = {
    "no file": (HEAD + '[load]\nengine = "locustfile"\n', "load.locustfile: is missing"),
    "the file of another engine": (
        HEAD + '[load]\nengine = "http"\nlocustfile = "users.py"\n',
        "load.locustfile: is of load.engine locustfile, and load.engine is http",
    ),
    "a file elsewhere": (
        HEAD + LOAD.replace("users.py", "/etc/users.py"),
        "load.locustfile: '/etc/users.py'",
    ),
    "a file above": (
        HEAD + LOAD.replace("users.py", "a/../../users.py"),
        "load.locustfile: 'a/../../users.py'",
    ),
    "no Python": (
        HEAD + LOAD.replace("users.py", "users.toml"),
        "load.locustfile: 'users.toml' is no Python",
    ),
    "no name": (HEAD + LOAD.replace("users.py", ""), "load.locustfile: '' is no Python"),
    "an open loop": (
        HEAD + LOAD + 'model = "open"\nrate_rps = 100\n',
        "load.model: a locustfile is a closed loop",
    ),
    "CPU": (
        HEAD + LOAD + 'model = "open"\nrate_rps = 100\npacing = "sleep"\n',
        "load.model: a locustfile is a closed loop: its users ask when it says (so no CPU a request)",
    ),
    "a connection a request": (HEAD + LOAD + "keep_alive = false\n", "load.keep_alive: "),
    "thoughts": (HEAD + LOAD + "think_us = 5\n", "load.think_us: "),
    "a page": (HEAD + LOAD + "page_bytes = 65536\n", "load.page_bytes: a locustfile says itself"),
    "pages": (HEAD + LOAD + '[factors]\n"load.page_bytes" = [1024, 65536]\n', "load.page_bytes: "),
    "workers": (HEAD + LOAD + "connections = 2\nworkers = 2\n", "load.workers: "),
    "a witness": (HEAD + LOAD + "wrk_witness_s = 1\n", "load.wrk_witness_s: "),
    "turns": (
        HEAD + LOAD + "[schedule.interleave]\n",
        "schedule.interleave: only the raw engine takes turns",
    ),
    "taps": (
        HEAD + LOAD + '[factors]\n"lab.taps" = [false, true]\n',
        "lab.taps: follow requests of the raw engine, not those of a locustfile",
    ),
    "a raw engine beside it": (
        HEAD + LOAD + '[factors]\n"load.engine" = ["raw", "locustfile"]\n',
        "factors.load.engine: a locustfile is another load",
    ),
    "another of Locust's clients beside it": (
        HEAD + LOAD + '[factors]\n"load.engine" = ["http", "locustfile"]\n',
        "factors.load.engine: a locustfile is another load",
    ),
    "several files": (
        HEAD + LOAD + '[factors]\n"load.locustfile" = ["a.py", "b.py"]\n',
        "factors: load.locustfile is not a factor",
    ),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_with_a_locustfile_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_scenario(text, "unit.toml")

    [line] = refusal.value.seen.splitlines()[1:]
    assert line.strip().startswith(said)


def test_a_scenario_with_a_locustfile_is_written_as_it_was_read() -> None:
    scenario = parse_scenario(HEAD + LOAD + "connections = 16\n", "unit.toml")

    assert (scenario.load.by_locustfile, scenario.load.locustfile) == (True, "users.py")
    assert parse_scenario(scenario_toml(scenario), "unit.toml") == scenario


def test_the_number_of_users_may_be_a_factor() -> None:
    text = HEAD + LOAD + '[factors]\n"load.connections" = [1, 16]\n'
    assert parse_scenario(text, "unit.toml").factors == {"load.connections": (1, 16)}


def test_real_hosts_refuse_a_locustfile() -> None:
    [(field_, reason)] = find_load_lacking(make_scenario(load=OWN))
    assert (field_, "load hosts" in reason) == ("load.engine locustfile", True)


def test_a_plan_says_whose_python_runs() -> None:
    assert any(
        "loads/users.py, a locustfile of the person's" in line for line in planned_changes(own_scenario())
    )


# What is said of such a run, and what it is compared with.


def store(folder: Path, scenario: Scenario, **changes: Any) -> Run:
    folder.mkdir()
    return store_run(folder, scenario, **changes)


def own_scenario(**changes: Any) -> Scenario:
    return make_scenario(blocks=4, load=OWN, **changes)


def own_run(label: str = "Locust's clients, by users.py (SHA-256 0123)", **changes: Any) -> RunRecord:
    record = make_run(own_scenario(), **changes)
    evidence = {"load loop": label}
    return record.model_copy(
        update={"slots": tuple(slot.model_copy(update={"evidence": evidence}) for slot in record.slots)}
    )


def test_the_report_says_whose_latencies_these_are(tmp_path: Path) -> None:
    run = store_run(tmp_path, own_scenario())
    asked = (
        "requests of the locustfile loads/users.py, 16 Locust users, closed loop with the file's own waits"
    )
    engine = "engine locustfile: Locust's clients by a locustfile of the person's own"
    scope = describe_scope(run.record, [Vantage.CLIENT])

    assert f"{asked}, load {engine}" in answer_sentence(run)
    assert f"{scope['workload']}, {scope['rate']}" == f"{asked}, {engine}"
    assert any(f"{asked}, load {engine}" in text for text in describe_method(run))
    assert any(
        "what the locustfile loads/users.py asks for, by 16 Locust users" in t for t in describe_limits(run)
    )
    [caution] = [text for text in find_cautions(run) if "Locust" in text]
    assert caution.startswith("Latencies are Locust's clients' own: ")
    assert caution.endswith("the A/A pairs say.")


def test_other_runs_have_no_such_caution(tmp_path: Path) -> None:
    assert not any("Locust" in text for text in find_cautions(store_run(tmp_path, make_scenario(blocks=4))))


def test_a_locustfile_that_changed_within_a_run_is_a_caution(tmp_path: Path) -> None:
    run = store_run(tmp_path, own_scenario())
    first, *others = run.record.slots
    changed = first.model_copy(update={"evidence": {"load loop": "another"}})
    rest = [slot.model_copy(update={"evidence": {"load loop": "one"}}) for slot in others]
    record = run.record.model_copy(update={"slots": (changed, *rest)})

    said = find_cautions(store(tmp_path / "again", own_scenario(), slots=record.slots))
    assert "The locustfile changed while the run lasted: another and one." in said


def test_runs_of_one_locustfile_are_comparable_and_of_two_not() -> None:
    before, same = own_run(id="run-1"), own_run(id="run-2")
    other = own_run("Locust's clients, by users.py (SHA-256 4567)", id="run-3")

    assert require_comparable(before, same).faults == ()
    with pytest.raises(InputError, match="locustfile: Locust's clients, by users") as refusal:
        require_comparable(before, other)
    assert "--across" not in str(refusal.value)


@pytest.mark.parametrize("across", [(), ("load.engine",)], ids=["plainly", "across the engine"])
def test_a_locustfile_and_a_raw_engine_are_never_compared(across: tuple[str, ...]) -> None:
    raw = make_run(make_scenario(blocks=4, load=Load(connections=16)), id="run-2")
    with pytest.raises(InputError) as refusal:
        require_comparable(own_run(id="run-1"), raw, across)
    assert "locustfile" in str(refusal.value)
    assert "say that it is the subject" not in str(refusal.value)


def test_a_locustfile_and_a_raw_engine_are_on_no_map_together(tmp_path: Path) -> None:
    own, raw = (
        store(tmp_path / "own", own_scenario()),
        store(tmp_path / "raw", make_scenario(blocks=4)),
    )

    assert find_cells([own])
    with pytest.raises(InputError, match="map them by themselves"):
        find_cells([own, raw])


def test_runs_of_two_locustfiles_are_of_two_lines(tmp_path: Path) -> None:
    comparisons = store_run(tmp_path, own_scenario()).verdict.comparisons
    same = [own_run(id="run-1"), own_run(id="run-2")]
    other = own_run("another text", id="run-3")
    lines = trace_lines([(record, comparisons) for record in (*same, other)])

    assert sorted({len(line.points) for line in lines}) == [1, 2]
