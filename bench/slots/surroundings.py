"""Evidence of sameness: what arms found around them, compared, less what a mode implies.

Arms must differ in nothing but the network. A difference that the mode itself brings about is
explained by a rule here; any other is a warning on the verdict.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bench.scenario.modes.model import NetworkMode

Facts = Mapping[str, str]
"""Facts by name: link, offloads, sysctls of the namespace, limits, configuration."""

SERVING_LINK = "<link>"
"""Stands for the link that serves, in the names of its sysctls."""
ACCEPT_QUEUE, SOMAXCONN = "accept queue", "net.core.somaxconn"
"""Connections for which the server's listening socket has room until they are accepted: the kernel takes
the less of what the server asks for and of its namespace's limit (listen(2))."""
ASKED = "the scenario asks for it"


def _has_own_namespace(network: NetworkMode) -> bool:
    return not network.in_host_network


def _stands_on_the_wire(network: NetworkMode) -> bool:
    return network.network is not None and network.network.driver in ("macvlan", "ipvlan")


def _is_without_docker(network: NetworkMode) -> bool:
    return network.docker is None


def _is_ipv6(network: NetworkMode) -> bool:
    return network.ipv6


def _is_rootless(network: NetworkMode) -> bool:
    return network.rootless is not None


def _is_of_swarm(network: NetworkMode) -> bool:
    return network.is_of_swarm


@dataclass(frozen=True)
class Explanation:
    """Why facts whose whole names match `names`, a regular expression, differ in some modes."""

    names: str
    applies: Callable[[NetworkMode], bool]
    reason: str


EXPLANATIONS = (
    Explanation(
        r"net\.ipv[46]\.(ip_forward|conf\..*\.(forwarding|accept_redirects))",
        _has_own_namespace,
        "Docker turns forwarding on in the host's namespace, not in a container's",
    ),
    Explanation(
        r"net\.ipv6\.conf\..*\.disable_ipv6",
        _has_own_namespace,
        "Docker turns IPv6 off in a namespace whose network has none",
    ),
    Explanation(
        r"net\.ipv4\.(ip_unprivileged_port_start|ping_group_range)",
        _has_own_namespace,
        "Docker lets users of a container's own namespace bind low ports and ping",
    ),
    Explanation(r"link txqlen", _has_own_namespace, "Docker makes the container's link without a queue"),
    Explanation(
        r"link kind|offload .*",
        _stands_on_the_wire,
        "the link is a macvlan or ipvlan, whose offloads follow the link below it",
    ),
    Explanation(
        r"limit .*|process (CapEff|Seccomp|NoNewPrivs|Uid)|process limit, .*|log driver|started as|user"
        r"|variable .*|capabilities (added|dropped)|read-only root|ulimits|tmpfs|mounts|runtime"
        r"|memory limit|shared memory",
        _is_without_docker,
        "without Docker there are no control group, limits, log or system call filter of a container",
    ),
    Explanation(
        r"link mtu|net\.ipv6\.conf\..*\.mtu",
        _is_of_swarm,
        "VXLAN puts 50 bytes around each packet, which the wire's MTU has to hold",
    ),
    Explanation(
        r"limit (cpuset\..*|pids\.max)|process Uid",
        _is_rootless,
        "a rootless engine makes no control groups: its cores are those of its user, who is root inside",
    ),
    Explanation(
        r"net\.ipv4\.ping_group_range",
        _is_rootless,
        "a rootless engine leaves it to the kernel who may ping; root's lets everybody",
    ),
    Explanation(
        r"net\.core\.xfrm_.*|net\.ipv6\.route\..*",
        _is_rootless,
        "the kernel shows them in no network that belongs to a user namespace",
    ),
    Explanation(r"net\.ipv6\..*", _is_ipv6, "IPv6 is the mode's subject"),
)


FACTS_OF_KNOB = {"mtu": r"link mtu", "offloads_off": r"offload .*", "queue": r"link (qdisc|txqlen)"}
"""Knob of `scenario.links.KNOBS` -> the facts, a regular expression, that follow from it."""


@dataclass(frozen=True)
class Difference:
    """One fact that differs between an arm and the baseline."""

    fact: str
    baseline_value: str | None
    value: str | None
    reason: str | None
    """Why the arms' modes bring it about; None where nothing explains it."""


def digest(facts: Facts) -> str:
    """Short name of a set of facts: equal digests are equal surroundings."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:12]


def fact_of(sysctl: str, link: str) -> str:
    """Name of the fact that tells the setting `sysctl`, where the link that serves is called `link`."""
    return ".".join(SERVING_LINK if part == link else part for part in sysctl.split("."))


def find_differences(
    baseline: Facts,
    facts: Facts,
    modes: tuple[NetworkMode, NetworkMode],
    changed: Collection[tuple[str, str]] = (),
    asked: Collection[str] = (),
) -> list[Difference]:
    """Every fact in which two arms of `modes` differ, with what explains it.

    `changed`: links and knobs that the scenario sets (`scenario.links.find_changed`). `asked`: facts that the
    scenario makes so itself.
    """
    made = {*asked, ACCEPT_QUEUE} if SOMAXCONN in asked else asked

    def explain(name: str) -> str | None:
        return ASKED if name in made else _explain(name, modes) or _explain_by_link(name, modes, changed)

    return [
        Difference(name, baseline.get(name), facts.get(name), explain(name))
        for name in sorted(baseline.keys() | facts.keys())
        if baseline.get(name) != facts.get(name)
    ]


def _explain(fact: str, modes: tuple[NetworkMode, NetworkMode]) -> str | None:
    for explanation in EXPLANATIONS:
        # Of one of the two alone: what both modes imply cannot explain a difference between them.
        if re.fullmatch(explanation.names, fact) and len(set(map(explanation.applies, modes))) == 2:
            return explanation.reason
    return None


def _explain_by_link(
    fact: str, modes: tuple[NetworkMode, NetworkMode], changed: Collection[tuple[str, str]]
) -> str | None:
    """Where the scenario sets a link that serves one of the two and not the other."""
    served_by = [
        {"uplink"} if network.in_host_network or _stands_on_the_wire(network) else {"docker0", "veth"}
        for network in modes
    ]
    for link, knob in changed:
        if re.fullmatch(FACTS_OF_KNOB[knob], fact) and (link in served_by[0]) != (link in served_by[1]):
            return f"the scenario sets {link}_{knob}, and {link} is on the way of one of them alone"
    return None
