"""Names: which one is looked up, and which upstream servers a container is given to ask for it."""

from collections.abc import Mapping
from typing import NamedTuple

from bench.scenario.conditions import conditions
from bench.scenario.modes.addresses import CLIENT, CLIENT_IPV6, DEAD_UPSTREAM, REFUSING_UPSTREAM
from bench.scenario.scenario import Scenario

LOOKED_UP = "lookup.bench.test"
"""That the lab's server alone knows; RFC 6761 keeps `.test` from anybody's use."""
ANSWER, ANSWER_IPV6 = CLIENT.partition("/")[0], CLIENT_IPV6.partition("/")[0]
"""The addresses of that name: the client's own."""


class Upstreams(NamedTuple):
    """The servers of a container's /etc/resolv.conf, before Docker has its say."""

    servers: tuple[str, ...]
    """As given by `--dns`, in this order."""
    wait_s: float = 0.0
    """At most, that a lookup waits for those of them that never answer: 5 s by glibc's own resolver
    (RES_TIMEOUT), 4 s by Docker's (libnetwork, resolver.go, extIOTimeout)."""

    @property
    def needs_ipv6(self) -> bool:
        """Whether one of them has an address of IPv6."""
        return any(":" in server for server in self.servers)


UPSTREAMS: Mapping[str, Upstreams] = {
    "healthy": Upstreams((ANSWER,)),
    "dead-first": Upstreams((DEAD_UPSTREAM, ANSWER), wait_s=5.0),
    "refused-first": Upstreams((REFUSING_UPSTREAM, ANSWER)),
    "ipv6": Upstreams((ANSWER_IPV6,)),
    "ipv6-first": Upstreams((ANSWER_IPV6, ANSWER)),
}
"""Levels of `lab.upstreams`; refused: a server that answers, and has been told to know nothing."""


def needs_ipv6(scenario: Scenario) -> bool:
    """Whether the lab's hosts need addresses of IPv6: for an arm, or for a name server."""
    levels = {condition.lab.upstreams for condition in conditions(scenario)}
    arms = any(scenario.network(arm).ipv6 for arm in scenario.arms)
    return arms or any(UPSTREAMS[level].needs_ipv6 for level in levels)


def describe_servers(scenario: Scenario) -> list[str]:
    """What a plan says of the lab's name servers; nothing where no names are looked up."""
    if not scenario.load.is_lookup:
        return []
    said = (
        f"inside client: dnsmasq, a name server at {ANSWER} and another at {REFUSING_UPSTREAM}; addresses"
        f" {DEAD_UPSTREAM}/32 and {REFUSING_UPSTREAM}/32 on eth0; a rule that drops what comes for"
        f" {DEAD_UPSTREAM}; all taken back at the end"
    )
    return [said]
