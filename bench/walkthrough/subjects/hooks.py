"""Which of the host's netfilter hooks a request meets: counting rules at the head of every chain."""

import json
from collections import Counter
from collections.abc import Mapping

from bench.lab.hosts.host import Host
from bench.records.findings import Source
from bench.scenario.modes.addresses import WIRED_CONTAINER
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.subjects.own_stack import wire
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

PATH: Mapping[str, tuple[str, ...]] = {
    "PREROUTING": ("raw", "mangle", "nat"),
    "INPUT": ("mangle", "filter", "nat"),
    "FORWARD": ("mangle", "filter"),
    "OUTPUT": ("raw", "mangle", "nat", "filter"),
    "POSTROUTING": ("mangle", "nat"),
}
"""Hook -> tables, in the order in which a packet meets them (the nf_tables and legacy order alike)."""
REQUESTS = 3
"""Over one connection."""
CONNTRACK = "/proc/net/nf_conntrack"
Counts = Mapping[tuple[str, str], int]
"""(hook, table) -> packets."""


def _rules(action: str, client: str) -> str:
    """For iptables-restore: rules without a target only count; their comments name direction and table."""
    lines = []
    for table in dict.fromkeys(table for tables in PATH.values() for table in tables):
        lines.append(f"*{table}")
        for hook in [hook for hook, tables in PATH.items() if table in tables]:
            for direction, match in (("request", f"-s {client}"), ("reply", f"-d {client}")):
                comment = f"--comment {direction}-{table}"
                lines.append(f"{action} {hook} {match} -p tcp -m comment {comment}")
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def count_hooks(trial: Trial, host: Host, url: str, local_port: int) -> tuple[Counts, Counts]:
    """Packets at every hook of one connection with REQUESTS requests: of the requests, of the replies.

    The client's `local_port` tells the connection from others that are still tracked.
    """
    client = address(trial.ground.client)
    line = "iptables-restore --noflush"
    trial.undo_later(host, line, text_in=_rules("-D", client))
    trial.on(host, line, text_in=_rules("-I", client))
    urls = " ".join([url] * REQUESTS)
    trial.on(trial.ground.client, f"curl -sS --max-time 2 --local-port {local_port} {urls}")
    saved = trial.on(host, "sh -c 'iptables-save -c | grep -e --comment | grep -v ^.0:'").output
    trial.on(host, f"grep sport={local_port} {CONNTRACK}")
    found: dict[str, Counter[tuple[str, str]]] = {"request": Counter(), "reply": Counter()}
    for row in saved.splitlines():
        counted, _, rule = row.partition("] ")
        words = rule.split()
        comment = words[words.index("--comment") + 1].strip('"') if "--comment" in words else ""
        direction, _, table = comment.partition("-")
        if direction in found and words[1] in PATH:
            found[direction][words[1], table] += int(counted[1:].split(":")[0])
    return found["request"], found["reply"]


def _each(counts: Counts, *hooks: str) -> bool:
    """Whether every packet met every table but nat of these hooks."""
    return all(counts[hook, table] >= REQUESTS for hook in hooks for table in PATH[hook] if table != "nat")


def _none(counts: Counts, *hooks: str) -> bool:
    return not any(counts[hook, table] for hook in hooks for table in PATH[hook])


def _describe(request: Counts, reply: Counts) -> str:
    sent, answered = _list(request), _list(reply)
    return f"Packets of {REQUESTS} requests over one connection: {sent}. Of the replies: {answered}."


def _list(counts: Counts) -> str:
    """`INPUT (mangle 8, filter 8)` of every hook that was met, in the order of a packet's way."""
    met = {
        hook: ", ".join(f"{table} {counts[hook, table]}" for table in tables if counts[hook, table])
        for hook, tables in PATH.items()
    }
    return ", ".join(f"{hook} ({tables})" for hook, tables in met.items() if tables)


def _docker0_packets(trial: Trial, host: Host) -> int:
    [link] = json.loads(trial.on(host, "ip -j -s link show dev docker0").output)
    return int(link["stats64"]["rx"]["packets"]) + int(link["stats64"]["tx"]["packets"])


def host_mode_meets_input(trial: Trial) -> Outcome:
    """The reader's question."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    url = f"http://{address(engine.host)}/index.html"
    trial.get(url)
    request, reply = count_hooks(trial, engine.host, url, 61080)
    return judge(
        {
            "every packet of a request meets PREROUTING and INPUT": _each(request, "PREROUTING", "INPUT"),
            "every packet of a reply meets OUTPUT and POSTROUTING": _each(reply, "OUTPUT", "POSTROUTING"),
            "the nat table is met once a connection": request["PREROUTING", "nat"] == 1,
            "no packet meets FORWARD": _none(request, "FORWARD") and _none(reply, "FORWARD"),
        },
        f"Yes. {_describe(request, reply)} But no FORWARD, and no port mapping.",
    )


def bridge_meets_forward(trial: Trial) -> Outcome:
    """The published port's path."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "bridge", publish=("81:80",), command=serve("web1")))
    inside = str(web.inspect("NetworkSettings.Networks.bridge.IPAddress"))
    url = f"http://{address(engine.host)}:81/index.html"
    trial.get(url)
    crossed = -_docker0_packets(trial, engine.host)
    request, reply = count_hooks(trial, engine.host, url, 61081)
    crossed += _docker0_packets(trial, engine.host)
    rules = trial.on(engine.host, "iptables -t nat -S").output.splitlines()
    both_ways = ("PREROUTING", "FORWARD", "POSTROUTING")
    return judge(
        {
            "every packet of a request meets PREROUTING, FORWARD and POSTROUTING": _each(request, *both_ways),
            "every packet of a reply does too": _each(reply, *both_ways),
            "a port mapping is met once a connection": request["PREROUTING", "nat"] == 1
            and any("DNAT" in rule and f"{inside}:80" in rule for rule in rules),
            "no packet meets INPUT": _none(request, "INPUT") and _none(reply, "INPUT"),
            "the packets cross docker0": crossed >= 2 * REQUESTS,
        },
        f"{_describe(request, reply)} {crossed} packets crossed docker0. The mapping is looked up once a"
        " connection; every packet is forwarded.",
    )


def wired_meets_forward(trial: Trial) -> Outcome:
    """A path with routing and without translation."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "none", command=serve("web1")))
    wire(trial, web)
    url = f"http://{WIRED_CONTAINER}/index.html"
    trial.get(url)
    request, reply = count_hooks(trial, engine.host, url, 61082)
    return judge(
        {
            "every packet is forwarded": _each(request, "FORWARD") and _each(reply, "FORWARD"),
            "no packet meets INPUT": _none(request, "INPUT") and _none(reply, "INPUT"),
        },
        f"{_describe(request, reply)} The same hooks as a published port, without a mapping to apply.",
    )


STATEMENTS = (
    Statement(
        "host-mode-still-passes-iptables",
        Source.COMMENT,
        "A reader objects: host mode still goes through iptables.",
        "Put counting rules at the head of every chain and sent three requests over one connection.",
        host_mode_meets_input,
    ),
    Statement(
        "bridge-mode-passes-docker0-and-the-port-mapping",
        Source.ARTICLE,
        "Requests to a published port traverse docker0 and the port mappings of iptables.",
        "The same counting rules, with a port published in bridge mode.",
        bridge_meets_forward,
    ),
    Statement(
        "a-wired-container-is-routed-to",
        Source.ADDED,
        "A container that is wired by hand is routed to, without a port mapping.",
        "The same counting rules, with a container in mode none wired by a veth pair.",
        wired_meets_forward,
    ),
)
