"""Lookups of a name: whom each arm's containers asked, and the lookups that a median does not show."""

from collections.abc import Mapping
from typing import Any

from bench.report.run.selection import arm_names, present_conditions, slots_of
from bench.report.table import Table
from bench.report.text import ABSENT, join_words
from bench.results.run import Run

COLUMNS = (
    "Condition",
    "Arm",
    "/etc/resolv.conf inside",
    "Queries a lookup: answered by the lab's servers, to the dead one",
    "Lookups",
    "Of 1 s or more",
    "Longest, s",
    "Dropped by connection tracking",
)
SAID = (
    (
        "What Docker made of the servers that it was given (--dns), and who was asked: 127.0.0.11 is Docker's"
        " own resolver, which asks the servers for the container. The lab's servers count what reaches them."
    ),
    (
        "A lookup whose question or answer is lost costs the 4 or 5 s of a resolver's patience. A median does"
        " not show it, so they are counted here, those of INVALID slots and of the warm-up included. Where"
        " connection tracking dropped packets, the questions for A and for AAAA, which leave one socket at"
        " once, met each other on their way through NAT (load.family ipv4 asks one alone)."
    ),
)


def tell_names(run: Run) -> Mapping[str, Any] | None:
    """Whom lookups asked, where there were any."""
    if not run.record.scenario.load.is_lookup:
        return None
    rows = tuple(_row(run, condition, arm) for condition in present_conditions(run) for arm in arm_names(run))
    table = Table(caption="Whom the containers asked", columns=COLUMNS, rows=rows, prose=frozenset(COLUMNS))
    return {"said": SAID, "tables": [table]}


def _row(run: Run, condition: int, arm: str) -> tuple[str, ...]:
    told = [
        record.evidence for record in slots_of(run, condition, arm) if "name looked up" in record.evidence
    ]
    label = run.conditions[condition].label or ABSENT

    def total(key: str) -> int:
        return sum(int(evidence[key]) for evidence in told)

    lookups = total("lookups, those of the warm-up included")
    if not lookups:
        return (label, arm, *[ABSENT] * (len(COLUMNS) - 2))
    keys = ("queries that reached the lab's name servers", "packets to the dead name server")
    return (
        label,
        arm,
        join_words(sorted({evidence["/etc/resolv.conf inside"] for evidence in told})),
        ", ".join(f"{total(key) / lookups:.3g}" for key in keys),
        f"{lookups:,}",
        f"{total('lookups of a second or more'):,}",
        max((evidence["longest lookup, s"] for evidence in told), key=float),
        f"{total('packets that connection tracking dropped'):,}",
    )
