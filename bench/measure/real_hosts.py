"""Machines of a person's own without a measurement: what is there, what would be done, what was left."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from bench.errors import BenchError, EnvironmentLacks
from bench.lab.hosts import ssh
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.instruments.idle_states import CPU_DMA_LATENCY
from bench.lab.remote.agent_link import NAME
from bench.lab.remote.labels import RUN, remove_labelled
from bench.lab.remote.machine import reach_engine
from bench.measure.availability import find_gaps
from bench.measure.doctor import Availability, list_modes, scenario_of_modes
from bench.measure.real_testbed import find_lacking, prepare_real_bed
from bench.paths import STATE
from bench.records.environment import RealHostFacts
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.hosts import HostsFile
from bench.scenario.modes.model import Mode
from bench.scenario.real_place import find_arms_lacking
from bench.scenario.scenario import Scenario

KEPT = "kept for later runs, until `bench clean --hosts`"
ENDS_ITSELF = "when its connection ends, it removes all that is the run's, and itself"
BUILT = "built by the first Docker Engine where this machine has none yet"
UNTOUCHED = "packages, rules, routes, sysctls"
Tell = Callable[[str], None]
OUR_IMAGE = re.compile(r"(bench:image|bench-base:[a-z]+|bench-host:)-?[0-9a-f-]*[0-9a-f]{16}")
"""Tags of the images that a run leaves on a host for the next one: each ends with a digest of what it is."""


@dataclass(frozen=True)
class HostsExamination:
    """All that `bench doctor --hosts` says."""

    hosts: dict[str, RealHostFacts]
    vantage: str
    modes: list[Availability]
    fault: str
    """Why nothing could be tried; empty where it was."""


def examine_hosts(hosts: HostsFile, tell: Tell) -> HostsExamination:
    """Reach the machines, look at them, and try every mode there that changes nothing of theirs."""
    # Native is what no engine can be asked for; the others' reasons come from trying.
    scenario = scenario_of_modes()
    try:
        with machine_lock("bench doctor"):
            undo_dead_runs()
            run_id = files.new_run_id(datetime.now(UTC))
            with prepare_real_bed(hosts, scenario, run_id, tell) as bed:
                facts, vantage = bed.describe_machines(), bed.lab.describe().vantage or ""
                tell("modes: each is created, started, asked, and torn down")
                gaps = {Mode(name): reason for name, reason in find_gaps(bed).arms.items()}
    except BenchError as seen:
        untried = dict.fromkeys(Mode, "not tried, since the hosts are not ready")
        return HostsExamination({}, "", list_modes(untried), str(seen))
    return HostsExamination(facts, vantage, list_modes(gaps), "")


def find_unavailable(scenario: Scenario) -> dict[str, str]:
    """Arms and settings of `scenario` that machines of a person's own do not have -> why."""
    arms = {f"arm {name}": reason for name, reason in find_arms_lacking(scenario).items()}
    return arms | find_lacking(scenario)


def planned_changes(hosts: HostsFile, scenario: Scenario) -> list[str]:
    """Every change to this machine and to the hosts, in order, with how each ends."""
    docker, workers, all_hosts = hosts.docker_name, hosts.workers(), ", ".join(hosts.hosts)
    most = max(condition.load.connections for condition in conditions(scenario))
    senders = ", ".join(sorted(set(workers[:most]), key=workers.index))
    lacking = find_arms_lacking(scenario)
    return [
        f"here: write {STATE}/<run>/journal.jsonl; removed at the end",
        *(
            f"{name}: one login (`ssh {host.ssh}`), without a session: {host.socket} is forwarded"
            for name, host in hosts.hosts.items()
        ),
        f"{all_hosts}: the image bench-host (0.3 GB), where it is not; {BUILT}; {KEPT}",
        f"{all_hosts}: a container {NAME}, in the host's network and process namespaces; {ENDS_ITSELF}",
        f"{docker}: the image bench (Apache, 0.2 GB), where it is not; {KEPT}",
        *(
            f"{docker}, during a slot: a container bench-<run>-...-{arm.name}, {arm.mode} mode, at"
            f" {hosts.docker_host.address}:{arm.port}"
            for arm in scenario.arms
            if arm.name not in lacking
        ),
        *_networks(scenario, docker),
        "here: Locust's master, on the loopback; its port is forwarded back to the load hosts' loopbacks",
        *(
            f"{name}: {workers.count(name)} worker(s) of Locust's, in the agent's container, a core each"
            for name in hosts.load
        ),
        f"load comes from {senders}, for the scenario's seconds, when the server has proved that it is ours",
        *(
            [f"{all_hosts}, during slots: {CPU_DMA_LATENCY} held at 0 us, where there is one"]
            if any(condition.lab.hold_idle_states for condition in conditions(scenario))
            else []
        ),
        f"nothing else is altered ({UNTOUCHED}); containers and networks carry the label {RUN}=<run>",
    ]


def _networks(scenario: Scenario, docker: str) -> Iterator[str]:
    lacking = find_arms_lacking(scenario)
    for arm in scenario.arms:
        network = scenario.network(arm)
        if network.network and arm.name not in lacking:
            yield (
                f"{docker}, during a slot of {arm.name}: a Docker network {network.docker},"
                f" {network.network.driver}, {network.network.subnet}"
            )


def clean_hosts(hosts: HostsFile, tell: Tell) -> list[str]:
    """Remove what dead runs left on the machines, and the images that runs keep there; a line a thing.

    Raises EnvironmentLacks where a machine cannot be reached, or a run goes on there; the others are cleaned.
    """
    removed: list[str] = []
    faults: list[BenchError] = []
    for name, asked in hosts.hosts.items():
        tell(f"host: {name} (ssh {asked.ssh})")
        try:
            with ssh.connect(name, asked.ssh_words) as connection:
                client = reach_engine(name, asked, connection)
                removed += [f"{line} of {name}" for line in _clean(name, client)]
        except BenchError as fault:
            faults.append(fault)
        except (DockerException, RequestException, OSError) as fault:
            faults.append(EnvironmentLacks(f"Cleaning {name}", str(fault), "Look at `docker ps -a` there."))
    if faults:
        raise EnvironmentLacks(
            f"Cleaning {len(faults)} of {len(hosts.hosts)} hosts",
            "; ".join(f"{fault.doing}: {fault.seen}" for fault in faults),
            f"{'; '.join(removed) or 'Nothing'} was removed of the others. Mend that, and call it again.",
        )
    return removed


def _clean(name: str, client: DockerClient) -> list[str]:
    with suppress(NotFound):
        agent = client.containers.get(NAME)
        if agent.status == "running":
            raise EnvironmentLacks(
                f"Cleaning {name}",
                f"the run {agent.labels.get(RUN)} goes on there",
                "Wait for its end. Where its controller has died, its agent ends within a minute.",
            )
    removed = remove_labelled(client, None, agents=True)
    tags = [tag for image in client.images.list() for tag in image.tags]
    for tag in filter(OUR_IMAGE.fullmatch, tags):
        try:
            client.images.remove(tag)
            removed.append(f"image {tag}")
        except APIError as fault:
            if fault.status_code != 409:  # A container of somebody's was made of it: then it stays.
                raise
    return removed
