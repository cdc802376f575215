import pytest

from bench.errors import InputError
from bench.lab.hosts.lab import hosts_of_lab
from bench.scenario.conditions import conditions
from bench.scenario.engine_source import EngineSource
from bench.scenario.load import Load
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.addresses import MAX_DOCKER_HOSTS
from bench.scenario.modes.model import Vantage
from bench.scenario.placement import DOCKER1, docker_host_of, docker_hosts, peer_of

from .conftest import BRIDGE, HOST, make_scenario

PROXY = Arm(name="proxy", mode="proxy")
ENGINES = {"lab.engine": ("machine", "debian:trixie")}


def test_arms_that_ask_for_nothing_share_the_one_host_of_the_machine_s_own_engine() -> None:
    assert docker_hosts(make_scenario()) == (DOCKER1,)


def test_a_mode_that_needs_another_engine_has_a_host_of_its_own() -> None:
    scenario = make_scenario(arms=(HOST, PROXY, BRIDGE))
    hosts = docker_hosts(scenario)
    [condition] = conditions(scenario)

    assert [host.name for host in hosts] == ["docker1", "docker2"]
    assert hosts[1].options == {"iptables": False}
    assert [docker_host_of(scenario, arm, condition).name for arm in scenario.arms] == [
        "docker1",
        "docker2",
        "docker1",
    ]


def test_each_way_to_be_rootless_has_a_host_of_its_own_beside_root_s_engine() -> None:
    builtin, slirp4netns = (
        Arm(name=name, mode=name) for name in ("rootless-builtin", "rootless-slirp4netns")
    )
    scenario = make_scenario(arms=(HOST, builtin, slirp4netns, BRIDGE))
    hosts = docker_hosts(scenario)
    [condition] = conditions(scenario)

    assert [host.rootless and host.rootless.ports for host in hosts] == [None, "builtin", "slirp4netns"]
    assert [docker_host_of(scenario, arm, condition).number for arm in scenario.arms] == [0, 1, 2, 0]
    assert hosts[0] == DOCKER1
    assert "rootless by slirp4netns and builtin ports" in hosts[1].description


def test_every_level_of_the_engine_has_its_hosts_and_no_two_hosts_share_an_address() -> None:
    scenario = make_scenario(arms=(HOST, PROXY), factors=ENGINES)
    hosts = docker_hosts(scenario)

    assert [(str(host.engine), dict(host.options)) for host in hosts] == [
        ("machine", {}),
        ("machine", {"iptables": False}),
        ("debian:trixie", {}),
        ("debian:trixie", {"iptables": False}),
    ]
    addresses = [address for host in hosts for address in (*host.addresses, host.address_ipv6)]
    assert len(set(addresses)) == len(addresses)


def test_a_scenario_s_engine_is_the_one_of_its_hosts() -> None:
    [host] = docker_hosts(make_scenario(lab=LabSettings(engine=EngineSource("bookworm"))))

    assert host.engine == EngineSource("bookworm")
    assert "debian:bookworm" in host.description


def test_an_arm_on_the_second_address_is_served_by_its_host_s_second_address() -> None:
    second = Arm(name="second", mode="host", address="198.18.0.200")
    scenario = make_scenario(arms=(HOST, second, PROXY))
    [first, other] = docker_hosts(scenario)

    assert [first.address(HOST), first.address(second)] == ["198.18.0.100", "198.18.0.200"]
    assert [other.address(HOST), other.address(second)] == ["198.18.0.101", "198.18.0.201"]


def test_more_engines_than_the_lab_has_addresses_for_are_refused() -> None:
    def engines(count: int) -> dict[str, tuple[str, ...]]:
        letters = "abcdefghijklmnopqrstuvwxyz"
        return {"lab.engine": tuple(f"debian:suite{letters[n // 26]}{letters[n % 26]}" for n in range(count))}

    assert len(docker_hosts(make_scenario(factors=engines(MAX_DOCKER_HOSTS)))) == MAX_DOCKER_HOSTS
    with pytest.raises(InputError, match="51 Docker hosts"):
        docker_hosts(make_scenario(factors=engines(MAX_DOCKER_HOSTS + 1)))


def test_a_load_from_peers_has_a_peer_for_each_docker_host_that_is_asked_so() -> None:
    factors = {"load.vantage": ("client", "peer")}
    scenario = make_scenario(arms=(HOST, PROXY, BRIDGE), factors=factors)
    hosts = docker_hosts(scenario)

    assert [(host.name, host.peer_of) for host in hosts] == [
        ("docker1", ""),
        ("docker2", ""),
        ("docker3", "docker1"),
        ("docker4", "docker2"),
    ]
    assert [host.options for host in hosts[2:]] == [host.options for host in hosts[:2]]
    assert peer_of(scenario, hosts[0]) == hosts[2]
    for condition in conditions(scenario):
        assert docker_host_of(scenario, HOST, condition) == hosts[0]


def test_a_peer_s_kernel_works_on_the_client_s_cores() -> None:
    hosts = docker_hosts(make_scenario(load=Load(vantage=Vantage.PEER)))
    plans = {plan.name: plan.cpus for plan in hosts_of_lab("0", "1", hosts, ipv6=False)}

    assert plans == {"client": "0", "docker1": "1", "docker2": "0"}


def test_what_is_asked_of_an_engine_makes_a_docker_host_of_its_own() -> None:
    factors = {"lab.userland_proxy": (True, False), "lab.firewall": ("machine", "legacy")}
    hosts = docker_hosts(make_scenario(lab=LabSettings(docker0_mtu=1400), factors=factors))

    without = {"mtu": 1400, "userland-proxy": False}
    assert [(dict(host.options), host.firewall) for host in hosts] == [
        ({"mtu": 1400}, "machine"),
        ({"mtu": 1400}, "legacy"),
        (without, "machine"),
        (without, "legacy"),
    ]
    assert [host.name for host in hosts] == ["docker1", "docker2", "docker3", "docker4"]
