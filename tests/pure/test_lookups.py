"""Lookups of a name as a load: what goes with them, how they are recorded, judged and told."""

from pathlib import Path

import pytest

from bench.lab.hosts import command
from bench.lab.hosts.compiler import compile_once
from bench.lab.servers.image import IN_IMAGE
from bench.measure.lookups import describe_resolv_conf, describe_stalls, record_lookups
from bench.records.findings import Word
from bench.report.run.card import tabulate_modes
from bench.report.run.limits import describe_limits
from bench.report.run.names import tell_names
from bench.report.run.page import render_markdown
from bench.results import files
from bench.results.run import Run
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.model import LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.names import UPSTREAMS, describe_servers, needs_ipv6
from bench.scenario.parsing import parse_scenario
from bench.scenario.plan import loaded_seconds
from bench.scenario.scenario import Scenario
from bench.slots.gates.names import check_lookups, check_queries
from bench.slots.metrics import measure_requests
from bench.slots.requests import Outcome
from bench.walkthrough.statements import SUBJECTS

from .conftest import make_run, make_scenario, store_whole
from .reports import drawing_once, judged, row, store_run
from .test_findings import make_finding, make_record, make_walk
from .test_scenario import VALID, fields_at_fault

LOOKUPS = VALID + '[load]\nmodel = "lookup"\n'
SOURCE = Path(__file__).parents[2] / "bench" / "image" / "look_up.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(compile_once(SOURCE, IN_IMAGE[SOURCE.name][1], tmp_path_factory.mktemp("cache")))


def test_the_program_asks_the_c_library_one_lookup_after_the_other(program: str) -> None:
    begun, *lines = command.run([program, "localhost", "ipv4", "0.001", "0.001"]).splitlines()
    rows = [line.split() for line in lines]
    stamps = [int(stamp) for line in rows for stamp in line[:2]]

    assert stamps == sorted(stamps)
    assert stamps[0] < int(begun) <= stamps[-1]
    assert {tuple(line[2:]) for line in rows} == {("0", "127.0.0.1")}


def test_warm_up_and_window_hold_one_lookup_each_however_short_they_are(program: str) -> None:
    begun, *lines = command.run([program, "localhost", "ipv4", "0", "0"]).splitlines()

    assert [int(line.split()[0]) >= int(begun) for line in lines] == [False, True]


def test_a_program_without_a_time_says_how_it_is_used(program: str) -> None:
    done = command.attempt([program, "localhost"], timeout_s=5, environment={})

    assert done.status == 2
    assert "usage" in done.output


def test_a_lookup_is_right_only_with_the_address_that_it_should_find() -> None:
    lines = [
        ["1000", "2000", "0", "198.18.0.10"],
        ["3000", "4000", "0", "198.18.0.11"],
        ["5000", "6000", "0", "-"],
        ["7000", "8000", "-2", "-"],
        ["9000", "9500", "-3", "-"],
    ]
    right, *wrong, silent = record_lookups(lines, "198.18.0.10")["outcome"]

    assert right == Outcome.OK
    assert set(wrong) == {Outcome.HTTP_ERROR}
    assert silent == Outcome.CONNECTION_ERROR
    assert list(record_lookups(lines[:3], "")["outcome"]) == [Outcome.OK, Outcome.OK, Outcome.HTTP_ERROR]


def test_records_of_lookups_have_the_metrics_of_requests() -> None:
    lines = [[str(1_000_000 * n), str(1_000_000 * n + 80_000), "0", "198.18.0.10"] for n in range(1, 11)]
    found = measure_requests(record_lookups(lines, ""), 5_000_000, 10_080_001, Load(model="lookup"))

    assert (found.requests, found.errors, found.unfinished) == (6, 0, 0)
    assert found.values[Metric.P50_LATENCY_US] == 80.0


def test_lookups_of_seconds_are_counted_that_a_median_does_not_show() -> None:
    lines = [["0", "90000", "0", "-"], ["100000", "5004100000", "0", "-"]]
    told = describe_stalls(record_lookups(lines, ""))

    assert told["lookups of a second or more"] == "1"
    assert told["longest lookup, s"] == "5.004"


