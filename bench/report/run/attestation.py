"""What was proved of the slots beside their speed: the same surroundings, the declared path, controls."""

from collections.abc import Iterator
from statistics import median

import pandas as pd

from bench.records.run import SlotRecord
from bench.report.run.selection import arm_names
from bench.report.table import Table
from bench.report.text import ABSENT, count, join_words
from bench.results.run import Run
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import CPU_OF, EXACT, UNITS, Counter
from bench.scenario.modes.model import Vantage
from bench.scenario.served import name_served
from bench.slots.gates.gate import Demand, Gate, GateKind

DEMANDS = {
    Demand.ONE_A_CONNECTION: "= 1",
    Demand.TWO_A_CONNECTION: "= 2",
    Demand.TWO_A_REQUEST: "≥ 2",
    Demand.AT_LEAST: "> 0",
    Demand.NOT_ON_PATH: "none",
}
"""What a path gate demands, as it stands in a cell."""


def tabulate_paths(run: Run) -> Table:
    """A row a counter, a column an arm (and vantage, where there are several): the median of its valid
    slots, and below it what the gate demands.
    """
    columns = {
        arm if len(run.vantages) == 1 else f"{arm}, {vantage}": list(_counted(run, arm, vantage))
        for arm in arm_names(run)
        for vantage in run.vantages
    }
    found = {name: records for name, records in columns.items() if records}
    rows = tuple(
        (f"{_name(counter)}\n{_per(counter)}", *(_cell(records, counter) for records in found.values()))
        for counter in UNITS
        if any(counter in record.counters for records in found.values() for record in records)
    )
    return Table(
        caption="Median of the valid slots, and what the mode demands", columns=("Counter", *found), rows=rows
    )


def _name(counter: Counter) -> str:
    return UNITS[counter].replace("ns of", "us of") if counter in CPU_OF else UNITS[counter]


def _per(counter: Counter) -> str:
    return "a connection" if counter in EXACT else "a request"


def _counted(run: Run, arm: str, vantage: Vantage) -> Iterator[SlotRecord]:
    for record in run.record.slots:
        seen_from = run.conditions[record.slot.condition].load.vantage
        counts = record.valid and record.requests and record.counters
        if counts and record.slot.arm == arm and seen_from is vantage:
            yield record


def _cell(records: list[SlotRecord], counter: Counter) -> str:
    shares = [_share(record, counter) for record in records if counter in record.counters]
    if not shares:
        return ABSENT
    demand = next(
        (
            DEMANDS.get(gate.demand, "")
            for gate in records[0].gates
            if gate.demand and gate.name is GateKind.of_counter(counter)
        ),
        "",
    )
    middle = median(shares)
    return f"{middle:.2f}".rstrip("0").rstrip(".") + (f"\n{demand}" if demand else "")


def _share(record: SlotRecord, counter: Counter) -> float:
    """A request's share, of all that were sent: counters saw warm-up and drain too. Or a connection's."""
    turns = record.turns
    if counter in EXACT:
        connections = turns.proof_connections if turns else record.connections_opened
        return record.counters[counter] / max(connections or 1, 1)
    recorded = turns.proof_requests if turns else record.requests_recorded
    requests = record.requests if recorded is None else recorded
    scale = 1e3 if counter in CPU_OF else 1
    return record.counters[counter] / scale / max(requests, 1)


def tabulate_sameness(run: Run) -> tuple[Table, list[tuple[str, list[str]]]]:
    """A row a reason: arms and how many facts; and the facts of each reason by name."""
    explained: pd.DataFrame = run.differences[run.differences["reason"].notna()]
    rows: list[tuple[str, ...]] = []
    facts: list[tuple[str, list[str]]] = []
    for reason, found in explained.groupby("reason", sort=False):
        names = sorted(set(found["fact"]))
        arms = [arm for arm in arm_names(run) if arm in set(found["arm"])]
        rows.append((str(reason), join_words(arms), str(len(names))))
        facts.append((str(reason), names))
    columns = ("Why they differ", "Arms", "Facts")
    return (
        Table(
            caption=f"Differences from {run.record.scenario.baseline} that a mode brings about",
            columns=columns,
            rows=tuple(rows),
            prose=frozenset(columns[:2]),
        ),
        facts,
    )


def describe_sameness(run: Run) -> str:
    """How much was compared, and what came of it."""
    served = name_served(run.record.scenario)
    compared = [len(facts) for facts in run.record.surroundings.values()]
    if not compared:
        return f"What {served} found around it was not recorded."
    different = run.differences
    unexplained = different[different["reason"].isna()]["fact"].nunique()
    explained = different[different["reason"].notna()]["fact"].nunique()
    asked = (
        f"In every slot {max(compared):,} facts were read around {served} (link, offloads, sysctls, limits,"
        " configuration)"
    )
    if not len(different):
        return f"{asked}: they are the same in all arms."
    rest = f"{unexplained} (see the cautions above)" if unexplained else "none"
    return f"{asked}. Differences that a mode brings about: {explained}; that nothing explains: {rest}."


def describe_controls(run: Run) -> list[str]:
    """What each control's slots proved, gate by gate."""
    said = []
    for arm in run.record.scenario.arms:
        if run.record.scenario.network(arm).reachable or arm.name in run.record.unavailable:
            continue
        slots = [record for record in run.record.slots if record.slot.arm == arm.name]
        gates: dict[str, list[Gate]] = {}
        for record in slots:
            for gate in record.gates:
                gates.setdefault(gate.name, []).append(gate)
        proved = [
            f"{name.removeprefix('control: ')} in {sum(gate.passed for gate in of_name)} of {len(of_name)}"
            f" ({of_name[0].unit}: {', '.join(dict.fromkeys(str(gate.seen) for gate in of_name))})"
            for name, of_name in gates.items()
        ]
        said.append(
            f"Control {arm.name} ({MODES[arm.kind].summary}): {count(len(slots), 'slot')}, without load"
            + (f"; {'; '.join(proved)}." if proved else ".")
        )
    return said
