"""Whether two runs answer the same question, and in what else they differ.

What the plans ask for must be equal, or there is nothing to compare; what the runs found (machine,
kernel, engine, image) may differ, and is then what a change may be due to.
"""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from bench.errors import InputError
from bench.judgement.across_runs.disagreement import ABSENT, Disagreement, list_disagreements
from bench.judgement.across_runs.locustfiles import describe_locustfile
from bench.judgement.across_runs.services import find_faults_of_service
from bench.records.run import RunRecord
from bench.scenario.conditions import Condition, conditions
from bench.scenario.factors import FACTORS
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario
from bench.slots.surroundings import Facts

UNTOUCHED = {"load.wrk_witness_s"}
"""Settings of what follows a slot's window, and so do not change what it measured."""


class Comparability(BaseModel):
    """What two runs have in common and where they differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: tuple[Disagreement, ...]
    """Of the plans: with one of them there is nothing to compare."""
    subjects: tuple[Disagreement, ...]
    """Of the circumstances: each may be why a figure changed."""
    formalities: tuple[Disagreement, ...]
    """Seed, blocks, budget and the like: they change how sure an answer is, not what it is of."""
    arms: tuple[str, ...]
    """Compared arms of both runs, the baseline first."""
    conditions: tuple[tuple[int, int], ...]
    """Indices of each condition that both have, in the first run and in the second."""
    left_out: tuple[str, ...]
    """A sentence for each arm or condition that only one of the runs measured."""


def find_comparability(before: RunRecord, after: RunRecord, across: Sequence[str] = ()) -> Comparability:
    """How `before` and `after` can be compared; `across` names settings whose difference is the subject.

    Raises InputError where `across` names what cannot be compared so.
    """
    plans = before.scenario, after.scenario
    _check_across(plans, across)
    pairs = match_conditions(*plans, across)
    texts = list_disagreements(describe_locustfile(before), describe_locustfile(after))
    arms = [arm.name for arm in plans[0].compared if arm.name in {other.name for other in plans[1].compared}]
    usable = [
        (first, second)
        for first, second in pairs
        if first not in before.unavailable_conditions and second not in after.unavailable_conditions
    ]
    return Comparability(
        faults=(*find_faults_of_service(before, after), *_find_faults(plans, pairs, across), *texts),
        subjects=(
            *(item for item in _compare_settings(plans) if item.field in across),
            *_find_subjects(before, after, arms, usable),
        ),
        formalities=tuple(list_disagreements(_formalities(before), _formalities(after))),
        arms=tuple(
            sorted(
                (name for name in arms if name not in {*before.unavailable, *after.unavailable}),
                key=lambda name: name != plans[0].baseline,
            )
        ),
        conditions=tuple(usable),
        left_out=tuple(_list_left_out((before, after), arms, pairs)),
    )


def require_comparable(before: RunRecord, after: RunRecord, across: Sequence[str] = ()) -> Comparability:
    """`find_comparability`, or InputError that names every field in which the plans differ."""
    doing = f"Comparing the runs {before.id} and {after.id}"
    if before.id == after.id:
        raise InputError(doing, "they are one and the same run", "Give two runs.")
    found = find_comparability(before, after, across)
    if found.faults:
        varied = {*before.scenario.factors, *after.scenario.factors}
        can_be_subjects = all(fault.field in FACTORS - varied for fault in found.faults)
        subjects = " ".join(f"--across {fault.field}" for fault in found.faults)
        raise InputError(
            doing,
            f"their plans differ in {len(found.faults)} field{'s' * (len(found.faults) > 1)}:\n  "
            + "\n  ".join(map(str, found.faults))
            + "\n",
            "A change between them would be a change of plan. Compare runs of one scenario"
            + (f", or say that it is the subject: {subjects}." if can_be_subjects else "."),
        )
    if not found.conditions or not found.arms:
        raise InputError(
            doing,
            "no arm and condition was measured in both: " + "; ".join(found.left_out),
            "Compare runs of one scenario.",
        )
    return found


def match_conditions(before: Scenario, after: Scenario, across: Sequence[str] = ()) -> list[tuple[int, int]]:
    """Conditions whose settings are equal in everything but `across`, whatever the factors are called."""
    places = {_key(condition, across): index for index, condition in enumerate(conditions(after))}
    return [
        (index, places[_key(condition, across)])
        for index, condition in enumerate(conditions(before))
        if _key(condition, across) in places and not condition.lab.taps
    ]


def describe_settings(condition: Condition) -> dict[str, str]:
    """Every setting of load and lab under `condition`, by its dotted field."""
    return {
        f"{table}.{field}": _show(value)
        for table, settings in (("load", condition.load), ("lab", condition.lab))
        for field, value in settings.model_dump(mode="json").items()
        if f"{table}.{field}" not in UNTOUCHED
    }


def _key(condition: Condition, across: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(item for item in describe_settings(condition).items() if item[0] not in across)


def _show(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_across(plans: tuple[Scenario, Scenario], across: Sequence[str]) -> None:
    doing = "Reading the options"
    if "load.engine" in across and any(plan.load.by_locustfile for plan in plans):
        raise InputError(
            doing,
            "--across is load.engine, and one of the runs had the load of a locustfile",
            "That asks for other things at other times: compare it with runs of the same file alone.",
        )
    for field in across:
        if field not in FACTORS:
            raise InputError(
                doing, f"--across is {field}", f"Say one of these: {', '.join(sorted(FACTORS))}."
            )
        if any(field in plan.factors for plan in plans):
            raise InputError(
                doing,
                f"--across is {field}, which takes several levels within one of the runs",
                "That run's own report compares them, paired within blocks.",
            )
        if field not in {item.field for item in _compare_settings(plans)}:
            raise InputError(doing, f"--across is {field}, which is the same in both runs", "Leave it out.")


def _find_faults(
    plans: tuple[Scenario, Scenario], pairs: Sequence[tuple[int, int]], across: Sequence[str]
) -> Iterator[Disagreement]:
    first, second = (_describe_plan(plan) for plan in plans)
    shared = {arm.name for arm in plans[0].arms} & {arm.name for arm in plans[1].arms}
    for item in list_disagreements(first, second):
        if not item.field.startswith("arms.") or item.field.split(".")[1] in shared:
            yield item
    if not pairs:
        yield from (item for item in _compare_settings(plans) if item.field not in across)


def describe_question(plan: Scenario, condition: Condition, candidate: str, metric: Metric) -> dict[str, str]:
    """All that a comparison of `candidate` with the baseline is of: equal in runs whose answers compare."""
    margin = f"margins.{metric}"
    return {
        "baseline": plan.baseline,
        **_describe_arms(plan, (plan.baseline, candidate)),
        margin: _show(plan.margins.of(metric)),
        **describe_settings(condition),
    }


def _describe_plan(plan: Scenario) -> dict[str, str]:
    return {
        "baseline": plan.baseline,
        **_describe_arms(plan, [arm.name for arm in plan.arms]),
        **{f"margins.{field}": _show(value) for field, value in plan.margins.model_dump().items()},
    }


def _describe_arms(plan: Scenario, names: Iterable[str]) -> dict[str, str]:
    return {
        f"arms.{name}.{field}": _show(getattr(plan.arm(name), field))
        for name in names
        for field in ("mode", "port", "address")
    }


def _compare_settings(plans: tuple[Scenario, Scenario]) -> Iterator[Disagreement]:
    """Settings of load and lab whose levels, over all conditions, differ."""
    levels: list[dict[str, str]] = []
    for plan in plans:
        found: dict[str, dict[str, None]] = {}
        for condition in conditions(plan):
            for field, value in describe_settings(condition).items():
                found.setdefault(field, {})[value] = None
        levels.append({field: ", ".join(values) for field, values in found.items()})
    return list_disagreements(*levels)


def _formalities(record: RunRecord) -> dict[str, str]:
    plan = record.scenario
    return {
        "status": record.status.value,
        "seed": str(record.seed),
        "budget": f"{record.budget_s:g} s" if record.budget_s else "none",
        "precision": f"{record.precision:g}" if record.precision else "none",
        "decide": str(record.decide),
        "blocks measured": str(len({slot.slot.block for slot in record.slots})),
        **{f"schedule.{field}": str(value) for field, value in plan.schedule.model_dump().items()},
        "load.wrk_witness_s": str(plan.load.wrk_witness_s),
    }


def _find_subjects(
    before: RunRecord, after: RunRecord, arms: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> Iterator[Disagreement]:
    yield from list_disagreements(describe_circumstances(before), describe_circumstances(after))
    places: dict[Disagreement, list[str]] = {}
    for arm in arms:
        for first, second in pairs:
            found = _surroundings(before, arm, first), _surroundings(after, arm, second)
            for item in list_disagreements(*found) if all(found) else ():
                places.setdefault(item, []).append(arm)
    for item, found_in in places.items():
        named = ", ".join(dict.fromkeys(found_in))
        yield item.model_copy(update={"field": f"{item.field} around {named}"})


def describe_circumstances(record: RunRecord) -> dict[str, str]:
    """What a figure may depend on beside the plan: machine, engines, image, programs, by dotted name."""
    return {
        "scenario": record.scenario.name,
        **{f"machine.{name}": value for name, value in record.machine.stated().items()},
        **{
            f"engine.{host}.{name}": value
            for host, facts in record.engines.items()
            for name, value in facts.stated().items()
        },
        **{f"image.{name}": value for name, value in record.image.stated().items()},
        **{f"companions.{name}.image": image.id or "" for name, image in record.companion_images.items()},
        **{f"host.{name}": value for name, value in record.lab.stated().items()},
        "idle states": record.idle_states or ABSENT,
        **{f"tool.{name}": value for name, value in record.tools.items()},
        "bench": record.bench_version,
    }


def _surroundings(record: RunRecord, arm: str, condition: int) -> Facts:
    """What a server found around it in the first valid slot of an arm; nothing where that is not known."""
    digests: Iterable[str] = (
        slot.surroundings
        for slot in record.slots
        if (slot.slot.arm, slot.slot.condition) == (arm, condition) and slot.valid and slot.surroundings
    )
    return record.surroundings.get(next(iter(digests), ""), {})


def _list_left_out(
    records: tuple[RunRecord, RunRecord], arms: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> Iterator[str]:
    for side, record in enumerate(records):
        place = ("first", "second")[side]
        for arm in record.scenario.compared:
            if arm.name not in arms:
                yield f"arm {arm.name} is in the {place} run alone"
            elif arm.name in record.unavailable:
                yield f"arm {arm.name} is NOT AVAILABLE in the {place} run: {record.unavailable[arm.name]}"
        for index, condition in enumerate(conditions(record.scenario)):
            name = condition.label or "the only condition"
            if index not in {pair[side] for pair in pairs}:
                yield f"condition {name} is in the {place} run alone"
            elif index in record.unavailable_conditions:
                reason = record.unavailable_conditions[index]
                yield f"condition {name} is NOT AVAILABLE in the {place} run: {reason}"
