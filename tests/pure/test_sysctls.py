"""Settings of a network namespace: as texts, as what goes together, and as why arms differ."""

from typing import Any

import pytest

from bench.measure.settings import find_lab_only, plan_settings
from bench.scenario.conditions import conditions
from bench.scenario.given_sysctls import sysctls_of
from bench.scenario.model import Arm, Interleave, LabSettings, Schedule
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.parsing import parse_scenario
from bench.scenario.real_place import find_load_lacking
from bench.scenario.sysctls import format_sysctls, parse_sysctls
from bench.scenario.toml import scenario_toml
from bench.slots.gates.gate import GateKind
from bench.slots.gates.network import Losses, Room, check_network
from bench.slots.surroundings import ASKED, fact_of, find_differences
from tests.pure.conftest import make_scenario

SOMAXCONN = "net.core.somaxconn"
HOST, BRIDGE = Arm(name="host", mode="host"), Arm(name="bridge", mode="bridge")
SMALL = BRIDGE.model_copy(update={"sysctls": {SOMAXCONN: 128}})
MAPPED = Arm(name="mapped", mode="container:bridge")


def test_a_text_is_names_with_values_of_one_or_more_words() -> None:
    text = "net.core.somaxconn=128  net.ipv4.ip_local_port_range=1024 65535"
    found = parse_sysctls(text)
    assert found == {SOMAXCONN: "128", "net.ipv4.ip_local_port_range": "1024 65535"}
    assert parse_sysctls(format_sysctls(found)) == found
    assert parse_sysctls("") == {}


@pytest.mark.parametrize(
    "text",
    ["kernel.pid_max=1", "net.core=1", "net.core.x", "net.core.x=", "1 net.core.x=1", "net.a.b=1 net.a.b=2"],
)
def test_what_is_no_setting_of_a_network_namespace_is_refused_by_its_word(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME=VALUE|no setting of a network namespace"):
        parse_sysctls(text)


def test_an_arm_has_its_own_settings_and_those_of_all_arms_and_a_guest_those_of_whose_network_it_shares() -> (
    None
):
    lab = LabSettings(sysctls="net.ipv4.tcp_syncookies=0")
    scenario = make_scenario(arms=(HOST, SMALL, MAPPED), lab=lab)
    both = {SOMAXCONN: "128", "net.ipv4.tcp_syncookies": "0"}
    assert [sysctls_of(scenario, arm, lab) for arm in scenario.arms] == [
        {"net.ipv4.tcp_syncookies": "0"},
        both,
        both,
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arms": (HOST.model_copy(update={"sysctls": {SOMAXCONN: 1}}), BRIDGE)}, r"lab\.host_sysctls"),
        ({"arms": (HOST, SMALL, MAPPED.model_copy(update={"sysctls": {SOMAXCONN: 1}}))}, "network of bridge"),
        ({"arms": (HOST, SMALL), "lab": LabSettings(sysctls=f"{SOMAXCONN}=1")}, "give it once"),
        ({"arms": (HOST, SMALL), "factors": {"lab.sysctls": ("", f"{SOMAXCONN}=1")}}, "give it once"),
        ({"lab": LabSettings(sysctls=f"{SOMAXCONN}=1", host_sysctls=f"{SOMAXCONN}=2")}, "give it once"),
        (
            {"lab": LabSettings(sysctls=f"{SOMAXCONN}=1"), "schedule": Schedule(interleave=Interleave())},
            r"while others",
        ),
        (
            {"factors": {"lab.sysctls": ("", "kernel.pid_max=1")}},
            r"factors\.lab\.sysctls: .*'kernel\.pid_max'",
        ),
        ({"factors": {"lab.host_sysctls": ("", 128)}}, r"factors\.lab\.host_sysctls"),
    ],
)
def test_settings_that_do_not_go_together_are_told_with_their_field(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        make_scenario(**changes)


def test_a_scenario_with_settings_is_written_and_read_again() -> None:
    factors = {"lab.sysctls": ("", "net.ipv4.tcp_syncookies=0")}
    scenario = make_scenario(arms=(HOST, SMALL), factors=factors)
    assert parse_scenario(scenario_toml(scenario), "again") == scenario
    assert [found.label for found in conditions(scenario)] == [
        "sysctls=none",
        "sysctls=net.ipv4.tcp_syncookies=0",
    ]


def test_a_person_s_own_machine_keeps_the_settings_of_its_namespace() -> None:
    hosted = LabSettings(host_sysctls=f"{SOMAXCONN}=128")
    assert "its owner's" in find_lab_only([hosted])["lab.host_sysctls"]
    assert any("inside every Docker host" in line for line in plan_settings([hosted, LabSettings()]))
    lab = LabSettings(sysctls=f"{SOMAXCONN}=128")
    assert [name for name, _ in find_load_lacking(make_scenario(lab=lab))] == ["lab.sysctls"]
    none_in_host_mode = make_scenario(
        lab=lab, baseline="bridge", arms=(BRIDGE, Arm(name="user", mode="user-bridge"))
    )
    assert list(find_load_lacking(none_in_host_mode)) == []


def test_what_a_scenario_asks_for_explains_a_difference_and_nothing_else_does() -> None:
    modes = MODES[Mode.HOST], MODES[Mode.BRIDGE]
    before = {SOMAXCONN: "4096", "net.ipv4.conf.<link>.rp_filter": "0", "accept queue": "511"}
    after = {SOMAXCONN: "128", "net.ipv4.conf.<link>.rp_filter": "1", "accept queue": "128"}
    asked = {SOMAXCONN, fact_of("net.ipv4.conf.eth0.rp_filter", "eth0")}
    assert [found.reason for found in find_differences(before, after, modes, asked=asked)] == [ASKED] * 3
    assert [found.reason for found in find_differences(before, after, modes)] == [None] * 3


def test_listen_drops_say_which_namespace_made_the_queue_so_short() -> None:
    room = Room(ports_in_use=0, ports=1, tracked=0, trackable=0)
    gates = check_network(Losses(0, 0, 9, 0, listen_overflows=7), room, "128 connections: as it is")
    [gate] = [gate for gate in gates if not gate.passed]
    assert gate.name is GateKind.LISTEN_DROPS
    assert gate.detail == "7 times the accept queue was full: 128 connections: as it is"
    assert all(not gate.detail for gate in check_network(Losses(0, 0, 0, 0), room)[:4])
    [carried] = [
        gate
        for gate in check_network(Losses(0, 0, 0, 0, carrier_drops=3), room)
        if gate.name is GateKind.LISTEN_DROPS
    ]
    assert carried.detail == "3 by the process on the Docker host that carries the published port"
