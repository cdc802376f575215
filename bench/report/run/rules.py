"""How many rules of the Docker host's firewall a packet looks at, by arm and condition."""

from collections.abc import Mapping
from typing import Any

from bench.report.run.selection import arm_names, present_conditions, slots_of
from bench.report.table import Table
from bench.results.run import Run
from bench.slots.rules import RulesMet

SAID = (
    "Chains of iptables that the packets of an arm walk on its Docker host, rule by rule, as they stood once"
    " its container had answered. The nat table is asked by a connection's first packet alone, and by that as"
    " far as the rule that maps its port; every packet asks the others. A rule costs whoever looks at it,"
    " whether it matches or not, and other containers' rules stand in the same chains."
)
PARTS = ("connection", "request", "response")


def tell_rules(run: Run) -> Mapping[str, Any] | None:
    """The section; None where no slot's rules were walked."""
    table = tabulate_rules(run)
    unknown = {rule for slot in run.record.slots for rule in (slot.rules.unknown if slot.rules else ())}
    said = [
        SAID,
        *(f"Taken not to match, for its match is not known here: {rule}." for rule in sorted(unknown)),
    ]
    return {"said": said, "tables": [table]} if table.rows else None


def tabulate_rules(run: Run) -> Table:
    """A row a condition and arm, of its first valid slot (or its first, where none is)."""
    several = len(run.conditions) > 1
    rows = []
    for condition in present_conditions(run):
        for arm in arm_names(run):
            found = sorted(slots_of(run, condition, arm), key=lambda slot: not slot.valid)
            met = next((slot.rules for slot in found if slot.rules), None)
            if met:
                label = (run.conditions[condition].label,) if several else ()
                rows.append((*label, arm, *(_cell(met, part) for part in PARTS)))
    return Table(
        caption="Rules that a packet looks at",
        columns=(
            *(("Condition",) if several else ()),
            "Arm",
            "A connection's first packet",
            "Every other request packet",
            "Every response packet",
        ),
        rows=tuple(rows),
    )


def _cell(met: RulesMet, part: str) -> str:
    chains: Mapping[str, int] = getattr(met, part)
    listed = "\n".join(f"{chain} {count:,}" for chain, count in chains.items())
    return f"{sum(chains.values()):,}\n{listed}" if chains else "0"
