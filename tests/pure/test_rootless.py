"""Rootless engines: what is asked of the machine, what is said without it, and which packets are theirs."""

from collections.abc import Mapping
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import EnvironmentLacks, InputError
from bench.lab.hosts.command import CommandFailed
from bench.lab.servers.engine import engine_argv
from bench.lab.servers.rootless import require_rootless
from bench.measure.planned_changes import planned_changes
from bench.scenario.model import Arm
from bench.scenario.modes.addresses import BENCHMARK_RANGES
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, Rootless
from bench.scenario.parsing import parse_scenario

from .conftest import HOST, make_scenario

SLIRP4NETNS, PASTA = Rootless("slirp4netns", "slirp4netns"), Rootless("pasta", "implicit")
OLD = "--net value network driver [host, slirp4netns] --port-driver value [none, builtin, slirp4netns]"
NEW = OLD.replace("slirp4netns]", "slirp4netns, pasta, implicit]")


def make_host(said: Mapping[str, str], *, has_device: bool = True) -> Any:
    """A host whose programs say that; what is not among them is not installed."""

    def run(argv: list[str]) -> str:
        asked = " ".join(argv).removeprefix("sh -c ")
        if asked not in said:
            raise CommandFailed(f"Running {asked}", "exit 127", "Install it.")
        return said[asked]

    return SimpleNamespace(name="docker2", run=run, has=lambda _: has_device)


def install(*programs: str, told: str = OLD, version: str = "1.1.0") -> dict[str, str]:
    found = {f"command -v {program}": f"/usr/bin/{program}" for program in programs}
    return found | {"rootlesskit --help": told, "rootlesskit --version": f"rootlesskit version {version}\n"}


def refusal(host: Any, rootless: Rootless) -> str:
    with pytest.raises(EnvironmentLacks) as caught:
        require_rootless(host, rootless, None)
    return caught.value.seen


def test_what_is_not_installed_is_named_with_its_packages_at_once() -> None:
    seen = refusal(make_host(install("newuidmap")), PASTA)
    assert "rootlesskit and pasta: not found" in seen
    assert "rootlesskit passt" in seen
    assert "uidmap" not in seen


def test_a_rootlesskit_that_does_not_know_a_driver_is_named_with_its_version() -> None:
    everything = ("rootlesskit", "slirp4netns", "pasta", "newuidmap")
    seen = refusal(make_host(install(*everything)), PASTA)
    assert "version 1.1.0 has no driver pasta and none implicit" in seen
    assert "debian:trixie" in seen
    later = make_host(install(*everything, told=NEW, version="2.3.4"))
    assert require_rootless(later, PASTA, None) == "rootlesskit version 2.3.4, pasta"
    require_rootless(make_host(install(*everything)), SLIRP4NETNS, None)


def test_a_kernel_without_tap_devices_is_named() -> None:
    host = make_host(install("rootlesskit", "slirp4netns", "newuidmap"), has_device=False)
    assert "no /dev/net/tun" in refusal(host, SLIRP4NETNS)


@pytest.mark.parametrize("mode", [mode for mode, network in MODES.items() if network.rootless])
def test_every_network_of_a_rootless_engine_lies_in_the_ranges_for_benchmarks(mode: Mode) -> None:
    argv = engine_argv("/host", "group", MODES[mode].rootless)
    given = [argv[argv.index(option) + 1] for option in ("--cidr", "--bip", "--default-address-pool")]
    networks = [ip_network(one.removeprefix("base=").partition(",size")[0], strict=False) for one in given]
    assert all(network.subnet_of(BENCHMARK_RANGES[0]) for network in networks)  # type: ignore[arg-type]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    assert "--cgroup-parent" not in argv


def test_a_plan_names_the_user_and_rootlesskit_and_no_control_group_of_that_host() -> None:
    rootless = Arm(name="rootless", mode="rootless-builtin")
    said = planned_changes(make_scenario(arms=(HOST, rootless)))
    [started] = [line for line in said if "rootlesskit --net slirp4netns --port-driver builtin" in line]
    assert started.startswith("inside docker2: ")
    assert " dockerd --host unix://" in started
    assert any(line.startswith("inside docker2: the user bench-rootless") for line in said)
    assert [line for line in said if line.startswith("control groups")] == [
        "control groups bench-<run>-docker1; removed at the end"
    ]


@pytest.mark.parametrize(("mode", "refused"), [("rootless-builtin", True), ("rootless-slirp4netns", False)])
def test_without_docker_proxy_no_port_is_handed_on_by_rootlesskit(mode: str, *, refused: bool) -> None:
    text = f"""
        name = "rootless"
        question = "Without docker-proxy?"
        baseline = "host"
        arms = [{{name = "host", mode = "host"}}, {{name = "rootless", mode = "{mode}"}}]
        lab = {{userland_proxy = false}}
    """
    if not refused:
        assert parse_scenario(text, "rootless.toml").lab.userland_proxy is False
        return
    with pytest.raises(InputError, match="RootlessKit of rootless has no docker-proxy"):
        parse_scenario(text, "rootless.toml")
