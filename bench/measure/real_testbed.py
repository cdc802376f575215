"""Everything that stands while slots are measured on machines of a person's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.errors import BenchError, EnvironmentLacks
from bench.generator.elsewhere import Seat, generator_elsewhere
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Endpoint, parse_cpus
from bench.lab.hosts.journal import Journal, undo
from bench.lab.hosts.requirements import require_descriptors
from bench.lab.remote.engine import PersonsEngine
from bench.lab.remote.firewall import explain_silence
from bench.lab.remote.host import RemoteHost
from bench.lab.remote.machine import RealMachine
from bench.lab.servers.engine_failures import explained
from bench.lab.servers.own_image import Own
from bench.measure import settings
from bench.measure.lab_testbed import verify_host_mode
from bench.measure.provision import describe_images, gather
from bench.measure.testbed import Bed
from bench.records.environment import REMOTE, SAME_KERNEL_LAB, HostFacts, LabFacts, RealHostFacts
from bench.scenario.conditions import conditions
from bench.scenario.hosts import HostsFile
from bench.scenario.model import LabSettings
from bench.scenario.placement import DockerHost
from bench.scenario.real_place import RealPlace, find_arms_lacking, find_load_lacking, real_place
from bench.scenario.scenario import Scenario
from bench.scenario.server_limits import most_descriptors

BACK_S, LOOK_AGAIN_S = 120.0, 3.0
"""Patience with a host that went away, and between two tries to reach it."""


@dataclass(frozen=True)
class RealHosts:
    """The machines of a hosts file; the protocol `Hosts`."""

    docker_machine: RealMachine
    load_machines: tuple[RealMachine, ...]

    @property
    def machines(self) -> tuple[RealMachine, ...]:
        """All of them, the Docker host first."""
        return self.docker_machine, *self.load_machines

    @property
    def client(self) -> RemoteHost:
        """The first load host, by whose clock starts are timed."""
        return self.load_machines[0].host

    @property
    def docker(self) -> Mapping[str, RemoteHost]:
        """The one that there is."""
        return {self.docker_machine.name: self.docker_machine.host}

    def describe(self) -> LabFacts:
        """Remote is another kernel, not another address."""
        kernel = self.docker_machine.boot()
        apart = all(machine.boot() != kernel for machine in self.load_machines)
        hosts = {
            machine.name: HostFacts(addresses=machine.host.addresses, cores=machine.host.cpus)
            for machine in self.machines
        }
        return LabFacts(hosts=hosts, vantage=REMOTE if apart else SAME_KERNEL_LAB)

    def describe_machines(self) -> dict[str, RealHostFacts]:
        """Each as it is now, and which are one."""
        found: dict[str, RealHostFacts] = {}
        boots: dict[str, str] = {}
        for machine in self.machines:
            boot, facts = machine.boot(), machine.describe()
            found[machine.name] = facts.model_copy(update={"same_kernel_as": boots.get(boot)})
            boots.setdefault(boot, machine.name)
        return found


@dataclass
class RealBed(Bed):
    """Machines of a person's own, with an engine of theirs and workers of ours."""

    real: RealHosts | None = None
    where: RealPlace | None = None

    @property
    def places(self) -> tuple[DockerHost, ...]:
        """One for all arms."""
        assert self.where
        return (self.where,)

    def place(self, *_: object) -> DockerHost:
        """The same for all."""
        return self.places[0]

    def arrange(self, wanted: LabSettings) -> None:
        """Nothing is altered for a slot: what would have to be was refused before there was one."""

    @property
    def is_sender_tapped(self) -> bool:
        """Its clock is another."""
        return False

    def find_tap_cores(self) -> str:
        """Those of the Docker host that servers have not; all, where they have all."""
        assert self.real
        machine = self.real.docker_machine
        others = sorted(set(machine.link.ask("cores")) - set(parse_cpus(machine.host.cpus)))
        return ",".join(map(str, others)) or machine.host.cpus

    def explain_silence(self, endpoint: Endpoint) -> str:
        """By asking on the Docker host itself."""
        assert self.real
        senders = [at.partition("/")[0] for load in self.real.load_machines for at in load.host.addresses]
        return explain_silence(self.real.docker_machine.host, endpoint, senders)

    def describe_machines(self) -> dict[str, RealHostFacts]:
        """For the record."""
        assert self.real
        return self.real.describe_machines()

    def revive(self) -> list[str]:
        """Reach hosts again that went away, and have their workers again.

        Raises EnvironmentLacks where one does not come back.
        """
        assert self.real
        lines = []
        for machine in self.real.machines:
            if not machine.is_alive:
                _reach_again(machine)
                lines.append(f"host: {machine.name} had gone, and is reached again")
        return [*lines, *super().revive(), *self.generator.revive()]


