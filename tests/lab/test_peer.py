"""Two Docker hosts for real: overlay networks, loads from containers, and a hairpin without docker-proxy."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.lab.hosts.host import network_of
from bench.lab.hosts.lock import machine_lock
from bench.measure.availability import find_gaps
from bench.measure.lab_testbed import prepare_bed
from bench.measure.testbed import Bed
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.scenario import Scenario
from bench.wire.hops import hop_ns, list_hops
from tests.lab.conftest import wait_until
from tests.lab.testbed.conftest import CAPTURED_LAB, CAPTURED_LOAD, LOAD, measure
from tests.lab.testbed.test_modes import of_the_mode

ARMS = tuple(Arm(name=mode, mode=mode) for mode in ("host", "bridge", "user-bridge", "overlay", "macvlan"))
UNPROXIED = LabSettings(userland_proxy=False)


def load_from(vantage: Vantage, load: Load = LOAD) -> Load:
    return load.model_copy(update={"vantage": vantage})


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """docker1, docker2 whose engine has no docker-proxy, and docker3 and docker4, their peers."""
    scenario = Scenario(
        name="peers",
        question="What does a slot show that is asked from a container?",
        baseline="host",
        arms=ARMS,
        load=load_from(Vantage.PEER, CAPTURED_LOAD),
        lab=CAPTURED_LAB,
        factors={"lab.userland_proxy": (True, False), "lab.taps": (False, True)},
    )
    run_id = files.new_run_id(datetime.now(UTC))
    with machine_lock("tests of peers"), prepare_bed(scenario, run_id, lambda _: None) as prepared:
        yield prepared


@pytest.mark.parametrize("arm", ["host", "bridge", "user-bridge", "overlay"])
def test_a_peer_s_load_takes_the_path_of_the_arm_s_mode_over_the_wire(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, arm, tmp_path, load=load_from(Vantage.PEER))
    assert of_the_mode(record) == []
    assert record.requests > 0
    place = "docker3" if arm == "host" else "a container of docker3"
    assert record.evidence["vantage"] == f"peer, in the network of {place}"


@pytest.mark.parametrize("arm", ["host", "bridge", "user-bridge", "overlay", "macvlan"])
def test_a_load_from_beside_the_server_crosses_no_uplink(arm: str, bed: Bed, tmp_path: Path) -> None:
    record, _ = measure(bed, arm, tmp_path, load=load_from(Vantage.SAME_NETWORK))
    assert of_the_mode(record) == []
    assert record.requests > 0
    assert record.counters[Counter.UPLINK] < record.requests / 10


def test_an_overlay_s_packets_are_counted_as_vxlan_s_and_its_mtu_is_fifty_bytes_smaller(
    bed: Bed, tmp_path: Path
) -> None:
    record, facts = measure(bed, "overlay", tmp_path, load=load_from(Vantage.PEER))
    assert record.counters[Counter.VXLAN] >= 2 * record.requests
    assert facts["link mtu"] == "1450"


def test_an_overlay_declared_as_a_bridge_is_caught(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = replace(MODES[Mode.OVERLAY], path=MODES[Mode.BRIDGE].path)
    monkeypatch.setitem(MODES, Mode.OVERLAY, taken)
    record, _ = measure(bed, "overlay", tmp_path, load=load_from(Vantage.PEER))
    assert {"path: dnat connections", "path: vxlan packets"} <= {gate.name for gate in record.failed_gates}


OVERLAY_TAPS = ["client", "peer", "uplink", "vxlan", "veth", "container"]


def test_every_request_is_found_at_every_tap_through_vxlan_and_its_hops_add_up(
    bed: Bed, tmp_path: Path
) -> None:
    load = load_from(Vantage.PEER, CAPTURED_LOAD)
    record, _ = measure(bed, "overlay", tmp_path, CAPTURED_LAB, load)
    assert record.capture, record.failed_gates
    assert [tap.name for tap in record.capture.taps] == OVERLAY_TAPS
    assert record.capture.matched == record.capture.expected >= 1000

    rows = (
        pq.read_table(tmp_path / record.slot.directory / "hops.parquet").to_pandas().to_records(index=False)
    )
    hops = [hop_ns(rows, hop) for hop in list_hops(OVERLAY_TAPS)]
    assert (np.sum(hops, axis=0) == rows["client_last_ns"] - rows["client_request_ns"]).all()


@pytest.mark.parametrize("vantage", [Vantage.HOST_LOOPBACK, Vantage.HOST_ADDRESS])
def test_without_docker_proxy_both_ways_from_the_docker_host_are_dnat_s(
    vantage: Vantage, bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, "bridge", tmp_path, UNPROXIED, load_from(vantage))
    assert of_the_mode(record) == []
    assert record.counters[Counter.DNAT] > 0
    assert record.counters[Counter.PROXY_CPU] == 0


def test_a_hairpin_where_docker_proxy_is_declared_is_caught(bed: Bed, tmp_path: Path) -> None:
    condition = conditions(bed.scenario)[0]
    assert condition.lab.userland_proxy
    proxied, _ = measure(bed, "bridge", tmp_path, LabSettings(), load_from(Vantage.HOST_LOOPBACK))
    assert of_the_mode(proxied) == []
    assert proxied.counters[Counter.PROXY_CPU] > 0


def test_a_swarm_is_left_and_nothing_of_it_remains(bed: Bed, tmp_path: Path) -> None:
    measure(bed, "overlay", tmp_path, load=load_from(Vantage.PEER))
    for name in ("docker1", "docker3"):
        engine = bed.engines[name]
        assert engine.client.info()["Swarm"]["LocalNodeState"] == "inactive"
        assert {network.name for network in engine.client.networks.list()} == {"bridge", "host", "none"}
        wait_until(
            lambda host=engine.host: "veth" not in host.run(["ip", "-br", "link"]),  # type: ignore[misc]
            "links of the swarm to be gone",
        )
    assert network_of(bed.generator.sender) == network_of(bed.lab.client)


def test_an_overlay_without_a_way_in_is_a_gap_with_the_reason(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the client host no route leads into it."""
    arms = tuple(arm for arm in ARMS if arm.name in {"host", "overlay"})
    factors = {"load.vantage": ("client", "peer")}
    scenario = bed.scenario.model_copy(update={"arms": arms, "factors": factors, "lab": LabSettings()})
    monkeypatch.setattr(bed, "scenario", scenario)
    found = find_gaps(bed)
    assert (found.arms, found.conditions, list(found.cells)) == ({}, {}, [0])
    assert "no right answer came from 198.19.4." in found.cells[0]["overlay"]
