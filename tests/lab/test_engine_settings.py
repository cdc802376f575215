"""Engines that are set otherwise, each on a Docker host of its own."""

from pathlib import Path

import pytest

from bench.lab.hosts import journal, lab, lock, machine
from bench.lab.hosts.namespaces import HostPlan, namespace_host
from bench.lab.servers import engine, image
from bench.lab.servers.server import serve
from bench.lab.servers.site import Provided, Site
from bench.scenario.engine_source import OWN_ENGINE
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.placement import DOCKER1, DockerHost
from bench.scenario.service import APACHE
from tests.lab.conftest import wait_until
from tests.lab.world import snapshot

BRIDGE = Arm(name="bridge", mode=Mode.BRIDGE)


def has_mapping(saved: str) -> bool:
    return any("-j DNAT" in line and line.startswith("-A DOCKER") for line in saved.splitlines())


@pytest.mark.parametrize(
    "place",
    [
        DockerHost(0, OWN_ENGINE, {}, "nft"),
        DockerHost(0, OWN_ENGINE, {}, "legacy"),
        DockerHost(0, OWN_ENGINE, {"userland-proxy": False, "mtu": 1400}),
    ],
    ids=["nft", "legacy", "no proxy"],
)
def test_an_engine_has_the_proxies_the_firewall_and_the_mtu_that_were_asked_for(place: DockerHost) -> None:
    with lock.machine_lock("test_engine_settings"):
        before = snapshot()
        notes = journal.Journal("test-engine-settings")
        try:
            plans = lab.hosts_of_lab(*machine.divide_cores(), [place], ipv6=False)
            with (
                lab.lab(plans, notes) as found,
                engine.engine(found.docker["docker1"], notes, place) as living,
            ):
                host = found.docker["docker1"]
                image_id = image.provide_image(living.client).id
                site = Site(living, found.client, place, Provided(APACHE, image_id, image_id))
                with serve(site, BRIDGE, MODES[Mode.BRIDGE], "bridge", port=80):
                    saved = {kind: host.run([f"iptables-{kind}-save"]) for kind in ("nft", "legacy")}
                    [link] = host.read(f"{host.sysfs}/class/net/docker0/mtu").values()
                    proxies = host.numbered_here("docker-proxy")
        finally:
            journal.undo(notes.run_id)
        assert snapshot() == before
    if place.firewall != "machine":
        assert {kind for kind, text in saved.items() if has_mapping(text)} == {place.firewall}
    assert any(map(has_mapping, saved.values()))
    assert bool(proxies) is place.options.get("userland-proxy", True)
    assert int(link) == place.options.get("mtu", 1500)


def test_the_stacks_of_a_containerd_that_dockerd_takes_for_stuck_go_with_the_run() -> None:
    with lock.machine_lock("test_engine_settings"):
        before = snapshot()
        notes = journal.Journal("test-engine-settings")
        try:
            with (
                namespace_host(HostPlan("docker1", (), "0"), notes) as host,
                engine.engine(host, notes, DOCKER1),
            ):
                host.run(["sh", "-c", "kill -USR1 $(pidof containerd)"])  # As dockerd does then.
                wait_until(lambda: any(Path(host.scratch).rglob("containerd.*.stacks.log")), "its stacks")
        finally:
            journal.undo(notes.run_id)
        assert snapshot() == before
