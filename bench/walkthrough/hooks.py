"""Which of the host's netfilter hooks a request meets: counting rules at the head of every chain."""

import json
from collections.abc import Mapping

from bench.core.findings import Source
from bench.core.modes import WIRED_CONTAINER
from bench.edges.host import Host
from bench.walkthrough.ask import Ask, serve
from bench.walkthrough.own_stack import wire
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

CHAINS: Mapping[str, tuple[str, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
REQUESTS = 3
"""Over one connection."""
CONNTRACK = "/proc/net/nf_conntrack"


def _rules(action: str, client: str) -> str:
    """For iptables-restore: rules without a target only count. `request` and `reply` name the direction."""
    lines = []
    for table, chains in CHAINS.items():
        lines.append(f"*{table}")
        for chain in chains:
            for direction, match in (("request", f"-s {client}"), ("reply", f"-d {client}")):
                comment = f"--comment {direction}-{table}"
                lines.append(f"{action} {chain} {match} -p tcp -m comment {comment}")
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def count_hooks(trial: Trial, host: Host, url: str) -> dict[str, dict[str, int]]:
    """{"request": {"mangle INPUT": packets, ...}, "reply": ...} of one connection with REQUESTS requests."""
    client = address(trial.ground.client)
    trial.get(url)
    line = "iptables-restore --noflush"
    trial.undo_later(host, line, text_in=_rules("-D", client))
    trial.on(host, line, text_in=_rules("-I", client))
    trial.get(url, times=REQUESTS, wait_s=0)
    saved = trial.on(host, "sh -c 'iptables-save -c | grep -e --comment'").output
    trial.on(host, f"sh -c 'cat /proc/sys/net/netfilter/nf_conntrack_count; cat {CONNTRACK}'")
    found: dict[str, dict[str, int]] = {"request": {}, "reply": {}}
    for row in saved.splitlines():
        counted, _, rule = row.partition("] ")
        words = rule.split()
        if "--comment" not in words:
            continue
        direction, _, table = words[words.index("--comment") + 1].strip('"').partition("-")
        if direction in found and table in CHAINS:
            found[direction][f"{table} {words[1]}"] = int(counted[1:].split(":")[0])
    return found


def _met(counts: Mapping[str, int]) -> set[str]:
    return {hook for hook, packets in counts.items() if packets}


def _describe(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{hook} {packets}" for hook, packets in counts.items() if packets)


def _docker0_packets(trial: Trial, host: Host) -> int:
    [link] = json.loads(trial.on(host, "ip -j -s link show dev docker0").output)
    return int(link["stats64"]["rx"]["packets"]) + int(link["stats64"]["tx"]["packets"])


def host_mode_meets_input(trial: Trial) -> Outcome:
    """The reader's question."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    found = count_hooks(trial, engine.host, f"http://{address(engine.host)}/index.html")
    request, reply = found["request"], found["reply"]
    return judge(
        {
            "every packet of the request meets PREROUTING and INPUT": min(
                request["raw PREROUTING"], request["mangle INPUT"], request["filter INPUT"]
            )
            >= REQUESTS,
            "every packet of the reply meets OUTPUT and POSTROUTING": min(
                reply["raw OUTPUT"], reply["filter OUTPUT"], reply["mangle POSTROUTING"]
            )
            >= REQUESTS,
            "the nat table is met once a connection": request["nat PREROUTING"] == 1,
            "FORWARD is never met": "filter FORWARD" not in _met(request) | _met(reply),
        },
        f"Yes. Packets of {REQUESTS} requests over one connection: {_describe(request)}; of the reply:"
        f" {_describe(reply)}. No FORWARD, and no port mapping.",
    )


def bridge_meets_forward(trial: Trial) -> Outcome:
    """The published port's path."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "bridge", publish=("81:80",), command=serve("web1")))
    url = f"http://{address(engine.host)}:81/index.html"
    trial.get(url)
    crossed = -_docker0_packets(trial, engine.host)
    found = count_hooks(trial, engine.host, url)
    crossed += _docker0_packets(trial, engine.host)
    mapping = trial.on(engine.host, "iptables -t nat -nvL DOCKER").output
    request, reply = found["request"], found["reply"]
    return judge(
        {
            "every packet of the request meets PREROUTING, FORWARD and POSTROUTING": min(
                request["raw PREROUTING"], request["filter FORWARD"], request["mangle POSTROUTING"]
            )
            >= REQUESTS,
            "every packet of the reply does too": min(
                reply["raw PREROUTING"], reply["filter FORWARD"], reply["mangle POSTROUTING"]
            )
            >= REQUESTS,
            "the port mapping is met once a connection": request["nat PREROUTING"] == 1 and "DNAT" in mapping,
            "INPUT is never met": "filter INPUT" not in _met(request) | _met(reply),
            "the packets cross docker0": crossed >= 2 * REQUESTS,
        },
        f"Packets of {REQUESTS} requests over one connection: {_describe(request)}; of the reply:"
        f" {_describe(reply)}. The mapping is looked up once a connection; every packet is forwarded.",
    )


def wired_meets_forward(trial: Trial) -> Outcome:
    """A path with routing and without translation."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "none", command=serve("web1")))
    wire(trial, web)
    found = count_hooks(trial, engine.host, f"http://{WIRED_CONTAINER}/index.html")
    request, reply = found["request"], found["reply"]
    return judge(
        {
            "every packet is forwarded": min(request["filter FORWARD"], reply["filter FORWARD"]) >= REQUESTS,
            "INPUT is never met": "filter INPUT" not in _met(request) | _met(reply),
        },
        f"Packets of {REQUESTS} requests over one connection: {_describe(request)}; of the reply:"
        f" {_describe(reply)}. The same hooks as a published port, without a mapping to apply.",
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
