"""The settings of `[lab]`: how each is made so on a living lab, and what a plan says of it.

A new one is a field of `LabSettings` and an entry of the table here. Forward rules, a slow link, few
ports and a waiting server are known costs, put in on purpose: a method that cannot find a cost that is
there, or finds it where it is not, is not to be believed.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.lab.hosts.host import Host, cpu_mask
from bench.lab.hosts.journal import Journal
from bench.lab.hosts.lab import Lab, port_of
from bench.lab.hosts.sysctls import replace_sysctls
from bench.lab.instruments.idle_states import CPU_DMA_LATENCY
from bench.lab.instruments.tcpdump import STAMP_BEFORE_QUEUE, set_stamp_before_queue
from bench.measure.links import DEVICES, plan_link, set_of_link, tell_too_big
from bench.scenario.links import FIELDS, KNOBS
from bench.scenario.model import LabSettings
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.sysctls import parse_sysctls

QUEUE_ROOM = Path("/proc/sys/net/core/netdev_max_backlog")
CHAIN = "BENCH-EXTRA"
UNUSED = "198.19.255.254"
"""No packet comes from there, so every rule is looked at and none matches."""
FIRST_PORT, LAST_PORT = 1024, 65535
"""The client's ephemeral ports: all that are nobody's. One address is enough: the server closes first and
keeps the TIME_WAIT, so a port is free at once; and more addresses would fill a Docker host's table of
tracked connections, which holds each for two minutes after its end and is smaller than a day's tuples.
"""

OTHERS = "what runs beside the measured container there is its owner's"


@dataclass(frozen=True)
class Setting:
    """One field of `LabSettings`."""

    field: str
    plan: Callable[[Collection[Any]], str]
    """Its levels in a run -> the change to the machine, in a line; empty where there is none."""
    apply: Callable[[Lab, Any], None] | None = None
    """Makes a level so, for as long as the lab lives; None where a slot takes care of it by itself."""
    initial: object = None
    """The level that a lab has when it is new; None: it must be set in any case."""
    of_lab: str = ""
    """Why a machine of a person's own is not altered so; empty where nothing is altered for it."""


def arrange(lab: Lab, wanted: LabSettings, now: LabSettings | None) -> None:
    """Make `lab` as a slot wants it; `now`: as it was arranged before, None of a new one."""
    for setting in SETTINGS:
        level = getattr(wanted, setting.field)
        before = getattr(now, setting.field) if now else setting.initial
        if setting.apply and level != before:
            setting.apply(lab, level)


def find_lab_only(conditions: Collection[LabSettings]) -> dict[str, str]:
    """Settings, of a run's conditions, that machines of a person's own are not altered for -> why."""
    usual = LabSettings()
    return {
        f"lab.{setting.field}": setting.of_lab
        for setting in SETTINGS
        if setting.of_lab
        and any(getattr(each, setting.field) != getattr(usual, setting.field) for each in conditions)
    }


def plan_settings(levels: Collection[LabSettings]) -> list[str]:
    """A line for every change to the machine that the settings of a run's conditions make."""
    lines = [setting.plan({getattr(settings, setting.field) for settings in levels}) for setting in SETTINGS]
    return [line for line in lines if line]


def _set_receive_steering(lab: Lab, on: bool) -> None:
    """Let each host's own cores do the receive work of its uplink (RPS), or the sender's core.

    veth delivers a packet on the CPU that sent it. Without steering, the client's core would do
    the Docker host's bridge and DNAT work, which a separate machine would pay for itself.
    """
    for host in (lab.client, *lab.docker.values()):
        set_receive_steering(host, on)


def set_receive_steering(host: Host, on: bool) -> None:
    """Of one host."""
    mask = f"{cpu_mask(host.cpus):x}" if on else "0"
    host.run(["sh", "-c", f"echo {mask} > {host.sysfs}/class/net/{UPLINK}/queues/rx-0/rps_cpus"])


