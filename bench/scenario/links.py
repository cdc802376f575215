"""The links of a lab by name, and what a scenario sets of each: the fields `<link>_<knob>` of `LabSettings`.

A new link or knob is an entry here, and where it is made so in `lab/hosts/links.py`.
"""

import re
from collections.abc import Callable
from itertools import product
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

LINKS = {
    "uplink": "each Docker host's eth0",
    "docker0": "docker0, the bridge of Docker's default network",
    "veth": "both ends of a container's link to its Docker host",
}
"""Each with what it is, for a person."""
OFFLOADS = {
    "gro": ("gro",),
    "gso": ("gso",),
    "tso": ("tso",),
    "checksums": ("rx", "tx"),
}
"""Each with ethtool's short names of the features that it stands for (ethtool(8), -K)."""
LEAST_MTU = 576
"""Bytes that every host must take (RFC 791, 3.1)."""
MOST_MTU = 65_535
"""Of a veth and of a bridge (the kernel's if_ether.h, ETH_MAX_MTU)."""
QUEUE = re.compile(r"[a-z][a-z0-9_]*( [a-z0-9_.]+)*")
"""The kind of a queueing discipline and its options, as tc(8) takes them."""


def parse_offloads(text: str) -> tuple[str, ...]:
    """Words of OFFLOADS, with commas or blanks between them. Raises ValueError at any other."""
    words = tuple(dict.fromkeys(text.replace(",", " ").split()))
    strange = [word for word in words if word not in OFFLOADS]
    if strange:
        raise ValueError(f"{strange[0]} is none of the offloads {', '.join(OFFLOADS)}")
    return words


def parse_queue(text: str) -> tuple[str, ...]:
    """tc's words: `pfifo 100` is a pfifo of at most 100 packets. Raises ValueError at anything else."""
    if text and not QUEUE.fullmatch(text):
        raise ValueError(f"{text!r} is no queueing discipline, such as pfifo 100, tbf rate 1gbit or noqueue")
    kind, *options = text.split() or [""]
    return (kind, *(["limit"] if options and options[0].isdigit() else []), *options) if kind else ()


def parse_mtu(mtu: int) -> int:
    """Bytes; 0: as it is. Raises ValueError where a link cannot have it."""
    if mtu and not LEAST_MTU <= mtu <= MOST_MTU:
        raise ValueError(f"an MTU is {LEAST_MTU} to {MOST_MTU:,} bytes; 0: as it is")
    return mtu


class Knob(NamedTuple):
    """Something that can be set of a link."""

    type: type
    parse: Callable[[Any], object]
    as_it_is: int | str
    """The level at which nothing is set."""
    describes: str

    def describe(self, link: str) -> str:
        """A field's documentation."""
        return f"{self.describes} Of {LINKS[link]}."


def _parsed(parse: Callable[[Any], object]) -> AfterValidator:
    """Refuses what cannot be parsed, and leaves the level the text or number that it is."""

    def check(level: Any) -> Any:
        parse(level)
        return level

    return AfterValidator(check)


KNOBS = {
    "mtu": Knob(int, parse_mtu, 0, "Largest packet in bytes; 0: as it is."),
    "offloads_off": Knob(
        str, parse_offloads, "", f"Words of {', '.join(OFFLOADS)}: what is off; empty: as they are."
    ),
    "queue": Knob(str, parse_queue, "", "Queueing discipline, such as `pfifo 100`; empty: as it is."),
}
ELSEWHERE = {("docker0", "mtu")}
"""`lab.docker0_mtu` is an option of the engine, and a field of its own."""
FIELDS = {
    f"{link}_{knob}": (link, knob) for link, knob in product(LINKS, KNOBS) if (link, knob) not in ELSEWHERE
}
"""Every field, with its link and its knob."""


def find_changed(settings: object) -> tuple[tuple[str, str], ...]:
    """Link and knob of each field of `settings` (LabSettings) that is not as it is by itself."""
    return tuple(
        (link, knob)
        for link, knob in product(LINKS, KNOBS)
        if getattr(settings, f"{link}_{knob}", KNOBS[knob].as_it_is) != KNOBS[knob].as_it_is
    )


def define_fields() -> dict[str, Any]:
    """The fields as `pydantic.create_model` takes them."""
    return {
        name: (
            Annotated[KNOBS[knob].type, _parsed(KNOBS[knob].parse)],
            Field(default=KNOBS[knob].as_it_is, description=KNOBS[knob].describe(link)),
        )
        for name, (link, knob) in FIELDS.items()
    }
