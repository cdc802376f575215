"""What a run would do, before it does it: slots, time, and every change to this machine."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.judgement.capacity.search import expected_search_seconds
from bench.judgement.precision import extend, predict_blocks
from bench.lab.hosts import machine
from bench.lab.hosts.lab import hosts_of_lab, wiring
from bench.lab.servers import image
from bench.lab.servers.engine import engine_argv
from bench.lab.servers.rootless import USER
from bench.lab.servers.swarm import describe_swarm
from bench.measure.settings import QUEUE_ROOM, lacks_queue_room, plan_settings
from bench.paths import CACHE, STATE
from bench.results import store
from bench.results.run import Run, load
from bench.scenario.conditions import conditions
from bench.scenario.interleaving import describe_turns
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Vantage
from bench.scenario.placement import DockerHost, docker_hosts
from bench.scenario.plan import (
    Slot,
    digest_plan,
    expected_seconds,
    measuring_seconds,
    plan_slots,
    slot_seconds,
)
from bench.scenario.scenario import Scenario
from bench.scenario.served import describe_requests, name_served
from bench.scenario.server_limits import most_descriptors, most_queued
from bench.statistics.components import choose_life

IMAGE_BUILD_S = 30.0
"""Seconds to make the image where the cache has none; for the estimate only."""


@dataclass(frozen=True)
class Preview:
    """A run before it is made."""

    scenario: str
    question: str
    served: str
    """What serves in every arm, and what it is asked for."""
    arms: dict[str, str]
    conditions: list[str]
    blocks: int
    sessions: int
    slots: int
    first_block: list[str]
    seed: int
    plan_sha256: str
    """Digest of scenario, seed and slots: a run with this seed registers the same."""
    turns: str
    """How arms take turns; empty where each slot is measured by itself."""
    expected_s: float
    forecast: str
    """Blocks and time that a wished precision takes; empty where none was asked for."""
    budget_blocks: int | None
    """Blocks that a budget is enough for; None where there is none."""
    changes: list[str]
    unavailable: dict[str, str] = field(default_factory=dict)
    """What of it real hosts cannot have -> why; what the lab cannot have is found by trying."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def preview(
    scenario: Scenario,
    seed: int,
    precision: float | None = None,
    results: Path = Path("results"),
    budget_s: float | None = None,
    plan_changes: Callable[[Scenario], list[str]] | None = None,
) -> Preview:
    """Describe the run of `scenario` with `seed`. Changes nothing and needs no right.

    How long a `precision` (a fraction) takes is forecast from the newest run of it below `results`.
    `plan_changes`: what a run changes where it is not the lab that it is made in.
    """
    if scenario.capacity:
        return _preview_capacity(scenario, seed)
    slots, interleave = plan_slots(scenario, seed), scenario.schedule.interleave
    settings = conditions(scenario)
    return Preview(
        scenario=scenario.name,
        question=scenario.question,
        served=f"{name_served(scenario)}: {describe_requests(scenario)}",
        arms={
            arm.name: f"{arm.mode} mode, port {scenario.port(arm)}: {MODES[arm.kind].summary}"
            for arm in scenario.arms
        },
        conditions=[condition.label for condition in settings if condition.label],
        blocks=scenario.schedule.blocks,
        sessions=scenario.schedule.sessions,
        slots=len(slots),
        first_block=[_describe(slot, settings[slot.condition].label) for slot in slots if slot.block == 0],
        seed=seed,
        plan_sha256=digest_plan(scenario, seed, slots),
        turns=describe_turns(interleave, sum(slot.life == slots[0].life for slot in slots))
        if interleave
        else "",
        expected_s=expected_seconds(scenario, slots) + (0 if image.is_cached() else IMAGE_BUILD_S),
        forecast=_forecast(scenario, precision, results) if precision else "",
        budget_blocks=_count_blocks(scenario, slots, budget_s) if budget_s else None,
        changes=(plan_changes or planned_changes)(scenario),
    )


def _count_blocks(scenario: Scenario, slots: tuple[Slot, ...], budget_s: float) -> int:
    """Whole blocks that fit; the first is measured in any case."""
    blocks = scenario.schedule.blocks
    return min(blocks, max(1, int(budget_s / measuring_seconds(scenario, slots) * blocks)))


