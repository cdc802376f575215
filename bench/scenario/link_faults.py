"""What of the settings of links does not go together with a scenario's arms."""

from collections.abc import Iterator

from bench.scenario.links import FIELDS, KNOBS
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.tables import Tables

LEAST_IPV6_MTU = 1_280
"""Bytes (RFC 8200, 5). On a link of fewer Linux takes its IPv6 addresses away."""


def faults_of_links(asked: Tables) -> Iterator[str]:
    """A line for each, beginning with the dotted field."""
    over_ipv6 = [arm.name for arm in asked.arms if MODES[arm.kind].ipv6]
    has_veth = any(arm.kind is Mode.CONTAINER or Counter.VETH in MODES[arm.kind].path for arm in asked.arms)
    for field, (link, knob) in FIELDS.items():
        levels = {getattr(asked.lab, field), *asked.factors.get(f"lab.{field}", ())} - {KNOBS[knob].as_it_is}
        too_small = [level for level in levels if isinstance(level, int) and level < LEAST_IPV6_MTU]
        if knob == "mtu" and over_ipv6 and too_small:
            yield f"lab.{field}: {over_ipv6[0]} is served over IPv6, which needs {LEAST_IPV6_MTU:,} bytes"
        if link == "veth" and levels and not has_veth:
            yield f"lab.{field}: no arm here has such a link, so it would change nothing"
