"""What of a scenario's tables does not go together, all of it at once."""

from collections.abc import Iterator
from math import prod
from typing import Any

from pydantic import ValidationError

from bench.scenario.engine_source import OWN_ENGINE
from bench.scenario.factors import FACTORS
from bench.scenario.given_sysctls import faults_of_sysctls
from bench.scenario.interleaving import faults_of_interleaving
from bench.scenario.link_faults import faults_of_links
from bench.scenario.load import RAW_ENGINES
from bench.scenario.load_faults import faults_of_load
from bench.scenario.lookup_faults import faults_of_lookups
from bench.scenario.messages import describe_fault, suggest_factor
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.service_faults import faults_of_service
from bench.scenario.starting import faults_of_starting
from bench.scenario.tables import Tables
from bench.spelling import suggest

MAX_ARMS = 50
MAX_CONDITIONS = 100
"""More combinations than this cannot be measured in a day, with any useful number of blocks."""
MAX_SLOTS = 100_000
"""A day and a night of slots of a second each; a plan holds them all, and a run every one's record."""


def find_contradictions(asked: Tables) -> list[str]:
    """A line for each, beginning with the dotted field."""
    return [fault for find in FAULTS for fault in find(asked)]


def count_slots(asked: Tables) -> int:
    """Slots of one block: every arm under every combination of levels, as often as it is repeated."""
    levels = prod(len(levels) for levels in asked.factors.values())
    return levels * sum(asked.repeats(arm) for arm in asked.arms)


def _faults_of_names(asked: Tables) -> Iterator[str]:
    names = [arm.name for arm in asked.arms]
    if not 2 <= len(names) <= MAX_ARMS:
        yield f"arms: give 2 to {MAX_ARMS} arms, not {len(names)}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"arms: the name {name} is used twice"
    if asked.baseline not in names:
        near = suggest(asked.baseline, names)
        yield f"baseline: there is no arm {asked.baseline} (the arms are {', '.join(names)}){near}"


def _faults_of_networks(asked: Tables) -> Iterator[str]:
    arms = {arm.name: arm for arm in asked.arms}
    bound: dict[tuple[str, int], str] = {}
    for index, arm in enumerate(asked.arms):
        place = f"arms.{index}.mode"
        if arm.target and arm.target not in arms:
            yield f"{place}: there is no arm {arm.target} whose network {arm.name} could share"
        elif arm.target and (arms[arm.target].target or arms[arm.target].kind is Mode.NATIVE):
            yield f"{place}: {arm.target} has no container of its own, whose network could be shared"
        elif arm.kind is Mode.HOST:
            if asked.is_fixed(arm):
                continue  # They are never alive together but where they take turns.
            other = bound.setdefault((arm.address, arm.port), arm.name)
            if other != arm.name:
                yield (
                    f"arms.{index}.port: {other} and {arm.name} would both bind"
                    f" {arm.address}:{arm.port} in host mode; give one another port or address"
                )
    if asked.is_control(asked.baseline):
        yield f"baseline: {asked.baseline} is a control that nothing can reach"


def _faults_of_ladder(asked: Tables) -> Iterator[str]:
    names = [arm.name for arm in asked.arms]
    for name in asked.ladder:
        if name not in names:
            yield f"ladder: there is no arm {name}{suggest(name, names)}"
        elif asked.is_control(name):
            yield f"ladder: {name} is a control that nothing can reach"
    if len(asked.ladder) == 1 or len(set(asked.ladder)) < len(asked.ladder):
        yield "ladder: give two or more different arms, from the lightest path to the heaviest"


def _faults_of_claims(asked: Tables) -> Iterator[str]:
    names = [arm.name for arm in asked.arms]
    for index, claim in enumerate(asked.claims):
        for role in ("better", "than"):
            if getattr(claim, role) not in names:
                name = getattr(claim, role)
                yield f"claims.{index}.{role}: there is no arm {name}{suggest(name, names)}"
            elif asked.is_control(getattr(claim, role)):
                yield f"claims.{index}.{role}: {getattr(claim, role)} is a control that nothing can reach"
        if not set(claim.metrics) & set(asked.metrics):
            yield (
                f"claims.{index}.metrics: none of them is compared here, but {', '.join(asked.metrics)}:"
                " throughput is the given rate in an open loop; cpu_us_per_request needs load.model open and"
                " load.pacing sleep; of load.model start are times of starting, and memory"
            )
        if asked.baseline not in {claim.better, claim.than} or claim.better == claim.than:
            yield f"claims.{index}: compare the baseline ({asked.baseline}) with another arm"


