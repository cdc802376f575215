import string

import pytest

from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES, parse_mode
from bench.scenario.modes.footprint import OF_ROOTLESS, Counter, Expected
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.placement import DOCKER1
from bench.slots.surroundings import digest, find_differences

KNOWN = {"address", "port", "container_address", "container_pid"}


def test_every_mode_has_its_entry() -> None:
    assert set(MODES) == set(Mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_s_commands_use_nothing_but_what_is_known_of_a_started_container(mode: Mode) -> None:
    for step in MODES[mode].steps:
        names = {
            name for word in (*step.argv, *step.undo) for _, name, _, _ in string.Formatter().parse(word)
        }
        assert names - {None} <= KNOWN
        assert step.where in {"docker", "client"}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_reached_in_one_way_only(mode: Mode) -> None:
    network = MODES[mode]
    ways = [network.publishes, network.in_host_network, network.reached_at_container]
    assert sum(ways) == (0 if mode in {Mode.NONE, Mode.CONTAINER} else 1)


@pytest.mark.parametrize(
    ("text", "mode", "target"),
    [("host", Mode.HOST, None), ("container:bridge", Mode.CONTAINER, "bridge"), ("none", Mode.NONE, None)],
)
def test_a_mode_is_written_as_docker_writes_it(text: str, mode: Mode, target: str | None) -> None:
    assert parse_mode(text) == (mode, target)


@pytest.mark.parametrize("text", ["", "brigde", "container", "container:", "host:bridge", "HOST", "host "])
def test_anything_else_is_no_mode_and_the_fault_names_those_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"the modes are host.*container:<arm>|the modes are .*host"):
        parse_mode(text)


FACTS = {
    "net.ipv4.ip_forward": "1",
    "link mtu": "1500",
    "offload tx-vlan-offload": "on",
    "limit pids.max": "max",
}
HOST, BRIDGE, MACVLAN, NATIVE = (MODES[mode] for mode in (Mode.HOST, Mode.BRIDGE, Mode.MACVLAN, Mode.NATIVE))


def unexplained(change: dict[str, str], modes: tuple[object, object]) -> list[str]:
    found = find_differences(FACTS, FACTS | change, modes)  # type: ignore[arg-type]
    return [difference.fact for difference in found if difference.reason is None]


def test_equal_surroundings_have_no_difference_and_one_digest() -> None:
    assert find_differences(FACTS, dict(reversed(FACTS.items())), (HOST, BRIDGE)) == []
    assert digest(FACTS) == digest(dict(reversed(FACTS.items())))
    assert digest(FACTS) != digest(FACTS | {"link mtu": "9000"})


def test_a_difference_that_a_mode_brings_about_is_explained_for_that_mode_alone() -> None:
    assert unexplained({"net.ipv4.ip_forward": "0"}, (HOST, BRIDGE)) == []
    assert unexplained({"net.ipv4.ip_forward": "0"}, (HOST, NATIVE)) == ["net.ipv4.ip_forward"]
    assert unexplained({"net.ipv4.ip_forward": "0"}, (BRIDGE, MACVLAN)) == ["net.ipv4.ip_forward"]
    assert unexplained({"offload tx-vlan-offload": "off"}, (HOST, MACVLAN)) == []
    assert unexplained({"offload tx-vlan-offload": "off"}, (HOST, BRIDGE)) == ["offload tx-vlan-offload"]
    assert unexplained({"limit pids.max": "100"}, (HOST, NATIVE)) == []
    assert unexplained({"limit pids.max": "100"}, (HOST, BRIDGE)) == ["limit pids.max"]


def test_who_may_ping_differs_between_a_rootless_engine_and_root_s_and_between_no_two_of_root_s() -> None:
    ping = "net.ipv4.ping_group_range"
    for mode in (Mode.ROOTLESS_BUILTIN, Mode.ROOTLESS_SLIRP4NETNS):
        assert unexplained({ping: "1 0"}, (BRIDGE, MODES[mode])) == []
    assert unexplained({ping: "1 0"}, (BRIDGE, MACVLAN)) == [ping]


def test_another_mtu_is_explained_by_no_mode() -> None:
    for mode, network in MODES.items():
        explained = mode is Mode.OVERLAY  # VXLAN's headers are that mode's own.
        assert unexplained({"link mtu": "9000"}, (HOST, network)) == ([] if explained else ["link mtu"])


def test_a_fact_that_one_arm_lacks_is_a_difference() -> None:
    [difference] = find_differences(FACTS, FACTS | {"net.core.new": "1"}, (HOST, BRIDGE))
    assert (difference.fact, difference.baseline_value, difference.value) == ("net.core.new", None, "1")


