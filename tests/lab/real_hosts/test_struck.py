"""Strikes at a run on real hosts: a few of those of `make chaos-hosts`, on the machines of these tests."""

import json

import pytest

from bench.lab.hosts.waiting import wait_until
from tests.chaos.real_hosts import CASES, GONE_S, kill_worker, strike
from tests.lab.machines import Machines
from tests.lab.real_hosts.conftest import Desk, differences

SHORT = ("controller: kill -9", "agent of load1: killed", "sshd of docker1: killed")


@pytest.mark.parametrize("name", SHORT)
def test_after_a_strike_nothing_is_left_and_a_resumed_run_is_that_of_the_plan(desk: Desk, name: str) -> None:
    [case] = [case for case in CASES if case.name == name]
    found = strike(desk, case, slot=3)
    assert found.faults == []
    assert found.kept >= 3


def test_one_of_two_load_hosts_that_is_lost_in_a_slot_voids_that_slot_and_comes_back(
    desk: Desk, living: Machines
) -> None:
    before = living.look()
    scenario = desk.write_scenario(3, name="shared.toml", load=", connections = 8")
    hosts = desk.write_hosts("docker1", "load1", "load2")
    running = living.start(["bench", "run", scenario, "--hosts", hosts, "--results", f"{desk.home}/lost"])
    assert running.says("slot 2/")
    kill_worker(living["load2"])
    done = running.wait()
    assert done.status in (0, 4), done.stderr
    [folder] = living.path(f"{desk.home}/lost").glob("*/*")
    slots = json.loads((folder / "run.json").read_text())["slots"]
    reasons = [gate["detail"] for slot in slots for gate in slot["gates"] if gate["name"] == "answered"]
    assert len(reasons) <= 1
    assert all("worker 2 of 2" in reason for reason in reasons)
    assert "worker 2 is started again" in done.stderr
    assert all(slot["evidence"]["workers"].startswith("2") for slot in slots if slot["requests"])
    wait_until(lambda: not differences(before, living.look()), GONE_S, step_s=1.0)
    assert differences(before, living.look()) == []
    desk.forget("lost")
