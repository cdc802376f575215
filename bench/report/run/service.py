"""What was served, where it is a service of the person's own: its container, its requests, and what arms had
in common."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.records.environment import UNKNOWN, ImageFacts
from bench.report.run.selection import arm_names
from bench.report.table import Table
from bench.report.text import ABSENT, count, format_number, join_words, name_condition
from bench.results.by_request import Answered, read_by_request
from bench.results.run import Run
from bench.results.sameness import first_valid_slots
from bench.scenario.served import describe_requests, name_served, share_of_requests
from bench.slots.surroundings import Facts

STARTED = (
    "started as",
    "user",
    "memory limit",
    "shared memory",
    "ulimits",
    "capabilities added",
    "capabilities dropped",
    "read-only root",
    "tmpfs",
    "log driver",
    "runtime",
    "mounts",
)
"""Facts of the container, in the order in which they are told."""
IN_BYTES = frozenset({"memory limit", "shared memory"})
NOTHING = frozenset({"None", "[]", "{}", "0", ""})
"""As Docker says that nothing was asked for."""
OF_LIMITS, OF_VARIABLES = "process limit, ", "variable "
MOST_FACTS = 6
"""Facts that a cell names; all of them stand by name under "The same surroundings"."""
SHOWN = 12
"""Digits of a digest."""
MOST_ROWS = 40


def tell_service(run: Run) -> Mapping[str, Any] | None:
    """The section; None of the built-in service."""
    scenario = run.record.scenario
    if scenario.served.is_built_in:
        return None
    valid = first_valid_slots(run.record)
    facts = run.record.surroundings.get(next((slot.surroundings for slot in valid.values()), ""), {})
    tables = [_tabulate_companions(run), _tabulate_requests(run), tabulate_parity(run)]
    return {
        "said": f"{name_served(scenario)}, in every arm the same, asked for {describe_requests(scenario)}.",
        "image": [
            ("source", run.record.image.source or scenario.served.source),
            ("id", run.record.image.id or UNKNOWN),
            ("architecture", run.record.image.architecture or UNKNOWN),
        ],
        "start": list(_list_start(facts)) or [("started as", "not recorded")],
        "tables": [table for table in tables if table.rows],
    }


def _list_start(facts: Facts) -> Iterator[tuple[str, str]]:
    for name in STARTED:
        if name in facts:
            yield name, _say(name, facts[name])
    limits = {name.removeprefix(OF_LIMITS): facts[name] for name in facts if name.startswith(OF_LIMITS)}
    if limits:
        yield "limits of its process", ", ".join(f"{name} {limits[name]}" for name in sorted(limits))
    variables = sorted(name.removeprefix(OF_VARIABLES) for name in facts if name.startswith(OF_VARIABLES))
    if variables:
        yield "variables, by name", ", ".join(variables)


def _say(name: str, value: str) -> str:
    if value in NOTHING:
        return "none"
    if name in IN_BYTES and value.isdecimal():
        return f"{int(value) / 2**20:,g} MiB"
    return {"False": "no", "True": "yes"}.get(value, value)


def _tabulate_companions(run: Run) -> Table:
    images = run.record.companion_images
    return Table(
        caption="What it needs beside it, in every arm",
        columns=("Companion", "Image", "Id", "Architecture"),
        rows=tuple(
            (
                companion.name,
                companion.source,
                images.get(companion.name, ImageFacts()).id or UNKNOWN,
                images.get(companion.name, ImageFacts()).architecture or UNKNOWN,
            )
            for companion in run.record.scenario.companions
        ),
        prose=frozenset({"Image", "Id", "Architecture"}),
    )


def _tabulate_requests(run: Run) -> Table:
    """What was asked and answered, the answers as the first valid slot has them."""
    scenario = run.record.scenario
    first = next(iter(first_valid_slots(run.record).values()), None)
    answers = first.answers if first else ()
    seen = dict(enumerate(answers))
    where = f" (answers of {first.slot.arm}, seen whole before its load)" if first and answers else ""
    return Table(
        caption=f"Requests{where}",
        columns=("Request", "Share", "Status, expected", "Status", "Bytes", "SHA-256 of the body"),
        rows=tuple(
            (
                request.called,
                share,
                str(request.status),
                *(
                    (str(seen[place].status), f"{seen[place].bytes:,}", seen[place].sha256[:SHOWN])
                    if place in seen
                    else (ABSENT,) * 3
                ),
            )
            for place, (request, share) in enumerate(
                zip(scenario.asked, share_of_requests(scenario), strict=True)
            )
        ),
    )


def tabulate_parity(run: Run) -> Table:
    """How many facts were the same in all arms; which were not, and whether their modes bring that about."""
    names = {name for facts in run.record.surroundings.values() for name in facts}
    found = run.differences
    rows = [("equal in all arms", str(len(names - set(found["fact"]))), ABSENT, ABSENT, ABSENT)]
    for reason, explained in found[found["reason"].notna()].groupby("reason", sort=False):
        facts = sorted(set(explained["fact"]))
        arms = _name_arms(run, explained)
        rows.append(("differ, by the mode", str(len(facts)), _name_some(facts), arms, str(reason)))
    unexplained = found[found["reason"].isna()]
    facts = sorted(set(unexplained["fact"]))
    why = "nothing explains it: see the cautions above" if facts else ABSENT
    rows.append(
        (
            "differ, without a reason",
            str(len(facts)),
            _name_some(facts) or ABSENT,
            _name_arms(run, unexplained) or ABSENT,
            why,
        )
    )
    columns = ("Facts", "Number", "Which", f"Arms that differ from {run.record.scenario.baseline}", "Why")
    return Table(
        caption="Parity: what was found around the service, and how it was started",
        columns=columns,
        rows=tuple(rows) if names else (),
        prose=frozenset(columns[2:]),
    )


def _name_some(facts: list[str]) -> str:
    rest = len(facts) - MOST_FACTS
    return ", ".join(facts[:MOST_FACTS]) + (f" and {rest} more" if rest > 0 else "")


def _name_arms(run: Run, rows: Any) -> str:
    return join_words([arm for arm in arm_names(run) if arm in set(rows["arm"])] or [""])


def tell_requests(run: Run) -> Mapping[str, Any] | None:
    """Latencies by request, where there are several and the slots say which was which."""
    if len(run.record.scenario.asked) < 2 or run.record.scenario.load.is_start:
        return None
    found = read_by_request(run)
    if not found:
        return None
    total = sum(answered.count for answered in found)
    return {
        "said": (
            f"All {total:,} requests of the valid slots' windows that were answered as they should be, by"
            " what was asked for. Comparisons are of all requests together, as they are mixed; of one request"
            " alone these tables describe, and conclude nothing."
        ),
        "tables": [
            _tabulate_answered(run, condition, [row for row in found if row.condition == condition])
            for condition in dict.fromkeys(row.condition for row in found)
        ],
    }


def _tabulate_answered(run: Run, condition: int, found: list[Answered]) -> Table:
    asked = run.record.scenario.asked
    return Table(
        caption=name_condition(run.conditions[condition].label, f"{count(len(asked), 'request')}, by arm"),
        columns=("Request", "Arm", "Answered", "p50, us", "p99, us"),
        rows=tuple(
            (
                asked[row.request].called,
                row.arm,
                f"{row.count:,}",
                format_number(row.p50_us),
                format_number(row.p99_us),
            )
            for row in found
        ),
        prose=frozenset({"Arm"}),
        folded=len(found) > MOST_ROWS,
    )