def _preview_capacity(scenario: Scenario, seed: int) -> Preview:
    """Of `bench capacity`: the search, and a comparison a workload at as many rates as there are shares."""
    asked = scenario.capacity
    assert asked
    # The rates are to be found; for the plan any will do.
    rates = {"load.rate_rps": tuple(1_000 * share for share in asked.shares)}
    kinds = len(asked.keep_alive)
    compared = preview(scenario.model_copy(update={"capacity": None, "factors": rates}), seed)
    searched_s = expected_search_seconds(scenario)
    return replace(
        compared,
        conditions=[f"load.rate_rps = {share:.0%} of the weakest arm's knee" for share in asked.shares],
        slots=kinds * compared.slots,
        first_block=[],
        expected_s=searched_s + kinds * compared.expected_s,
        forecast=f"of it about {searched_s / 60:.1f} minutes to find the knees, before any slot: `bench"
        f" capacity {scenario.name}`; then {kinds} run(s) at equal service",
    )


def _forecast(scenario: Scenario, precision: float, results: Path) -> str:
    wish = f"for +- {precision * 100:g} % on p50"
    earlier = _find_earlier(scenario, results)
    if earlier is None:
        return f"{wish}: unknown, since {results / scenario.name} has no earlier run whose spread would tell"
    run = load(earlier)
    record = run.record
    blocks = predict_blocks(record.scenario, [slot.metrics() for slot in record.slots], precision)
    if blocks is None:
        return f"{wish}: unknown, since {record.id} has too few valid blocks"
    most = extend(scenario).schedule.blocks
    schedule = scenario.schedule.model_copy(update={"blocks": min(blocks, most), "sessions": 1})
    longer = scenario.model_copy(update={"schedule": schedule})
    seconds = expected_seconds(longer, plan_slots(longer, seed=0))
    better = _choose_design(scenario, run, precision)
    by = f"by the spread of {record.id}"
    if blocks > most:
        return (
            f"{wish}: not to be had here: about {blocks:,} blocks, {by}, and a run ends after {most:,}"
            f" ({seconds / 60:.1f} minutes) in any case"
        )
    return f"{wish}: about {blocks} blocks, {seconds / 60:.1f} minutes, {by}{better}"


def _find_earlier(scenario: Scenario, results: Path) -> Path | None:
    """The newest run of the scenario whose arms took turns if its own do: the designs spread differently."""
    for path in sorted((results / scenario.name).glob("*/run.json"), reverse=True):
        known = store.read_run(path.parent).scenario.schedule.interleave
        if (known is None) == (scenario.schedule.interleave is None):
            return path.parent
    return None


def _choose_design(scenario: Scenario, run: Run, precision: float) -> str:
    """How arms that take turns would come to it soonest, by the variance components of an earlier run."""
    interleave, known = scenario.schedule.interleave, run.record.scenario.schedule.interleave
    if not (interleave and known and run.variance):
        return ""
    containers = sum(slot.life == 0 for slot in plan_slots(scenario, seed=0))
    [condition, *_] = conditions(scenario)
    overhead_s = containers * (slot_seconds(condition, interleave) - interleave.life_s)
    designs = [
        choose_life(found, precision, known.life_s, containers, overhead_s) for found in run.variance.values()
    ]
    worst = max(designs, key=lambda design: design.seconds)
    return (
        f"; with life_s = {worst.life_s:.1f} about {worst.blocks} sets, {worst.seconds / 60:.1f} minutes, the"
        " least by the parts of its variance"
    )


