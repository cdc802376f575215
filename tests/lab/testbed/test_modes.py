"""Every mode for real: it answers, its path is proved, and an arm that is not what it says is caught."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.lab.hosts.host import read_one
from bench.lab.hosts.lab import Lab
from bench.measure.availability import find_gaps
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, Vantage
from bench.slots.gates.gate import Gate
from bench.slots.surroundings import Facts, find_differences
from tests.lab.conftest import MADE_BY_OTHERS, wait_until
from tests.lab.testbed.conftest import ARMS, LOAD, measure

NEED_NOT_BE_HERE = {"ipvlan", "rootless-pasta"}
"""Modes that a kernel, or Debian 12's RootlessKit, may lack; every other one must be available wherever these
tests run."""


@dataclass(frozen=True)
class Measured:
    """A slot of every arm that can be had, and the hosts before the first of them."""

    slots: dict[str, tuple[SlotRecord, Facts]]
    before: list[str]


def look_at_hosts(bed: Bed) -> list[str]:
    """Links, routes and rules of the client and of the Docker hosts."""
    hosts = [bed.lab.client, *bed.lab.docker.values()]
    commands = (["ip", "-br", "link"], ["ip", "route"], ["iptables", "-S"], ["iptables", "-t", "nat", "-S"])
    return [host.run(argv) for host in hosts for argv in commands]


def look_at_hosts_at_rest(bed: Bed) -> list[str]:
    """The same, when the links of containers that ended a moment ago are gone, and no bridge has any."""

    def is_at_rest() -> bool:
        found[:] = look_at_hosts(bed)
        lines = [line for text in found for line in text.splitlines()]
        bridges = [line for line in lines if "dev docker0" in line]
        return not any("veth" in line for line in lines) and all("linkdown" in line for line in bridges)

    found: list[str] = []
    wait_until(is_at_rest, "hosts without containers")
    return found


@pytest.fixture(scope="module")
def measured(bed: Bed, gaps: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Measured:
    before = look_at_hosts_at_rest(bed)
    arms = [arm.name for arm in ARMS if arm.name not in gaps]
    return Measured({arm: measure(bed, arm, tmp_path_factory.mktemp(arm)) for arm in arms}, before)


def of_the_mode(record: SlotRecord) -> list[Gate]:
    """Failed gates, less those of a machine that has other work."""
    return [gate for gate in record.failed_gates if gate.name not in MADE_BY_OTHERS]


def test_every_mode_is_available_or_the_reason_is_the_kernel_s_own_word(gaps: dict[str, str]) -> None:
    assert set(gaps) <= NEED_NOT_BE_HERE
    assert all(reason for reason in gaps.values())


@pytest.mark.parametrize("arm", [arm.name for arm in ARMS])
def test_an_arm_s_counters_prove_the_path_of_its_mode(
    arm: str, measured: Measured, gaps: dict[str, str]
) -> None:
    if arm in gaps:
        pytest.skip(gaps[arm])
    record, _ = measured.slots[arm]
    assert of_the_mode(record) == []
    if arm != Mode.NONE:
        assert record.requests > 0
        counted = [gate for gate in record.gates if gate.name.startswith("path: ")]
        assert len(counted) == (17 if arm.startswith("rootless") else 12)


def arms_seen_from(vantage: Vantage) -> list[tuple[str, Vantage]]:
    """Arms that the Docker host itself reaches from there."""
    found = []
    for arm in ARMS:
        network = MODES[Mode(arm.target) if arm.target else arm.kind]
        if vantage in network.local_paths:
            found.append((arm.name, vantage))
    return found


LOCAL = (Vantage.HOST_LOOPBACK, Vantage.HOST_ADDRESS, Vantage.SAME_NETWORK)


def seen_from(vantage: Vantage) -> Load:
    return LOAD.model_copy(update={"vantage": vantage})


@pytest.mark.parametrize(("arm", "vantage"), [pair for vantage in LOCAL for pair in arms_seen_from(vantage)])
def test_from_the_docker_host_itself_an_arm_s_counters_prove_the_path_of_that_vantage(
    arm: str, vantage: Vantage, bed: Bed, gaps: dict[str, str], tmp_path: Path
) -> None:
    if arm in gaps:
        pytest.skip(gaps[arm])
    record, _ = measure(bed, arm, tmp_path, load=seen_from(vantage))
    assert of_the_mode(record) == []
    assert record.requests > 0
    inside = vantage.is_in_container and not bed.scenario.network(bed.scenario.arm(arm)).in_host_network
    sender = "a container of docker" if inside else "docker"
    assert record.evidence["vantage"].startswith(f"{vantage}, in the network of {sender}")


@pytest.mark.parametrize(
    ("declared", "taken", "caught"),
    [
        (Vantage.HOST_ADDRESS, Vantage.HOST_LOOPBACK, "path: dnat connections"),
        (Vantage.HOST_LOOPBACK, Vantage.HOST_ADDRESS, "path: proxy cpu ns"),
    ],
)
def test_bridge_seen_from_another_vantage_than_the_declared_one_is_caught(
    declared: Vantage,
    taken: Vantage,
    caught: str,
    bed: Bed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bridge = MODES[Mode.BRIDGE]
    paths = {**bridge.local_paths, taken: bridge.local_paths[declared]}
    monkeypatch.setitem(MODES, Mode.BRIDGE, replace(bridge, local_paths=paths))
    record, _ = measure(bed, "bridge", tmp_path, load=seen_from(taken))
    assert record.requests > 0
    assert caught in [gate.name for gate in record.failed_gates]


def test_an_arm_that_its_own_host_cannot_reach_is_a_gap_under_that_vantage_alone(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = tuple(arm for arm in ARMS if arm.name in {"host", "macvlan"})
    factors = {"load.vantage": ("client", "host-address")}
    monkeypatch.setattr(bed, "scenario", bed.scenario.model_copy(update={"arms": arms, "factors": factors}))
    found = find_gaps(bed)
    assert (found.arms, found.conditions, list(found.cells)) == ({}, {}, [1])
    assert "no right answer came from 198.18.0.50:80 to docker1" in found.cells[1]["macvlan"]
    # Else the host's own complaints of it, over its loopback, would be counted in the first slot.
    assert bed.lab.docker["docker1"].run(["ip", "neigh", "show", "nud", "incomplete"]) == ""


def test_what_a_slot_changes_besides_its_container_is_gone_after_it(bed: Bed, measured: Measured) -> None:
    # The kernel takes a namespace's links away a moment after its last process has ended.
    wait_until(lambda: look_at_hosts(bed) == measured.before, "the hosts as they were before")


@pytest.mark.parametrize(
    ("declared", "started", "caught"),
    [
        (Mode.BRIDGE, Mode.HOST, "path: dnat connections"),
        (Mode.BRIDGE, Mode.WIRED, "path: dnat connections"),
        (Mode.BRIDGE, Mode.PROXY, "path: dnat connections"),
        (Mode.HOST, Mode.BRIDGE, "path: accepted connections"),
        (Mode.HOST, Mode.MACVLAN, "path: accepted connections"),
        (Mode.BRIDGE_ROUTED, Mode.BRIDGE, "path: dnat connections"),
        (Mode.WIRED, Mode.BRIDGE_ROUTED, "path: bridge packets"),
        (Mode.MACVLAN, Mode.HOST, "path: accepted connections"),
        (Mode.PROXY, Mode.BRIDGE, "path: proxy cpu ns"),
        (Mode.ROOTLESS_SLIRP4NETNS, Mode.ROOTLESS_BUILTIN, "path: rootless dnat connections"),
        (Mode.ROOTLESS_BUILTIN, Mode.PROXY, "path: bridge packets"),
    ],
)
def test_an_arm_that_is_not_on_the_path_that_it_declares_is_caught(
    declared: Mode,
    started: Mode,
    caught: str,
    bed: Bed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Started, reached and placed as the one mode, and judged by the path of the other.
    monkeypatch.setitem(MODES, declared, replace(MODES[started], path=MODES[declared].path))
    record, _ = measure(bed, declared, tmp_path)
    assert record.requests > 0
    assert caught in [gate.name for gate in record.failed_gates]
    assert not record.valid


def test_a_container_in_the_wrong_namespace_is_caught(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.deployment.network_inode", lambda *_: 1)
    record, _ = measure(bed, "host", tmp_path)
    assert "namespace" in [gate.name for gate in record.failed_gates]


def test_what_differs_around_apache_is_what_its_mode_implies(bed: Bed, measured: Measured) -> None:
    _, baseline = measured.slots["host"]
    assert {"httpd configuration", "link mtu", "link qdisc", "net.core.somaxconn"} <= baseline.keys()
    for arm in bed.scenario.compared:
        if arm.name not in measured.slots:
            continue
        _, facts = measured.slots[arm.name]
        modes = MODES[Mode.HOST], bed.scenario.network(arm)
        found = find_differences(baseline, facts, modes)
        assert [difference for difference in found if difference.reason is None] == []
        assert bool(found) is (arm.name not in {"host", "host-mapped", "second-address", "host-ipv6"})


def test_another_mtu_inside_one_arm_is_a_difference_that_nothing_explains(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, baseline = measure(bed, "bridge", tmp_path)
    step = replace(
        MODES[Mode.WIRED].steps[0],
        argv=("nsenter", "-t", "{container_pid}", "--net", "ip", "link", "set", "eth0", "mtu", "1400"),
        undo=(),
    )
    changed = replace(MODES[Mode.BRIDGE], steps=(step,))
    monkeypatch.setitem(MODES, Mode.BRIDGE, changed)
    _, facts = measure(bed, "bridge", tmp_path)
    found = find_differences(baseline, facts, (changed, changed))
    assert {(difference.fact, difference.value, difference.reason) for difference in found} == {
        ("link mtu", "1400", None),
        ("net.ipv6.conf.<link>.mtu", "1400", None),
    }


def test_injected_rules_are_met_by_forwarded_packets_alone_and_taken_away_again(
    bed: Bed, tmp_path: Path
) -> None:
    docker1 = bed.lab.docker["docker1"]

    def looked_at() -> list[int]:
        rules = docker1.run(["iptables-save", "-c"]).splitlines()
        return [int(rule[1:].split(":")[0]) for rule in rules if "-A FORWARD -j BENCH-EXTRA" in rule]

    def chain() -> list[str]:
        return [line for line in docker1.run(["iptables", "-S"]).splitlines() if "-A BENCH-EXTRA" in line]

    bed.arrange(LabSettings(forward_rules=50))
    assert len(chain()) == 50
    measure(bed, "host", tmp_path, LabSettings(forward_rules=50))
    assert looked_at() == [0]
    record, _ = measure(bed, "bridge", tmp_path, LabSettings(forward_rules=50))
    assert looked_at() >= [2 * record.requests]
    assert of_the_mode(record) == []
    bed.arrange(LabSettings())
    assert chain() == []
    assert looked_at() == []


def test_an_injected_wait_is_inside_the_server_and_nowhere_without_being_asked_for(
    bed: Bed, tmp_path: Path
) -> None:
    condition = conditions(bed.scenario)[0]
    for wait_us in (0, 30):
        changed = condition.model_copy(update={"lab": LabSettings(server_wait_us=wait_us)})
        for arm in ("native", "bridge"):
            with bed.serve(bed.scenario.arm(arm), changed, f"wait-{arm}") as server:
                host = bed.site(bed.scenario.arm(arm), changed).engine.host
                maps = read_one(host, f"/proc/{server.pid}/maps")
                assert ("busy_wait.so" in maps) is (wait_us > 0)


def test_an_injected_link_rate_is_a_queue_on_the_client_s_link_until_it_is_taken_away(bed: Bed) -> None:
    def queue() -> str:
        assert isinstance(bed.lab, Lab)
        return bed.lab.switch.run_in_network(["tc", "qdisc", "show", "dev", "p-client"])

    bed.arrange(LabSettings(link_mbit=100))
    assert "tbf" in queue()
    assert "rate 100Mbit" in queue()
    bed.arrange(LabSettings())
    assert "tbf" not in queue()
