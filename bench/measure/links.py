"""How the settings of links are made so: of those that live as long as the lab, and of a container's own."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from bench.lab.hosts.host import Host
from bench.lab.hosts.lab import Lab
from bench.lab.hosts.links import (
    find_veth,
    list_links,
    read_offloads,
    set_mtu,
    set_offloads_off,
    set_queue,
    set_too_big_icmp,
)
from bench.scenario.links import KNOBS, LINKS, find_changed
from bench.scenario.model import LabSettings
from bench.scenario.modes.catalogue import UPLINK

BY_KNOB: Mapping[str, Callable[..., None]] = {
    "mtu": set_mtu,
    "offloads_off": set_offloads_off,
    "queue": set_queue,
}
"""By knob of `scenario.links.KNOBS`: sets a level of a host's link."""
DEVICES = {"uplink": UPLINK, "docker0": "docker0"}
"""Links that live as long as their host."""


def arrange_veth(host: Host, pid: int, wanted: LabSettings) -> None:
    """Make the link of the new container of process `pid` as a slot wants it, at both ends; if it has one."""
    changed = {knob: getattr(wanted, f"veth_{knob}") for link, knob in find_changed(wanted) if link == "veth"}
    if changed and (ends := find_veth(host, pid)):
        for knob, level in changed.items():
            BY_KNOB[knob](host, ends[0], level)
            BY_KNOB[knob](host, ends[1], level, pid)


def describe_links(host: Host, wanted: LabSettings) -> dict[str, str]:
    """What those of the host's links really are of which a slot wants anything: link -> in words."""
    changed = {link for link, _ in find_changed(wanted)} & set(DEVICES)
    there = {link["ifname"]: link for link in list_links(host)} if changed else {}
    found = {}
    for name in sorted(changed):
        link = there[DEVICES[name]]
        offloads = ", ".join(
            f"{short} {level}" for short, level in read_offloads(host, DEVICES[name]).items()
        )
        found[name] = f"MTU {link['mtu']}, queue {link['qdisc']}, {offloads}"
    return found


def set_of_link(link: str, knob: str, lab: Lab, level: Any) -> None:
    """Of every Docker host's link of that name."""
    for host in lab.docker.values():
        if host.has(f"{host.sysfs}/class/net/{DEVICES[link]}"):  # No docker0 where no engine could be had.
            BY_KNOB[knob](host, DEVICES[link], level)


def plan_link(link: str, knob: str, levels: Collection[Any]) -> str:
    """What a plan says of a knob's levels."""
    changed = sorted(str(level) for level in levels if level != KNOBS[knob].as_it_is)
    what = f"{link}_{knob} ({LINKS[link]}): {'; '.join(changed)}"
    return f"during some slots, inside every Docker host: {what}" if changed else ""


def tell_too_big(lab: Lab, on: bool) -> None:
    """Of every Docker host."""
    for host in lab.docker.values():
        set_too_big_icmp(host, on)