def _reach_again(machine: RealMachine) -> None:
    """Open `machine` anew, as often as it takes."""
    faults: list[BenchError] = []

    def reach() -> bool:
        try:
            machine.close()
            machine.open()
        except BenchError as fault:
            faults.append(fault)
            return False
        return True

    if not waiting.wait_until(reach, BACK_S, step_s=LOOK_AGAIN_S):
        raise EnvironmentLacks(
            f"Waiting for {machine.name} to come back",
            f"it did not within {BACK_S:g} s: {faults[-1].seen}",
            "What was measured is kept: `bench resume` goes on when the host is there.",
        )


def find_lacking(scenario: Scenario) -> dict[str, str]:
    """Settings of `scenario` that machines of a person's own do not have -> why."""
    of_lab = settings.find_lab_only([condition.lab for condition in conditions(scenario)])
    return {**of_lab, **dict(find_load_lacking(scenario))}


def require_possible(scenario: Scenario) -> None:
    """Raise EnvironmentLacks where `scenario` asks for what only the lab has."""
    lacking = find_lacking(scenario)
    if reason := find_arms_lacking(scenario).get(scenario.baseline):
        lacking[f"the baseline {scenario.baseline}"] = reason
    if lacking:
        raise EnvironmentLacks(
            f"Taking the scenario {scenario.name} to real hosts",
            "NOT AVAILABLE there: " + "; ".join(f"{name} ({reason})" for name, reason in lacking.items()),
            "Leave that out of the scenario, or measure it in the lab, without --hosts.",
        )


@contextmanager
def prepare_real_bed(
    hosts: HostsFile,
    scenario: Scenario,
    run_id: str,
    tell: Callable[[str], None],
    web_ui_port: int | None = None,
    own: Own | None = None,
) -> Iterator[RealBed]:
    """Reach the machines, prove what is there, and take away what is ours on the way out.

    Raises EnvironmentLacks where a machine, or what a run needs of it, is not there.
    """
    require_possible(scenario)
    require_descriptors(most_descriptors(scenario))
    journal = Journal(run_id)
    target = hosts.docker_host.address
    try:
        with ExitStack() as stack:
            machines: list[RealMachine] = []
            taken: dict[str, str] = {}
            for name, asked in hosts.hosts.items():
                tell(f"host: {name} (ssh {asked.ssh}): connection, engine, agent")
                role = "docker" if name in hosts.docker else "load"
                here = journal.folder / name
                here.mkdir()
                descriptors = most_descriptors(scenario)
                machine = RealMachine(name, role, asked, target, run_id, here, descriptors, taken)  # type: ignore[arg-type]
                journal.write("real host", name=name, ssh=asked.ssh)
                stack.callback(machine.close)
                machine.open()
                machines.append(machine)
            real = RealHosts(machines[0], tuple(machines[1:]))
            place = real_place(hosts.docker_name, target)
            engine = PersonsEngine(run_id, lambda: machines[0].host, lambda: machines[0].client)
            engines = {place.name: engine}
            stack.enter_context(explained(engines))  # type: ignore[arg-type]
            tell(describe_images(scenario))
            images, provided = gather(scenario, own).bring(engine)
            tell("workers: Locust's, on the load hosts")
            load_generator = stack.enter_context(
                generator_elsewhere(_take_seats(hosts, real.load_machines), journal, web_ui_port)
            )
            bed = RealBed(
                scenario,
                real,
                engines,  # type: ignore[arg-type]
                {},
                images,
                {place.name: provided},
                load_generator,
                {machine.name: machine for machine in machines},
                lacks=find_arms_lacking(scenario),
                real=real,
                where=place,
            )
            verify_host_mode(bed, place)
            yield bed
    finally:
        undo(run_id)


def _take_seats(hosts: HostsFile, machines: tuple[RealMachine, ...]) -> list[Seat]:
    """A seat for every worker of the hosts file: each on its host's next core."""
    by_name = {machine.name: machine for machine in machines}
    taken: dict[str, int] = {}
    seats = []
    for number, name in enumerate(hosts.workers()):
        machine = by_name[name]
        cores = parse_cpus(machine.host.cpus)
        cpu = cores[taken.get(name, 0) % len(cores)]
        taken[name] = taken.get(name, 0) + 1
        seats.append(
            Seat(
                number,
                lambda machine=machine: machine.host,  # type: ignore[misc]
                cpu,
                lambda port, machine=machine: machine.connection.forward_back(port),  # type: ignore[misc]
            )
        )
    return seats