def _faults_of_factors(asked: Tables) -> Iterator[str]:
    for key, levels in asked.factors.items():
        if key not in FACTORS:
            known = ", ".join(sorted(FACTORS))
            yield f"factors: {key} is not a factor (they are {known}){suggest_factor(key)}"
        elif len(levels) < 2 or any(levels.count(level) > 1 for level in levels):
            yield f"factors.{key}: give two or more different levels"
        else:
            yield from _faults_of_levels(asked, key, levels)
    if prod(len(levels) for levels in asked.factors.values()) > MAX_CONDITIONS:
        yield f"factors: more than {MAX_CONDITIONS} combinations of levels"
    engines = {asked.load.engine, *asked.factors.get("load.engine", ())}
    if asked.load.wrk_witness_s and not engines <= RAW_ENGINES:
        yield "load.wrk_witness_s: the witness stands beside the raw engine only"


def _faults_of_vantage(asked: Tables) -> Iterator[str]:
    vantages = (asked.load.vantage, *asked.factors.get("load.vantage", ()))
    taps = (asked.lab.taps, *asked.factors.get("lab.taps", ()))
    if any(taps) and not all(Vantage(vantage).is_on_wire for vantage in vantages):
        yield "load.vantage: taps stand on a path over the wire (client, peer)"


def _faults_of_capacity(asked: Tables) -> Iterator[str]:
    if asked.capacity is None:
        return
    if not asked.load.is_open or asked.load.rate_rps is not None:
        yield 'capacity: needs load.model = "open" without load.rate_rps, which is what it looks for'
    if asked.factors:
        yield "capacity: has no factors; its workloads are capacity.keep_alive"


def _faults_of_taps(asked: Tables) -> Iterator[str]:
    levels = asked.factors.get("lab.taps", (asked.lab.taps,))
    taps = True in levels
    stamps = {asked.lab.stamp_before_queue, *asked.factors.get("lab.stamp_before_queue", ())}
    if stamps != {None} and not taps:
        yield "lab.stamp_before_queue: is of taps, and lab.taps is off"
    if taps and not asked.load.is_open and not asked.load.by_locustfile:
        yield (
            "lab.taps: needs load.model open at a low rate: its requests carry a number by which captures"
            " find them, and a closed loop has more packets than can be captured beside it"
        )
    if taps and {asked.load.keep_alive, *asked.factors.get("load.keep_alive", ())} != {True}:
        yield "lab.taps: follow requests on kept-alive connections only"
    if taps and False not in levels:
        yield (
            "lab.taps: under taps nothing is compared, and this scenario has them throughout; give"
            ' the factor "lab.taps" = [false, true]'
        )


def _faults_of_engine(asked: Tables) -> Iterator[str]:
    """What an engine cannot be set to."""
    proxies = {asked.lab.userland_proxy, *asked.factors.get("lab.userland_proxy", ())}
    by_proxy = [arm.name for arm in asked.arms if arm.kind is Mode.PROXY]
    if False in proxies and by_proxy:
        yield f"lab.userland_proxy: off, nothing carries the port of {by_proxy[0]}, which has no rules"
    copied = [arm.name for arm in asked.arms if arm.kind is Mode.ROOTLESS_BUILTIN]
    if False in proxies and copied:
        yield f"lab.userland_proxy: off, RootlessKit of {copied[0]} has no docker-proxy to hand on to"
    engines = {asked.lab.engine, *asked.factors.get("lab.engine", ())} - {OWN_ENGINE, str(OWN_ENGINE)}
    if engines and {asked.lab.firewall, *asked.factors.get("lab.firewall", ())} != {"machine"}:
        yield "lab.firewall: is chosen for the machine's own engine; that of a suite has its suite's"


def _faults_of_bystanders(asked: Tables) -> Iterator[str]:
    rates = (asked.lab.bystander_rps, *asked.factors.get("lab.bystander_rps", ()))
    numbers = (asked.lab.bystanders, *asked.factors.get("lab.bystanders", ()))
    if any(rates) and not any(numbers):
        yield "lab.bystander_rps: there is nobody to be asked: give lab.bystanders"


def _faults_of_levels(asked: Tables, key: str, levels: tuple[Any, ...]) -> Iterator[str]:
    table, field = key.split(".")
    setting = getattr(asked, table)
    for level in levels:
        try:
            type(setting).model_validate({**setting.model_dump(), field: level})
        except ValidationError as fault:
            yield f"factors.{key}: {describe_fault(fault.errors(include_url=False)[0], type(setting))}"


def _faults_of_size(asked: Tables) -> Iterator[str]:
    slots = count_slots(asked) * asked.schedule.blocks
    if slots > MAX_SLOTS:
        yield (
            f"schedule: {asked.schedule.blocks:,} blocks of {count_slots(asked):,} slots (arms, levels,"
            f" slots_per_arm) are {slots:,}, and more than {MAX_SLOTS:,} cannot be planned"
        )


FAULTS = (
    _faults_of_names,
    _faults_of_networks,
    _faults_of_claims,
    _faults_of_ladder,
    _faults_of_factors,
    _faults_of_size,
    faults_of_load,
    faults_of_lookups,
    _faults_of_taps,
    _faults_of_vantage,
    _faults_of_engine,
    faults_of_service,
    faults_of_links,
    faults_of_sysctls,
    _faults_of_bystanders,
    _faults_of_capacity,
    faults_of_interleaving,
    faults_of_starting,
)