def test_resolv_conf_is_told_without_its_comments() -> None:
    assert describe_resolv_conf("# made\nnameserver 127.0.0.11\noptions ndots:0\n\n") == (
        "nameserver 127.0.0.11; options ndots:0"
    )
    assert describe_resolv_conf("# nothing\n") == "empty"


def test_a_name_that_is_not_found_fails_its_gate_with_what_the_c_library_said() -> None:
    gate = check_lookups(2, 1, "getaddrinfo said EAI_AGAIN (-3)")

    assert not gate.passed
    assert "1 of 2" in gate.detail
    assert "EAI_AGAIN" in gate.detail
    assert check_lookups(2, 0).passed


@pytest.mark.parametrize(
    ("found", "received", "upstream", "passes"),
    [(10, 20, True, True), (10, 9, True, False), (10, 0, False, True), (10, 1, False, False)],
)
def test_an_upstream_is_asked_for_each_of_its_names_and_never_for_a_containers(
    found: int, received: int, upstream: bool, passes: bool
) -> None:
    gate = check_queries(found, received, upstream=upstream)

    assert gate.passed is passes
    assert gate.agrees


def test_a_question_takes_the_way_of_packets_without_the_port_mapping() -> None:
    way = {Counter.UPLINK, Counter.FORWARDED, Counter.BRIDGE, Counter.VETH}

    assert set(MODES[Mode.HOST].path_of_names) == {Counter.UPLINK}
    assert set(MODES[Mode.BRIDGE].path_of_names) == set(MODES[Mode.USER_BRIDGE].path_of_names) == way


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (LOOKUPS + "connections = 2\n", "load.connections"),
        (LOOKUPS + 'engine = "http"\n', "load.engine"),
        (LOOKUPS + "page_bytes = 65536\n", "load.page_bytes"),
        (LOOKUPS + 'vantage = "host-address"\n', "load.vantage"),
        (LOOKUPS + "rate_rps = 5\n", "load.rate_rps"),
        (LOOKUPS + "wrk_witness_s = 1\n", "load.wrk_witness_s"),
        (LOOKUPS + "[lab]\nserver_wait_us = 5\n", "lab.server_wait_us"),
        (LOOKUPS + '[factors]\n"load.connections" = [1, 2]\n', "load.connections"),
        (LOOKUPS + "[schedule.interleave]\n", "schedule.interleave"),
        (LOOKUPS + '[[arms]]\nname = "bare"\nmode = "native"\n', "arms.2.mode"),
        (LOOKUPS + '[[arms]]\nname = "proxy"\nmode = "proxy"\n', "arms.2.mode"),
        (LOOKUPS + '[lab]\nupstreams = "gone"\n', "lab.upstreams"),
        (VALID + '[load]\nlookup = "container"\n', "load.lookup"),
        (VALID + '[load]\nfamily = "ipv4"\n', "load.family"),
        (VALID + '[lab]\nupstreams = "dead-first"\n', "lab.upstreams"),
        (VALID + '[factors]\n"lab.upstreams" = ["healthy", "ipv6"]\n', "lab.upstreams"),
    ],
)
def test_what_lookups_have_no_use_for_and_what_only_they_have_is_refused(text: str, field: str) -> None:
    assert field in fields_at_fault(text)


def test_only_a_user_defined_network_knows_its_containers_by_name() -> None:
    assert fields_at_fault(LOOKUPS + 'lookup = "container"\n') == ["arms.0.mode", "arms.1.mode"]
    within = LOOKUPS.replace('mode = "host"', 'mode = "macvlan"').replace('"bridge"\n\n', '"bridge"\n')
    within = within.replace('mode = "bridge"', 'mode = "user-bridge"') + 'lookup = "container"\n'

    assert parse_scenario(within, "unit.toml").load.lookup == "container"
    assert fields_at_fault(within + '[lab]\nupstreams = "dead-first"\n') == ["lab.upstreams"]


