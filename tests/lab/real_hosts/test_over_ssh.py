"""A scenario on machines of a person's own, by nothing but ssh: what is measured, kept, said and left."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.lab.conftest import DONE
from tests.lab.machines import Machines
from tests.lab.real_hosts.conftest import Desk, differences

SHARED = "load.connections = 8\n"


@dataclass(frozen=True)
class Ran:
    """A run by somebody who is not root, and what it left on the hosts."""

    status: int
    messages: str
    folder: Path
    record: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="module")
def ran(persons_desk: Desk, living: Machines) -> Ran:
    before = living.look()
    done = persons_desk.run(persons_desk.write_scenario(), persons_desk.write_hosts("docker1", "load1"))
    left = differences(before, living.look())
    return Ran(done.status, done.stderr, persons_desk.only_run(), persons_desk.record(), left)


def test_who_is_not_root_measures_to_a_verdict_and_leaves_the_hosts_as_they_were(
    ran: Ran, persons_desk: Desk
) -> None:
    assert ran.status in DONE, ran.messages
    assert ran.left == []
    assert ran.record["on_real_hosts"]
    assert set(ran.record["hosts"]) == {"docker1", "load1"}
    assert ran.record["machine"] == ran.record["hosts"]["docker1"]["machine"]
    assert len(ran.record["slots"]) == len(ran.record["planned"])
    run = f"{persons_desk.home}/results/small/{ran.folder.name}"
    assert persons_desk.bench("verify", run, "--deep").status == 0


def test_hosts_of_one_kernel_are_found_out_and_never_called_remote(ran: Ran) -> None:
    assert ran.record["lab"]["vantage"] == "same-kernel lab"
    assert ran.record["hosts"]["load1"]["same_kernel_as"] == "docker1"
    report = (ran.folder / "report.md").read_text()
    assert "load1 and docker1 are one machine" in report
    assert "remote" not in report


def test_every_slot_s_path_is_proved_by_the_docker_host_s_counters(ran: Ran) -> None:
    for slot in ran.record["slots"]:
        failed = [gate["name"] for gate in slot["gates"] if not gate["passed"]]
        assert not [name for name in failed if name.startswith("path")]
        assert slot["counters"]["served_connections"] == slot["connections_opened"]
        assert bool(slot["counters"]["dnat_connections"]) is (slot["slot"]["arm"] == "bridge")


def test_how_a_person_reaches_a_host_is_in_no_file_of_a_run(ran: Ran) -> None:
    told = "".join(
        path.read_text() for path in ran.folder.glob("*.*") if path.suffix in (".json", ".md", ".html")
    )
    assert "ssh docker1" not in told
    assert "[load.load1]" not in told


def test_two_load_hosts_share_a_load_whose_merged_rows_are_the_sum_and_locust_s_count(desk: Desk) -> None:
    desk.forget()
    scenario = desk.write_scenario(2, name="shared.toml", load=", connections = 8")
    desk.run(scenario, desk.write_hosts("docker1", "load1", "load2;workers = 1"))
    folder, record = desk.only_run(), desk.record()
    assert record["slots"]
    for slot in record["slots"]:
        assert slot["evidence"]["workers"].startswith("2")
        assert int(slot["evidence"]["requests by Locust's count"]) == slot["requests_recorded"]
        [rows] = folder.glob(f"slots/{slot['slot']['index']:03d}-*/requests.parquet")
        table = pq.read_table(rows)
        assert table.num_rows == slot["requests_recorded"]
        connections = np.unique(table.column("connection").to_numpy())
        assert connections.tolist() == list(range(8))
    desk.forget()


def test_arms_take_turns_over_ssh_as_they_do_in_the_lab(desk: Desk) -> None:
    desk.forget()
    scenario = desk.write_scenario(3, name="turns.toml", schedule=", interleave = {life_s = 0.2}")
    done = desk.run(scenario, desk.write_hosts("docker1", "load1"))
    assert done.status in DONE, done.stderr
    for slot in desk.record()["slots"]:
        assert slot["turns"]["turns"] > 1
        assert slot["requests"] > 100
    desk.forget()


def test_a_host_is_reached_over_a_jump_and_where_one_session_is_all_that_is_allowed(desk: Desk) -> None:
    desk.forget()
    done = desk.run(desk.write_scenario(2), desk.write_hosts("docker1-via-jump", "load1-via-jump"))
    assert done.status in DONE, done.stderr
    desk.forget()


def test_a_plan_names_every_change_on_every_host_and_what_cannot_be_had_there(desk: Desk) -> None:
    done = desk.bench("plan", "ladder", "--hosts", desk.write_hosts("docker1", "load1"), "--json")
    plan = json.loads(done.stdout)
    assert {"arm native", "arm macvlan", "arm wired"} <= set(plan["unavailable"])
    told = "\n".join(plan["changes"])
    for word in ("docker1", "load1", "bench-agent", "bench.run", "nothing else is altered"):
        assert word in told


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("[lab]\nforward_rules = 100\n", "lab.forward_rules"),
        ("[lab]\nlink_mbit = 100\n", "lab.link_mbit"),
        ('[load]\nvantage = "host-address"\n', "load.vantage"),
    ],
)
def test_a_setting_that_only_the_lab_has_is_refused_before_any_host_is_reached(
    desk: Desk, extra: str, named: str
) -> None:
    text = extra if "[load]" not in extra else ""
    scenario = desk.write_scenario(2, text, "only-lab.toml")
    if not text:
        shown = (
            desk.machines.path(scenario)
            .read_text()
            .replace("measure_s = 0.3", 'measure_s = 0.3, vantage = "host-address"')
        )
        desk.write("only-lab.toml", shown)
    done = desk.run(scenario, desk.write_hosts("nowhere", "nowhere"))
    assert done.status == 3
    assert f"NOT AVAILABLE there: {named}" in done.stderr


def test_clean_takes_away_what_a_dead_run_left_and_its_images_and_nothing_else(
    desk: Desk, living: Machines
) -> None:
    client = living["docker1"].docker
    image = client.images.list(name="bench")[0]
    theirs = client.containers.create(image, name="of-the-person")
    image.tag("bench", "latest")  # A name that a person may give as well.
    left = client.containers.create(image, name="bench-dead-000-host", labels={"bench.run": "dead"})
    network = client.networks.create("bench-user", labels={"bench.run": "dead"})
    try:
        theirs_before = theirs.id
        done = desk.bench("clean", "--hosts", desk.write_hosts("docker1", "load1"))
        assert done.status in (0, 3), done.stderr
        names = {container.name for container in client.containers.list(all=True)}
        assert "of-the-person" in names
        assert left.name not in names
        assert network.name not in {each.name for each in client.networks.list()}
        assert client.containers.get("of-the-person").id == theirs_before
        tags = {tag for each in client.images.list() for tag in each.tags}
        assert "bench:latest" in tags
        assert not [tag for tag in tags if tag.startswith("bench-host:")]
    finally:
        theirs.remove(force=True)
        client.images.remove("bench:latest", force=True)


def test_captures_take_the_docker_host_s_inside_apart(desk: Desk) -> None:
    desk.forget()
    load = ', model = "open", rate_rps = 5000.0, connections = 8'
    taps = '[factors]\n"lab.taps" = [false, true]\n'
    done = desk.run(
        desk.write_scenario(2, taps, "tapped.toml", load=load), desk.write_hosts("docker1", "load1")
    )
    assert done.status in DONE, done.stderr
    captures = {
        slot["slot"]["arm"]: [tap["name"] for tap in slot["capture"]["taps"]]
        for slot in desk.record()["slots"]
        if slot["capture"]
    }
    assert captures == {"host": ["uplink"], "bridge": ["uplink", "bridge", "veth", "container"]}
    desk.forget()
