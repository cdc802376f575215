"""Containers beside the measured one: the order of slots, and what their traffic leaves unproved."""

import socket
import subprocess
import sys
import threading
from itertools import groupby
from pathlib import Path

import pytest

from bench.generator import bystander_traffic
from bench.lab.instruments.counters import NetworkCounters
from bench.measure.deployment import leave_out_bystanders
from bench.measure.settings import find_lab_only, plan_settings
from bench.scenario.conditions import conditions
from bench.scenario.model import LabSettings
from bench.scenario.modes.footprint import UNITS, Counter
from bench.scenario.plan import plan_slots, slot_seconds
from bench.slots.gates.network import Losses, Room
from tests.pure.conftest import make_scenario


def test_slots_of_one_condition_follow_one_another_in_an_order_that_each_block_draws_anew() -> None:
    scenario = make_scenario(blocks=12, factors={"lab.bystanders": (0, 16, 47)})
    orders = set()
    for _, block in groupby(plan_slots(scenario, seed=1), lambda slot: slot.block):
        slots = list(block)
        runs = [(condition, list(of)) for condition, of in groupby(slots, lambda slot: slot.condition)]
        assert len(runs) == 3
        assert all(len(of) == 4 for _, of in runs)
        orders.add(tuple(condition for condition, _ in runs))
    assert len(orders) > 1
    arms = {
        tuple(slot.arm for slot in plan_slots(scenario, seed=1) if slot.block == n)[:4] for n in range(12)
    }
    assert len(arms) > 1


def test_a_plan_counts_the_time_of_those_that_have_to_be_started() -> None:
    few, many = (
        slot_seconds(found) for found in conditions(make_scenario(factors={"lab.bystanders": (0, 40)}))
    )
    assert many > few


def test_traffic_without_anybody_to_ask_is_refused_with_its_field() -> None:
    with pytest.raises(ValueError, match=r"lab\.bystander_rps: .*lab\.bystanders"):
        make_scenario(lab=LabSettings(bystander_rps=10))
    assert make_scenario(lab=LabSettings(bystander_rps=10), factors={"lab.bystanders": (0, 4)})


def test_a_plan_tells_of_them_and_a_person_s_own_machine_has_none() -> None:
    busy = LabSettings(bystanders=4, bystander_networks=2, bystander_rps=50)
    lines = " ".join(plan_settings([busy, LabSettings()]))
    assert all(
        said in lines for said in ("up to 4 more", "up to 2 user-defined networks", "50 requests a second")
    )
    assert set(find_lab_only([busy])) == {"lab.bystanders", "lab.bystander_networks", "lab.bystander_rps"}


@pytest.mark.parametrize(
    ("lab", "writes_rules", "left_out"),
    [
        (LabSettings(bystanders=4), True, set()),
        (LabSettings(bystander_rps=50), True, set()),
        (
            LabSettings(bystanders=4, bystander_rps=50),
            True,
            {Counter.FILTER, Counter.FORWARDED, Counter.BRIDGE, Counter.VETH, Counter.UPLINK},
        ),
        (
            LabSettings(bystanders=4, bystander_rps=50),
            False,
            {
                Counter.FILTER,
                Counter.FORWARDED,
                Counter.BRIDGE,
                Counter.VETH,
                Counter.UPLINK,
                Counter.PROXY_CPU,
            },
        ),
    ],
)
def test_what_their_packets_move_proves_nothing_and_what_they_do_not_move_proves_as_before(
    lab: LabSettings, writes_rules: bool, left_out: set[Counter]
) -> None:
    counted = NetworkCounters(dict.fromkeys(UNITS, 1), Losses(0, 0, 0, 0), Room(0, 0, 0, 0), {})
    found = leave_out_bystanders(counted, lab, writes_rules=writes_rules)
    assert found.unread.keys() == left_out
    assert found.path.keys() == counted.path.keys() - left_out


def answer(connection: socket.socket, answers: int) -> None:
    """As many requests, each in pieces; then close."""
    with connection:
        for _ in range(answers):
            if not connection.recv(4_096).startswith(b"GET /1024 "):
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
            connection.sendall(b"Length: 5\r\n\r\nab")
            connection.sendall(b"cde")


def ask(tmp_path: Path, rate: str, seconds: str, answers: int) -> tuple[int, str]:
    """Exit status of the program against a server that answers so many on each of two connections, and what
    it counted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = f"127.0.0.1:{listener.getsockname()[1]}"
        argv = [sys.executable, bystander_traffic.__file__, rate, seconds, f"{tmp_path}/done", at, at]
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as program:
            for _ in range(2):
                taken = listener.accept()[0]
                threading.Thread(target=answer, args=(taken, answers), daemon=True).start()
            status = program.wait(60)
    return status, (tmp_path / "done").read_text()


def test_the_traffic_asks_each_in_turn_and_ends_after_as_many_as_it_may(tmp_path: Path) -> None:
    # One more each, by which it is known that they serve.
    assert ask(tmp_path, "1000", "0.006", answers=4) == (0, "6")


def test_the_traffic_ends_with_an_error_where_one_of_them_does(tmp_path: Path) -> None:
    status, done = ask(tmp_path, "1000", "10", answers=3)
    assert status == 1
    assert done == "4"
