"""Real hosts without any: what of a scenario they can have, and what a report says of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import EnvironmentLacks
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.watch import sum_up
from bench.measure.real_hosts import find_unavailable, planned_changes
from bench.measure.real_testbed import require_possible
from bench.records.environment import RealHostFacts
from bench.records.run import SlotRecord
from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.run.hosts import describe_vantage, tabulate_hosts, tell_hosts
from bench.report.run.limits import describe_limits
from bench.report.run.page import render_markdown
from bench.results.run import Run
from bench.scenario.hosts import parse_hosts
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.plan import plan_slots
from bench.scenario.real_place import find_arms_lacking, real_place

from .conftest import make_gate, make_run, make_scenario, make_slot_record
from .reports import judged, measure, store_run

HOSTS = parse_hosts(
    '[docker.web]\nssh = "web"\naddress = "198.18.0.100"\n[load.gen]\nssh = "gen"\nworkers = 2\n',
    "hosts.toml",
)
ARMS = tuple(
    Arm(name=mode, mode=f"{mode}:{Mode.BRIDGE}" if mode is Mode.CONTAINER else mode) for mode in Mode
)


def make_facts(**changes: Any) -> RealHostFacts:
    fields: dict[str, Any] = {
        "role": "docker",
        "machine": {"kernel": "6.1", "cpu": "A CPU", "cores": "4"},
        "engine": "28.5.2",
        "link": "eno1",
        "link_kind": "physical",
        "mtu": 1500,
        "speed_mbit": 10_000,
        "load_average": 0.1,
        "clock_apart_ms": 1.25,
        "clock_error_ms": 0.25,
    }
    return RealHostFacts(**(fields | changes))


def run_on(folder: Path, hosts: Mapping[str, RealHostFacts], vantage: str, **changes: Any) -> Run:
    folder.mkdir(exist_ok=True)
    scenario = make_scenario()
    slots = [measure(scenario, slot).model_copy(update=changes) for slot in plan_slots(scenario, seed=1)]
    lab = {"web": "198.18.0.100/24; cores 0", "vantage": vantage}
    on_hosts: dict[str, Any] = {
        "on_real_hosts": True,
        "hosts": dict(hosts),
        "lab": lab,
        "slots": tuple(slots),
    }
    return judged(store_run(folder, scenario, **on_hosts))


APART = {"web": make_facts(), "gen": make_facts(role="load", speed_mbit=None)}
ONE = {"web": make_facts(), "gen": make_facts(role="load", same_kernel_as="web")}


def test_modes_that_alter_a_machine_are_refused_with_a_reason_and_all_others_are_not() -> None:
    lacking = find_arms_lacking(make_scenario(arms=ARMS))
    assert set(ARMS_THERE) == {arm.name for arm in ARMS} - set(lacking)
    assert all(lacking.values())


ARMS_THERE = ("host", "bridge", "container", "none", "user-bridge")


def test_an_arm_is_served_at_the_address_under_test_whichever_of_the_lab_s_two_it_names() -> None:
    place = real_place("web", "198.18.0.77")
    assert place.name == "web"
    assert place.address(Arm(name="host", mode="host", address="198.18.0.200")) == "198.18.0.77"


def test_a_setting_of_the_lab_is_not_available_only_where_a_scenario_asks_for_it() -> None:
    assert find_unavailable(make_scenario()) == {}
    asked = make_scenario(lab=LabSettings(forward_rules=10, link_mbit=100, server_wait_us=5))
    assert set(find_unavailable(asked)) == {"lab.forward_rules", "lab.link_mbit"}
    with pytest.raises(EnvironmentLacks, match=r"NOT AVAILABLE there: lab\.forward_rules"):
        require_possible(asked)
    assert "schedule.sessions" in find_unavailable(make_scenario(sessions=2))


def test_a_baseline_that_real_hosts_cannot_have_is_refused() -> None:
    scenario = make_scenario(arms=(Arm(name="native", mode="native"), ARMS[0]), baseline="native")
    with pytest.raises(EnvironmentLacks, match="the baseline native"):
        require_possible(scenario)


def test_a_plan_names_each_host_each_container_and_who_sends_the_load() -> None:
    changes = "\n".join(planned_changes(HOSTS, make_scenario()))
    for told in (
        "`ssh web`",
        "`ssh gen`",
        "bench-agent",
        "198.18.0.100:",
        "gen: 2 worker(s)",
        "bench.run=",
    ):
        assert told in changes


def test_remote_is_another_kernel_and_the_word_for_nothing_else(tmp_path: Path) -> None:
    remote, one = run_on(tmp_path / "a", APART, "remote"), run_on(tmp_path / "b", ONE, "same-kernel lab")
    assert "a client on another machine (remote)" in answer_sentence(remote)
    assert "a client of the same kernel (same-kernel lab)" in answer_sentence(one)
    assert "no network card" in describe_limits(one)[0]
    assert "this wire" in describe_limits(remote)[0]
    assert "gen and web are of one boot" in describe_vantage("same-kernel lab", ONE)
    assert "remote" not in render_markdown(one, figures=False)
    assert any("gen and web are one machine" in caution for caution in find_cautions(one))
    assert not any("one machine" in caution for caution in find_cautions(remote))


def test_a_machine_that_others_use_and_links_of_two_sizes_are_named(tmp_path: Path) -> None:
    hosts = {"web": make_facts(load_average=3.0), "gen": make_facts(role="load", mtu=9000)}
    cautions = " ".join(find_cautions(run_on(tmp_path, hosts, "remote")))
    assert "web had a load average of 3.0" in cautions
    assert "web 1,500, gen 9,000" in cautions


def test_a_path_is_proved_partly_proved_or_void(tmp_path: Path) -> None:
    slot = make_slot_record(make_run(make_scenario()).planned[0])
    assert slot.path == "proved"
    unread = {Counter.DNAT: "iptables-save: not permitted"}
    partly = slot.model_copy(update={"unread": unread})
    assert partly.path == "partly proved: dnat_connections not read (iptables-save: not permitted)"
    void = SlotRecord(
        slot=slot.slot, gates=(make_gate(passed=False, name="path: dnat connections", limit=2, seen=3),)
    )
    assert void.path == "void"
    cautions = find_cautions(run_on(tmp_path, APART, "remote", unread=unread))
    assert any("partly proved" in caution for caution in cautions)


def test_the_report_has_a_section_about_the_machines_and_the_lab_s_has_none(tmp_path: Path) -> None:
    run = run_on(tmp_path / "a", APART, "remote")
    (tmp_path / "b").mkdir()
    assert tell_hosts(judged(store_run(tmp_path / "b", make_scenario()))) is None
    page = render_markdown(run, figures=False)
    assert "The machines, and how far the path is proved" in page
    assert "proved in 24 slots" in page
    assert ("Speed", "10,000 Mbit/s", "not told") in tabulate_hosts(APART).rows


def test_what_runs_on_several_machines_is_named_with_its_machine_and_the_worst_of_each_counts() -> None:
    quiet = Activity({}, 1.0, 0.0, 2.0, 0.0)
    busy = Activity({"cc (9)": 0.5}, 9.0, 0.25, 2.1, 1.0)
    assert sum_up({"this machine": busy}) is busy
    assert sum_up({"web": quiet, "gen": busy}) == Activity({"cc (9) on gen": 0.5}, 9.0, 0.25, 2.0, 1.0)
