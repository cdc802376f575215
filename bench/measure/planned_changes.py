"""Every change that a run makes to the machine, before it makes any."""

from bench.lab.hosts import machine
from bench.lab.hosts.lab import hosts_of_lab, wiring
from bench.lab.servers import image
from bench.lab.servers.engine import engine_argv
from bench.lab.servers.rootless import USER
from bench.lab.servers.swarm import describe_swarm
from bench.measure.settings import QUEUE_ROOM, lacks_queue_room, plan_settings
from bench.paths import CACHE, STATE
from bench.scenario.conditions import conditions
from bench.scenario.model import Arm
from bench.scenario.modes.model import Vantage
from bench.scenario.names import describe_servers, needs_ipv6
from bench.scenario.placement import DockerHost, docker_hosts
from bench.scenario.scenario import Scenario
from bench.scenario.server_limits import most_descriptors, most_queued


def planned_changes(scenario: Scenario) -> list[str]:
    """Every change to the machine, in order, with how each ends."""
    places = docker_hosts(scenario)
    plans = hosts_of_lab(*machine.divide_cores(), places, ipv6=needs_ipv6(scenario))
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
        *describe_servers(scenario),
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
    argv = engine_argv(f"{folder}/{place.name}", f"bench-<run>-{place.name}", place.rootless)
    told = " ".join(f"'{word}'" if " " in word else word for word in argv)
    changes = [
        f"inside {place.name}: {told} ({place.description})",
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