def planned_changes(scenario: Scenario) -> list[str]:
    """Every change to the machine, in order, with how each ends."""
    places = docker_hosts(scenario)
    ipv6 = any(scenario.network(arm).ipv6 for arm in scenario.arms)
    plans = hosts_of_lab(*machine.divide_cores(), places, ipv6=ipv6)
    folder = f"{STATE}/<run>"
    changes = [
        f"write {folder}/journal.jsonl and the lab's folders beside it; removed at the end",
        *(
            f"host {name}: network, mount, process, IPC and host-name namespaces of its own, on cores {cpus};"
            " ends with its init process"
            for name, cpus in [*((plan.name, plan.cpus) for plan in plans), ("switch", plans[0].cpus)]
        ),
        *(f"inside {host}: {' '.join(argv)}" for host, argv in wiring(plans)),
        *(change for place in places for change in _changes_of_engine(place, folder)),
        *(change for arm in scenario.arms for change in _changes_of_arm(scenario, arm)),
        "on client: one Locust process; every load bounded by the scenario's seconds",
        *(
            f"on client, in that process: Locust's clients by {load.locustfile}, a locustfile of the person's"
            " own, whose Python runs with bench's rights"
            for load in [scenario.load]
            if load.by_locustfile
        ),
        f"for all that the run starts: up to {most_descriptors(scenario):,} open files",
        f"keep the load generator's compiled loop in {CACHE}, and the image, for later runs"
        + ("" if image.is_cached() else "; it is not there yet, and is built from Debian's packages first"),
    ]
    changes += _changes_of_starts(scenario)
    vantages = {condition.load.vantage for condition in conditions(scenario)} - {Vantage.CLIENT}
    changes += [
        f"during some slots, inside {vantage.label}: the load's sockets, and wrk's" for vantage in vantages
    ]
    if lacks_queue_room(queued := most_queued(scenario)):
        changes.append(
            f"set {QUEUE_ROOM}, one for the whole machine, to {queued:,}: received packets that may"
            " wait for a core; put back at the end"
        )
    changes += _changes_of_service(scenario)
    changes += plan_settings([condition.lab for condition in conditions(scenario)])
    return changes


def _changes_of_starts(scenario: Scenario) -> list[str]:
    """Where starting is measured, how many containers there are at a time."""
    loads = [condition.load for condition in conditions(scenario) if condition.load.is_start]
    if not loads:
        return []
    containers, ports = max(load.containers for load in loads), max(load.more_ports for load in loads)
    more = f", each publishing up to {ports} ports more where its mode publishes" if ports else ""
    return [f"during a slot, inside its Docker host: up to {containers} containers of its arm together{more}"]


def _changes_of_engine(place: DockerHost, folder: str) -> list[str]:
    argv = " ".join(engine_argv(f"{folder}/{place.name}", f"bench-<run>-{place.name}", place.rootless))
    changes = [
        f"inside {place.name}: {argv} ({place.description})",
        f"inside {place.name}, by its Docker Engine: docker0, its rules, one slot's or set's containers",
    ]
    if place.rootless:
        changes.insert(0, f"inside {place.name}: {USER}")
    else:
        changes.append(f"control groups bench-<run>-{place.name}; removed at the end")
    if place.engine.suite:
        root = f"keep the engine of Debian {place.engine.suite} in {CACHE}"
        changes.insert(0, f"{root}; built from its packages if not there")
    return changes


def _changes_of_service(scenario: Scenario) -> list[str]:
    """What a service of a person's own brings along; their Docker is read, and not changed."""
    if scenario.service is None:
        return []
    brought = [
        (scenario.service, scenario.service.called),
        *((companion, companion.name) for companion in scenario.companions),
    ]
    changes = []
    for container, name in brought:
        means = "saved from your own Docker" if container.image else "read from its archive"
        means = "built from its folder, without a network" if container.build else means
        changes.append(f"inside the lab's engines: the image {container.source} ({name}), {means}")
    return changes


def _changes_of_arm(scenario: Scenario, arm: Arm) -> list[str]:
    """What a slot of `arm` changes besides one container; all of it ends with the slot."""
    network = scenario.network(arm)
    during = f"during a slot of {arm.name}"
    changes = []
    if network.network:
        made = network.network
        options = "".join(f" -o {key}={value}" for key, value in made.options.items())
        if made.is_of_swarm:
            options += " --attachable"
            swarm = describe_swarm("<its Docker host>", "<the other>")
            changes += [f"{during}, and both leave it then: {command}" for command in swarm]
        changes.append(
            f"{during}: docker network create -d {made.driver} --subnet {made.subnet}{options}"
            f" {network.docker}"
        )
    changes += [
        f"{during}, inside {'client' if step.where == 'client' else 'its Docker host'}: {' '.join(step.argv)}"
        for step in network.steps
    ]
    if network.docker is None:
        changes.append(f"{during}: Apache from the image's own files, without Docker, in its Docker host")
    return changes


def _describe(slot: Slot, label: str) -> str:
    port = f" at {slot.port}" if slot.port else ""
    return f"{slot.arm}{port}{f' [{label}]' if label else ''}"