def _set_client_ports(lab: Lab, count: int) -> None:
    """Let the client open connections from `count` ports at a time; 0: from all of them.

    TIME_WAITs that are the client's own (it gave a connection up) are reused after a second
    (tcp_tw_reuse): without timestamps' help they would hold their port for a minute.
    """
    last = FIRST_PORT + count - 1 if count else LAST_PORT
    folder = "/proc/sys/net/ipv4"
    lab.client.run(["sh", "-c", f"echo {FIRST_PORT} {last} > {folder}/ip_local_port_range"])
    lab.client.run(["sh", "-c", f"echo 1 > {folder}/tcp_tw_reuse"])


def _set_forward_rules(lab: Lab, count: int) -> None:
    for host in lab.docker.values():
        set_forward_rules(host, count)


def set_forward_rules(host: Host, count: int) -> None:
    """Let every packet that `host` forwards look at `count` rules more, none of which matches."""
    there = CHAIN in host.run(["iptables", "-w", "-S"])
    if there:
        host.run(["iptables", "-w", "-D", "FORWARD", "-j", CHAIN])
        host.run(["iptables", "-w", "-F", CHAIN])
        host.run(["iptables", "-w", "-X", CHAIN])
    if count:
        rules = "\n".join([f"-A {CHAIN} -s {UNUSED} -j RETURN"] * count)
        path = f"{host.scratch}/extra.rules"
        host.put(path, [f"*filter\n:{CHAIN} - [0:0]\n{rules}\n-I FORWARD -j {CHAIN}\nCOMMIT\n".encode()])
        host.run(["iptables-restore", "-w", "--noflush", path])


def _set_link_rate(lab: Lab, mbit: int) -> None:
    """Let the client's link carry `mbit` Mbit/s towards the client and no more; 0: as fast as it can."""
    queue = ["dev", port_of(lab.client.name), "root"]
    if "tbf" in lab.switch.run(["tc", "qdisc", "show", *queue[:2]]):
        lab.switch.run(["tc", "qdisc", "delete", *queue])
    if mbit:
        rate = ["rate", f"{mbit}mbit", "burst", "128kb", "latency", "50ms"]
        lab.switch.run(["tc", "qdisc", "add", *queue, "tbf", *rate])


def _set_host_sysctls(lab: Lab, text: str) -> None:
    for host in lab.docker.values():
        replace_sysctls(host, parse_sysctls(text))


def _set_stamp_before_queue(_lab: Lab, before: bool | None) -> None:
    if before is not None:
        set_stamp_before_queue(before)


def make_queue_room(packets: int, journal: Journal) -> None:
    """Let so many received packets wait for a core, where fewer may; the journal knows how many may now.

    A real link has a ring of its own before that queue. A lab's hosts have none: what one core sends at once
    to another must fit there, or is lost and sent again 200 ms later.
    """
    if lacks_queue_room(packets):
        journal.write_setting(QUEUE_ROOM)
        QUEUE_ROOM.write_text(str(packets))


def lacks_queue_room(packets: int) -> bool:
    """Whether fewer packets may wait for a core; not where a network of its own hides the setting."""
    return QUEUE_ROOM.exists() and int(QUEUE_ROOM.read_text()) < packets