@pytest.mark.parametrize("mode", MODES)
def test_a_path_from_the_docker_host_itself_leaves_the_wire_alone_and_one_from_another_does_not(
    mode: Mode,
) -> None:
    for vantage in Vantage:
        path = MODES[mode].path_from(vantage)
        assert (Counter.UPLINK in path) is (vantage in (Vantage.CLIENT, Vantage.PEER))
        assert Counter.SERVED in path
        assert Counter.FORWARDED not in path or vantage in (Vantage.CLIENT, Vantage.PEER)


def test_a_load_from_beside_the_server_is_opened_by_the_host_itself_in_host_mode_alone() -> None:
    for network in MODES.values():
        path = network.path_from(Vantage.SAME_NETWORK)
        assert (Counter.OPENED in path) is network.in_host_network


def test_without_docker_proxy_loopback_is_the_way_of_the_host_s_address_and_no_other_path_changes() -> None:
    bridge = MODES[Mode.BRIDGE]
    for vantage in Vantage:
        way = Vantage.HOST_ADDRESS if vantage is Vantage.HOST_LOOPBACK else vantage
        assert bridge.path_from(vantage, userland_proxy=False) == bridge.path_from(way)


def test_an_overlay_is_vxlan_s_over_the_wire_and_no_bridge_s_of_the_host() -> None:
    path = MODES[Mode.OVERLAY].path_from(Vantage.PEER)
    assert set(path) == {Counter.VXLAN, Counter.UPLINK, Counter.SERVED}


def test_a_published_port_is_docker_proxy_s_on_loopback_and_dnat_s_at_the_host_s_address() -> None:
    loopback, address = (
        MODES[Mode.BRIDGE].path_from(vantage) for vantage in (Vantage.HOST_LOOPBACK, Vantage.HOST_ADDRESS)
    )
    assert (Counter.PROXY_CPU in loopback, Counter.DNAT in loopback) == (True, False)
    assert (Counter.PROXY_CPU in address, Counter.DNAT in address) == (False, True)
    assert loopback[Counter.OPENED] is Expected.TWICE_A_CONNECTION
    assert Counter.LOOPBACK in loopback
    assert Counter.LOOPBACK not in address


def test_a_rootless_engine_s_port_moves_no_rule_and_no_bridge_of_its_host() -> None:
    for mode in (Mode.ROOTLESS_BUILTIN, Mode.ROOTLESS_SLIRP4NETNS, Mode.ROOTLESS_PASTA):
        path = MODES[mode].path_from(Vantage.CLIENT)
        assert not {Counter.DNAT, Counter.BRIDGE, Counter.VETH, Counter.FORWARDED} & set(path)
        assert path[Counter.ACCEPTED] is Expected.EACH_CONNECTION
        assert Counter.ROOTLESS_BRIDGE in path
        copied, in_user_space = Counter.ROOTLESSKIT_CPU in path, Counter.USER_STACK_CPU in path
        assert copied is not in_user_space
        assert (Counter.TAP in path) is (Counter.ROOTLESS_DNAT in path) is in_user_space


def test_only_the_host_of_a_rootless_engine_has_its_counters() -> None:
    for network in MODES.values():
        for vantage in Vantage:
            assert network.rootless or not set(OF_ROOTLESS) & set(network.path_from(vantage))


ROOTLESS = {
    "net.ipv6.route.mtu_expires": "600",
    "limit cpuset.effective_cpus": "0-1",
    "process Uid": "65520",
    "limit memory.max": "max",
}


def test_what_a_rootless_engine_cannot_do_is_explained_of_it_alone_and_a_limit_of_memory_is_not() -> None:
    rootless = MODES[Mode.ROOTLESS_BUILTIN]
    assert unexplained(ROOTLESS, (HOST, rootless)) == ["limit memory.max"]
    assert sorted(unexplained(ROOTLESS, (HOST, BRIDGE))) == sorted(ROOTLESS)


def test_a_container_with_an_address_of_its_own_has_no_path_on_its_host_s_loopback() -> None:
    for mode, network in MODES.items():
        served_there = network.publishes or network.in_host_network
        assert (Vantage.HOST_LOOPBACK in network.local_paths) is served_there, mode


def test_an_arm_is_served_at_one_address_that_follows_from_the_vantage() -> None:
    arm = Arm(name="one", mode="host", address="198.18.0.200")
    for mode, at in ((Mode.HOST, "198.18.0.200"), (Mode.HOST_IPV6, "2001:2::1:1")):
        loopback = "::1" if MODES[mode].ipv6 else "127.0.0.1"
        served = {vantage: DOCKER1.served_at(arm, MODES[mode], vantage) for vantage in Vantage}
        assert served == {
            Vantage.CLIENT: at,
            Vantage.HOST_ADDRESS: at,
            Vantage.HOST_LOOPBACK: loopback,
            Vantage.SAME_NETWORK: at,
            Vantage.PEER: at,
        }
