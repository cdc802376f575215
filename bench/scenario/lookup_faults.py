"""What of lookups of a name (load.model lookup) does not go together with the other tables."""

from collections.abc import Iterator

from bench.scenario.modes.model import Mode
from bench.scenario.tables import Tables

OF_HTTP = {
    "load": ("engine", "connections", "keep_alive", "think_us", "page_bytes", "vantage", "workers"),
    "lab": ("server_wait_us", "link_mbit", "taps", "client_ports"),
}
"""Settings that lookups of a name do not have."""
WITH_NAMES = (
    *(Mode.HOST, Mode.HOST_IPV6, Mode.BRIDGE, Mode.USER_BRIDGE, Mode.MACVLAN, Mode.IPVLAN),
    *(Mode.CONTAINER, Mode.NONE),
)
"""Modes whose way of a question is known. `native` has no Docker, which would write its /etc/resolv.conf, and
of `proxy` no answer finds the way back to a container whose engine writes no rules."""


def faults_of_lookups(asked: Tables) -> Iterator[str]:
    """What lookups have no use for, and what only they have."""
    names = {"load": ("lookup", "family"), "lab": ("upstreams",)}
    for table, fields in (OF_HTTP if asked.load.is_lookup else names).items():
        usual = type(getattr(asked, table))()
        for field in fields:
            key = f"{table}.{field}"
            if key in asked.factors or getattr(getattr(asked, table), field) != getattr(usual, field):
                yield f"{key}: is {'not ' * asked.load.is_lookup}of load.model lookup"
    if not asked.load.is_lookup:
        return
    if asked.load.wrk_witness_s:
        yield "load.wrk_witness_s: wrk looks no names up"
    if asked.service is not None:
        yield "service: names are looked up by a program of the built-in image"
    if asked.schedule.interleave is not None:
        yield "schedule.interleave: lookups take no turns; leave the table out"
    yield from _faults_of_arms(asked)


def _faults_of_arms(asked: Tables) -> Iterator[str]:
    """Arms in which nothing is looked up, or not by the container's own name."""
    own = "container" in {asked.load.lookup, *asked.factors.get("load.lookup", ())}
    upstreams = {asked.lab.upstreams, *asked.factors.get("lab.upstreams", ())}
    if own and upstreams != {"healthy"}:
        yield "lab.upstreams: a container's own name (load.lookup) is told by Docker, and no upstream asked"
    known = {arm.name for arm in asked.arms}
    for index, arm in enumerate(asked.arms):
        if arm.kind not in WITH_NAMES:
            yield f"arms.{index}.mode: {arm.mode}: names are looked up in {', '.join(WITH_NAMES)}"
        elif own and (arm.target is None or arm.target in known) and not asked.network(arm).network:
            yield f"arms.{index}.mode: {arm.mode}: only a user-defined network knows its containers by name"