SETTINGS = (
    Setting(
        "receive_steering",
        lambda _: "inside client and every Docker host: receive steering (RPS) of eth0",
        _set_receive_steering,
        of_lab="it alters how the machine's own link is served",
    ),
    Setting(
        "client_ports",
        lambda levels: (
            "inside client: all ports from 1024 on for outgoing connections, tcp_tw_reuse"
            + (f"; during some slots {min(filter(None, levels))} ports only" if any(levels) else "")
        ),
        _set_client_ports,
        of_lab="it alters which ports the load host's programs get",
    ),
    # These are said with the Docker hosts, on which they decide.
    *(
        Setting(field, lambda _: "", of_lab="the engine is the one that its owner runs")
        for field in ("engine", "userland_proxy", "docker0_mtu", "firewall")
    ),
    Setting(
        "forward_rules",
        lambda levels: (
            f"during some slots, inside every Docker host: up to {max(levels)} rules that match nothing"
            if any(levels)
            else ""
        ),
        _set_forward_rules,
        initial=0,
        of_lab="the machine's firewall is its owner's",
    ),
    *(
        Setting(
            field,
            partial(plan_link, link, knob),
            partial(set_of_link, link, knob)
            if link in DEVICES
            else None,  # A veth is set with its container.
            initial=KNOBS[knob].as_it_is,
            of_lab="the machine's links are its owner's",
        )
        for field, (link, knob) in FIELDS.items()
    ),
    Setting(
        "too_big_icmp",
        lambda levels: (
            "during some slots, inside every Docker host: a rule that drops the ICMP which says that a packet"
            " was too big"
            if False in levels
            else ""
        ),
        tell_too_big,
        initial=True,
        of_lab="the machine's firewall is its owner's",
    ),
    Setting(
        "server_wait_us",
        lambda levels: (
            f"during some slots: the server waits, busy, up to {max(levels)} us before a response"
            if any(levels)
            else ""
        ),
    ),
    Setting(
        "idle_containers",
        lambda levels: (
            f"during some slots: up to {max(levels)} containers more that are asked nothing"
            if any(levels)
            else ""
        ),
    ),
    Setting(
        "upstreams",
        lambda levels: (
            f"each container is given name servers of the lab (--dns): {', '.join(sorted(levels))}"
            if levels != {LabSettings().upstreams}
            else ""
        ),
    ),
    Setting(
        "bystanders",
        lambda levels: (
            f"during some slots, beside the measured container: up to {max(levels)} more, each with a port"
            " of its own that is published"
            if any(levels)
            else ""
        ),
        of_lab=OTHERS,
    ),
    Setting(
        "bystander_networks",
        lambda levels: (
            f"during some slots, inside every Docker host: up to {max(levels)} user-defined networks more"
            if any(levels)
            else ""
        ),
        of_lab=OTHERS,
    ),
    Setting(
        "bystander_rps",
        lambda levels: (
            f"during some slots, on the client's cores: a program that asks these containers, {max(levels):g}"
            " requests a second"
            if any(levels)
            else ""
        ),
        of_lab=OTHERS,
    ),
    Setting(
        "sysctls",
        lambda levels: (
            "during some slots, in the namespace of an arm's server (in host mode: of its Docker host):"
            f" {'; '.join(sorted(filter(None, levels)))}"
            if any(levels)
            else ""
        ),
    ),
    Setting(
        "host_sysctls",
        lambda levels: (
            f"during some slots, inside every Docker host: {'; '.join(sorted(filter(None, levels)))}"
            if any(levels)
            else ""
        ),
        _set_host_sysctls,
        initial="",
        of_lab="the settings of the machine's own network namespace are its owner's",
    ),
    Setting(
        "link_mbit",
        lambda levels: (
            "during some slots, inside switch: a rate limit (tc tbf) on the client's link"
            if any(levels)
            else ""
        ),
        _set_link_rate,
        initial=0,
        of_lab="the lab's switch has the rate limit",
    ),
    Setting(
        "taps",
        lambda levels: (
            "during some slots: a tcpdump at every link of the arm's path, on the client's cores,"
            " into the lab's folders; removed at the end but for its first packets"
            if any(levels)
            else ""
        ),
    ),
    Setting(
        "stamp_before_queue",
        lambda levels: (
            f"set {STAMP_BEFORE_QUEUE}, one for the whole machine: where received packets get"
            " their time; put back at the end"
            if levels != {None}
            else ""
        ),
        _set_stamp_before_queue,
        of_lab="it is a setting of the whole machine",
    ),
    Setting(
        "hold_idle_states",
        lambda levels: (
            f"keep the cores awake during slots: {CPU_DMA_LATENCY} at 0 us or, where nothing heeds it, a loop"
            " on each that gives way to all; ends with the process"
            if any(levels)
            else ""
        ),
    ),
)
"""Every field of `LabSettings`, in the order in which they are made so."""
