"""Whether arms differ in their network alone: what was around their servers, and what these answered."""

from collections.abc import Iterator
from dataclasses import asdict, fields

import pandas as pd

from bench.records.run import RunRecord, SlotRecord
from bench.scenario.conditions import conditions
from bench.scenario.given_sysctls import names_asked
from bench.scenario.links import find_changed
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.served import name_served
from bench.slots.answers import find_differing
from bench.slots.surroundings import Difference, fact_of, find_differences


def tabulate_differences(record: RunRecord) -> pd.DataFrame:
    """What arms found around them otherwise than the baseline: the rows of `Run.differences`."""
    scenario = record.scenario
    found = {
        (slot.slot.condition, slot.slot.arm, slot.surroundings) for slot in record.slots if slot.surroundings
    }
    baselines = {
        condition: record.surroundings[digest]
        for condition, arm, digest in sorted(found)
        if arm == scenario.baseline
    }
    base = scenario.network(scenario.arm(scenario.baseline))
    labs = [condition.lab for condition in conditions(scenario)]
    rows = [
        {"condition": condition, "arm": arm, **asdict(difference)}
        for condition, arm, digest in sorted(found)
        if condition in baselines
        for difference in find_differences(
            baselines[condition],
            record.surroundings[digest],
            (base, scenario.network(scenario.arm(arm))),
            find_changed(labs[condition]),
            {fact_of(name, UPLINK) for name in names_asked(scenario, scenario.arm(arm), labs[condition])},
        )
    ]
    columns = ["condition", "arm", *(field.name for field in fields(Difference))]
    return pd.DataFrame(rows, columns=columns).drop_duplicates(ignore_index=True)


def first_valid_slots(record: RunRecord) -> dict[str, SlotRecord]:
    """The first valid slot of each arm that has one, the baseline's first."""
    found: dict[str, SlotRecord] = {}
    for slot in record.slots:
        if slot.valid:
            found.setdefault(slot.slot.arm, slot)
    return dict(sorted(found.items(), key=lambda item: item[0] != record.scenario.baseline))


def list_warnings(record: RunRecord, differences: pd.DataFrame) -> Iterator[str]:
    """A sentence for each fact that no mode explains, and for each request that arms answer otherwise: either
    may be why they differ."""
    baseline, served = record.scenario.baseline, name_served(record.scenario)
    unexplained = differences[differences["reason"].isna()]
    for fact, rows in unexplained.groupby("fact"):
        yield (
            f"{fact} is not the same around every {served} ({', '.join(sorted(set(rows['arm'])))}:"
            f" {_list_values(rows['value'])}; {baseline}: {_list_values(rows['baseline_value'])}),"
            " and nothing in the modes explains it."
        )
    answers = {arm: slot.answers for arm, slot in first_valid_slots(record).items()}
    yield from (f"{line}." for line in find_differing(answers, baseline))


def _list_values(values: pd.Series) -> str:
    """Each value of a fact once; `absent` for that of a side which lacks it."""
    return ", ".join("absent" if pd.isna(value) else str(value) for value in dict.fromkeys(values))