def make_lookups(upstreams: str = "healthy") -> Scenario:
    return make_scenario(load=Load(model="lookup"), lab=LabSettings.model_validate({"upstreams": upstreams}))


def test_arms_are_compared_on_the_latency_of_lookups_alone() -> None:
    assert set(make_lookups().metrics) == {
        Metric.P50_LATENCY_US,
        Metric.P10_LATENCY_US,
        Metric.P99_LATENCY_US,
    }


def test_a_plan_expects_the_wait_for_a_dead_server_in_warm_up_and_window() -> None:
    healthy, dead = (
        loaded_seconds(conditions(make_lookups(level))[0]) for level in ("healthy", "dead-first")
    )

    assert healthy < 2 * UPSTREAMS["dead-first"].wait_s <= dead


def test_every_level_of_upstreams_has_its_servers() -> None:
    levels = LabSettings.model_json_schema()["properties"]["upstreams"]["enum"]

    assert levels == list(UPSTREAMS)
    assert [level for level in levels if UPSTREAMS[level].needs_ipv6] == ["ipv6", "ipv6-first"]


EVIDENCE = {
    "name looked up": "lookup.bench.test",
    "/etc/resolv.conf inside": "nameserver 127.0.0.11; options ndots:0",
    "queries that reached the lab's name servers": "40",
    "packets to the dead name server": "10",
    "lookups, those of the warm-up included": "20",
    "lookups of a second or more": "3",
    "longest lookup, s": "5.004",
    "packets that connection tracking dropped": "1",
}


def test_a_report_tells_whom_the_containers_asked(tmp_path: Path) -> None:
    whole = make_run(make_lookups())
    slots = tuple(slot.model_copy(update={"evidence": EVIDENCE}) for slot in whole.slots)
    store_whole(tmp_path, whole.model_copy(update={"slots": slots}))
    run = judged(Run(tmp_path))
    [table] = tell_names(run)["tables"]  # type: ignore[index]
    of_arm = len(slots) // 2

    assert [line[1] for line in table.rows] == ["host", "bridge"]
    assert table.rows[0][2:] == (
        "nameserver 127.0.0.11; options ndots:0",
        "2, 0.5",
        f"{20 * of_arm:,}",
        f"{3 * of_arm}",
        "5.004",
        f"{of_arm}",
    )
    assert any("lookups of a name" in line and "page" not in line for line in describe_limits(run))


def test_a_run_of_requests_has_no_section_on_names(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario()))

    assert tell_names(run) is None


def test_what_the_card_says_was_tried_are_statements_of_the_walkthrough() -> None:
    known = {statement.id for statements in SUBJECTS.values() for statement in statements}
    named = {name for mode in MODES.values() for name in mode.trade_offs.tried_by}

    assert named
    assert named <= known


def test_the_card_says_what_the_walkthrough_beside_the_run_tried(tmp_path: Path) -> None:
    store_run(tmp_path, make_scenario(), requests=True)
    [before, _] = tabulate_modes(judged(Run(tmp_path)))
    finding = make_finding("docker0-knows-no-names", Word.CONFIRMED)
    walk = make_walk("machine", Word.CONFIRMED).model_copy(update={"findings": (finding,)})
    (tmp_path / files.WALKTHROUGH_FILE).write_text(make_record(walk).model_dump_json())
    run = judged(Run(tmp_path))
    [here, _] = tabulate_modes(run)
    said = "tried beside this run: CONFIRMED (docker0-knows-no-names)"

    assert said in row(here, "bridge")["Reachable from"]
    assert "tried" not in row(here, "host")["Reachable from"] + row(before, "bridge")["Reachable from"]
    assert any("beside what its walkthrough tried" in line for line in describe_limits(run))
    with drawing_once():
        assert said in render_markdown(run)


def test_a_plan_says_what_lookups_change_and_says_nothing_of_them_otherwise() -> None:
    assert not needs_ipv6(make_lookups())
    assert needs_ipv6(make_lookups("ipv6-first"))
    assert describe_servers(make_scenario()) == []
    [said] = describe_servers(make_lookups())
    assert "198.18.0.53" in said
