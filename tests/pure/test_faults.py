"""Stored runs that were changed: each change is refused, in words, with its place."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ExitCode, InputError
from bench.results import store

ROOT = Path(__file__).parents[2]
CLAIM = ROOT / "tests/pure/data/run-v3-claim.json"
ANATOMY = ROOT / "tests/pure/data/example-anatomy-v3/run.json"
OLDEST = ROOT / "tests/pure/data/run-v2.json"
Change = Callable[[dict[str, Any]], object]


def put(place: str, value: object) -> Change:
    """Put `value` at a dotted place."""
    *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]

    def change(run: Any) -> None:
        for part in way:
            run = run[part]
        run[last] = value

    return change


def spoil_gate(kind: str, **fields: object) -> Change:
    """Change a gate of slot 2."""
    return lambda run: next(gate for gate in run["slots"][2]["gates"] if gate["name"] == kind).update(fields)


P50 = "slots.2.values.p50_latency_us"
GATES = "slots.2.gates"
SLOT = "slots.2.slot"

CHANGES: list[tuple[str, Change, str]] = [
    # What refers to something that is not there.
    (
        "an arm that the scenario has not",
        put("planned.2.arm", "macvlan"),
        "planned.2.arm: the scenario has no",
    ),
    (
        "another arm than planned",
        put("slots.2.slot.arm", "host"),
        "slots.2.slot: is not as it was planned (arm)",
    ),
    ("a slot of no arm", put("slots.2.slot.arm", "../x"), "slots.2.slot: is not as it was planned (arm)"),
    ("condition 7", put("planned.2.condition", 7), "planned.2.condition: is 7, and the scenario has 1"),
    ("a slot of condition 7", put("slots.2.slot.condition", 7), "slots.2.slot: is not as it was planned"),
    ("another block", put("slots.2.slot.block", 3), "slots.2.slot: is not as it was planned (block)"),
    ("another repeat", put("slots.2.slot.repeat", 1), "slots.2.slot: is not as it was planned (repeat)"),
    ("a repeat too many", put("planned.2.repeat", 2), "planned.2.repeat: is 2, and a block has 2"),
    ("a block in two sessions", put("planned.2.session", 1), "planned.2.session: block 0 is in session 0"),
    ("a slot that was not planned", put("slots.2.slot.index", 900), "slots.900: was not planned"),
    ("a plan out of order", put("planned.2.index", 3), "planned.2.index: is 3, and it stands at 2"),
    ("surroundings unknown", put("slots.2.surroundings", "0" * 12), "slots.2.surroundings: the run has none"),
    (
        "an unavailable arm unknown",
        put("unavailable.moon", "far"),
        "unavailable: the scenario has no arm moon",
    ),
    ("a missing condition unknown", put("unavailable_conditions", {"7": "x"}), "there is no condition 7"),
    ("an unavailable cell unknown", put("unavailable_under", {"0": {"moon": "x"}}), "unavailable_under.0:"),
    ("every slot twice", lambda run: run["slots"].extend(run["slots"]), "slots: slot 0 is there 2 times"),
    ("a cell planned twice", put("planned.2.repeat", 1), "planned: 2 slots are of arm bridge in block 0"),
    # Numbers that are none.
    ("Infinity as a p50", put(P50, float("inf")), f"{P50}: Input should be a finite number"),
    ("-Infinity as a p50", put(P50, float("-inf")), f"{P50}: Input should be a finite number"),
    ("NaN as a p50", put(P50, float("nan")), f"{P50}: Input should be a finite number"),
    ("true as a p50", put(P50, True), f"{P50}: Input should be a valid number"),
    ("text as a p50", put(P50, "58.3"), f"{P50}: Input should be a valid number"),
    ("a list as a p50", put(P50, [58.3]), f"{P50}: Input should be a valid number"),
    ("a p50 of 5e-324", put(P50, 5e-324), f"{P50}: 4.94066e-324 us is nothing that can be measured"),
    ("a p50 of 1.7e308", put(P50, 1.7e308), f"{P50}: 1.7e+308 us is nothing that can be measured"),
    ("a p50 of nothing", put(P50, 0.0), f"{P50}: 0 us is nothing"),
    ("a negative p50", put(P50, -58.3), f"{P50}: -58.3 us is nothing"),
    (
        "a negative rate",
        put("slots.2.values.throughput_rps", -1.0),
        "slots.2.values.throughput_rps: -1 req/s",
    ),
    ("a metric unknown", put("slots.2.values.p51_latency_us", 1.0), "slots.2.values.p51_latency_us"),
    ("true as a count", put("slots.2.requests", True), "slots.2.requests: Input should be a valid integer"),
    ("text as a count", put("slots.2.requests", "3082"), "slots.2.requests: Input should be a valid integer"),
    ("half a request", put("slots.2.requests", 3082.5), "slots.2.requests: Input should be a valid integer"),
    ("fewer requests than none", put("slots.2.requests", -1), "slots.2.requests: Input should be greater"),
    ("more failures than requests", put("slots.2.errors", 10**6), "slots.2.errors: 1000000 failed"),
    ("a count of 400 digits", put("slots.2.requests", 10**400), "slots.2.requests: Input should be less"),
    ("a negative block", put("slots.2.slot.block", -1), "slots.2.slot.block: Input should be greater"),
    ("a negative session", put("planned.2.session", -1), "planned.2.session: Input should be greater"),
    ("a negative length", put("slots.2.seconds", -1.0), "slots.2.seconds: Input should be greater"),
    ("a window that ends first", put("slots.2.window_end_ns", 5), "slots.2.window_end_ns: is before"),
    ("seed -1", put("seed", -1), "seed: Input should be greater than or equal to 0"),
    ("true as a seed", put("seed", True), "seed: Input should be a valid integer"),
    ("a budget of nothing", put("budget_s", 0.0), "budget_s: Input should be greater than 0"),
    ("a precision of 100 %", put("precision", 1.0), "precision: Input should be less than 1"),
    (
        "a mean of 1e400",
        put("slots.2.mean_latency_us", 1e308),
        "slots.2.mean_latency_us: Input should be less",
    ),
    ("idle work", put("slots.2.generator_busy", -0.5), "slots.2.generator_busy: Input should be greater"),
    # Gates.
    ("no gates at all", put(GATES, []), f"{GATES}: Tuple should have at least 1 item"),
    (
        "500 seen of a limit of 0.0001",
        spoil_gate("errors", seen=500.0),
        f"{GATES}.errors: passed, and saw 500 of a limit of 0.0001",
    ),
    ("a failure that was none", spoil_gate("errors", passed=False), f"{GATES}.errors: failed, and saw 0 of"),
    ("too few requests", spoil_gate("requests", seen=999.0), f"{GATES}.requests: passed, and saw 999"),
    (
        "a port mapping that was not hit",
        spoil_gate("path: dnat connections", seen=0.0),
        f"{GATES}.path: dnat connections: passed, and saw 0 of a limit of 1",
    ),
    (
        "a path that was not taken",
        spoil_gate("path: bridge packets", seen=12.0),
        f"{GATES}.path: bridge packets: passed, and saw 12 of",
    ),
    ("a gate unknown", spoil_gate("steal", name="stale"), f"{GATES}.5.name: Input should be"),
    ("a gate twice", spoil_gate("steal", name="quiet cores"), f"{GATES}: quiet cores is there 2 times"),
    (
        "a counter that no column holds",
        lambda run: run["slots"][2]["counters"].update({next(iter(run["slots"][2]["counters"])): 10**400}),
        "slots.2.counters",
    ),
    ("a word of 1", spoil_gate("steal", passed=1), f"{GATES}.5.passed: Input should be a valid boolean"),
    ("a gate that saw true", spoil_gate("steal", seen=True), f"{GATES}.5.seen"),
    ("a gate that saw Infinity", spoil_gate("steal", seen=float("inf")), f"{GATES}.5.seen"),
    # Times, words, and what is missing.
    ("a start that is no time", put("started_at", "yesterday"), "started_at: 'yesterday' is no time"),
    (
        "a start without a zone",
        put("started_at", "2026-11-25T13:44:27"),
        "started_at: '2026-11-25T13:44:27' has",
    ),
    ("an end without a zone", put("finished_at", "2026-11-25"), "finished_at: '2026-11-25' has no time zone"),
    (
        "a slot's start that is none",
        put("slots.2.started_at", "noon"),
        "slots.2.started_at: 'noon' is no time",
    ),
    ("nothing planned", put("planned", []), "planned: Tuple should have at least 1 item"),
    (
        "an engine without version",
        lambda run: run["engines"]["docker1"].pop("version"),
        "docker1.version: is",
    ),
    ("an engine of no version", put("engines.docker1.version", ""), "engines.docker1.version: String should"),
    ("a host that is none", put("lab.client", "somewhere"), "lab.hosts.client: 'somewhere' is no"),
    ("a status unknown", put("status", "done"), "status: Input should be"),
    ("a field unknown", put("slots.2.colour", "red"), "slots.2.colour: Extra inputs are not permitted"),
    (
        "a scenario that contradicts itself",
        put("scenario.baseline", "moon"),
        "scenario: baseline: there is no",
    ),
    ("no seed", lambda run: run.pop("seed"), "seed: is missing"),
    (
        "evidence that is no number",
        put("slots.2.evidence.connections opened", "some"),
        "slots.2.evidence.connections opened: 'some' is no count",
    ),
]


def refusal_of(folder: Path, text: str) -> InputError:
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError) as caught:
        store.read_run(folder)
    return caught.value


@pytest.mark.parametrize(("change", "told"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_changed_run_is_refused_with_the_place_of_the_change(
    change: Change, told: str, tmp_path: Path
) -> None:
    run = json.loads(CLAIM.read_text())
    change(run)

    fault = refusal_of(tmp_path, json.dumps(run))
    assert told in fault.seen
    assert len(str(fault)) < 5_000
    assert fault.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("path", [CLAIM, ANATOMY, OLDEST], ids=["claim", "anatomy", "of schema 2"])
def test_a_run_as_it_was_written_is_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(path.read_text())
    record = store.read_run(tmp_path)

    assert record.slots
    store.write_run(tmp_path, record)
    assert store.read_run(tmp_path) == record


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"seed": 1,', '"seed": 1, "seed": 2,', "is damaged (the key seed stands twice in one table)"),
        (
            '"throughput_rps": 15410.0',
            '"throughput_rps": 1e400',
            "slots.0.values.throughput_rps: Input should be",
        ),
        ('"seed": 1,', '"seed": 1', "Invalid JSON: expected"),
        ('"seed": 1,', '"seed": 1e0,', "seed: Input should be a valid integer"),
    ],
    ids=["a key twice", "1e400", "no JSON", "a seed with an exponent"],
)
def test_text_that_no_writer_of_ours_wrote_is_refused(old: str, new: str, told: str, tmp_path: Path) -> None:
    text = CLAIM.read_text()
    assert old in text

    assert told in refusal_of(tmp_path, text.replace(old, new, 1)).seen


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", "[" * 100_000, '"\ud800"', "{}"])
def test_what_is_no_run_at_all_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text.encode(errors="surrogatepass"))

    with pytest.raises(InputError, match=r"Opening the run .*run\.json"):
        store.read_run(tmp_path)


def test_a_capture_that_found_more_than_there_was_is_refused(tmp_path: Path) -> None:
    run = json.loads(ANATOMY.read_text())
    slot = next(slot for slot in run["slots"] if slot["capture"])
    index = slot["slot"]["index"]
    slot["capture"]["matched"] += 1
    slot["capture"]["taps"][1]["name"] = "client"

    told = refusal_of(tmp_path, json.dumps(run)).seen
    assert f"slots.{index}.capture.taps: client is there twice" in told
    assert f"slots.{index}.capture.matched: 1201 of 1200 requests" in told
    slot["capture"]["taps"][1]["name"] = "../../uplink"
    assert "capture.taps.1.name: String should match" in refusal_of(tmp_path, json.dumps(run)).seen


def test_all_faults_are_told_at_once_and_very_many_are_counted(tmp_path: Path) -> None:
    run = json.loads(CLAIM.read_text())
    for _, change, _ in (CHANGES[0], CHANGES[3], CHANGES[11]):
        change(run)
    told = refusal_of(tmp_path, json.dumps(run)).seen
    assert all(CHANGES[number][2] in told for number in (0, 3, 11))

    for slot in run["slots"]:
        slot["surroundings"] = "0" * 12
    told = refusal_of(tmp_path, json.dumps(run)).seen
    assert told.startswith("its run.json has 31 faults:")
    assert told.rstrip().endswith("and 11 more")


def test_the_command_says_it_in_one_paragraph_and_exits_with_2(tmp_path: Path) -> None:
    run = json.loads(CLAIM.read_text())
    put(P50, True)(run)
    (tmp_path / "run.json").write_text(json.dumps(run))
    argv = [sys.executable, "-m", "bench", "report", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)

    assert (done.returncode, done.stdout) == (ExitCode.BAD_INPUT, "")
    assert f"{P50}: Input should be a valid number, not True" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
