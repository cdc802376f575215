"""A test bed in a lab that is made for it, and taken away after it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.errors import EnvironmentLacks
from bench.generator.client import generator
from bench.generator.shares import count_workers
from bench.lab.hosts import machine
from bench.lab.hosts.host import network_of
from bench.lab.hosts.journal import Journal, undo
from bench.lab.hosts.lab import Lab, hosts_of_lab, lab
from bench.lab.hosts.requirements import require_descriptors
from bench.lab.instruments.tcpdump import STAMP_BEFORE_QUEUE
from bench.lab.instruments.watch import OwnWatch, Watch
from bench.lab.servers.containers import MEANWHILE, create_container, start_container
from bench.lab.servers.engine import Engine, engine
from bench.lab.servers.engine_failures import explained
from bench.lab.servers.name_server import name_servers
from bench.lab.servers.own_image import Own
from bench.measure import settings
from bench.measure.asks import list_asks
from bench.measure.provision import describe_images, gather, require_same
from bench.measure.testbed import Bed
from bench.scenario.conditions import conditions
from bench.scenario.names import needs_ipv6
from bench.scenario.placement import DockerHost, docker_hosts
from bench.scenario.scenario import Scenario
from bench.scenario.server_limits import most_descriptors, most_queued


@contextmanager
def prepare_bed(
    scenario: Scenario,
    run_id: str,
    tell: Callable[[str], None],
    web_ui_port: int | None = None,
    own: Own | None = None,
) -> Iterator[Bed]:
    """Start all that `scenario` needs, prove it, and take it away on the way out.

    `tell` is told each stage. `own`: where a service of a person's own, and its files, are.
    An engine of another distribution that cannot be had is `missing`;
    the machine's own must be there, or EnvironmentLacks is raised.
    """
    client_cpus, docker_cpus = machine.divide_cores()
    require_descriptors(most_descriptors(scenario))
    places = docker_hosts(scenario)
    ipv6 = needs_ipv6(scenario)
    journal = Journal(run_id)
    try:
        with ExitStack() as stack:
            if any(each.lab.stamp_before_queue is not None for each in conditions(scenario)):
                journal.write_setting(STAMP_BEFORE_QUEUE)
            settings.make_queue_room(most_queued(scenario), journal)
            tell("lab: hosts, switch and links, sealed")
            plans = hosts_of_lab(client_cpus, docker_cpus, places, ipv6=ipv6)
            found = stack.enter_context(lab(plans, journal))
            if scenario.load.is_lookup:
                tell("names: servers on the client host that know, refuse and are dead")
                stack.enter_context(name_servers(found.client, ipv6=ipv6))
            workers = max(count_workers(condition.load, found.client) for condition in conditions(scenario))
            load_generator = stack.enter_context(generator(found.client, journal, web_ui_port, workers))
            engines, missing = _start_engines(stack, found, places, journal, tell)
            tell(describe_images(scenario))
            supplies = gather(scenario, own)
            brought = {name: supplies.bring(living) for name, living in engines.items()}
            all_images = [each for each, _ in brought.values()]
            images = require_same("Loading one image into every engine", all_images)
            provided = {name: pair[1] for name, pair in brought.items()}
            watch = OwnWatch(
                lambda: {load_generator.process.pid}.union(*(host.roots for host in found.hosts)), journal
            )
            watches: dict[str, Watch] = {"this machine": watch}
            load_generator.inputs = own.files if own else None
            asked = list_asks(scenario, own)
            bed = Bed(
                scenario,
                found,
                engines,
                missing,
                images,
                provided,
                load_generator,
                watches,
                asked,
                supplies.tls(),
            )
            stack.callback(bed.bystanders.close)
            for place in places:
                if place.name in engines:
                    verify_host_mode(bed, place)
            yield bed
    finally:
        undo(run_id)


def _start_engines(
    stack: ExitStack, found: Lab, places: Sequence[DockerHost], journal: Journal, tell: Callable[[str], None]
) -> tuple[dict[str, Engine], dict[str, str]]:
    """By Docker host: the engines that can be had, for as long as `stack`, and why the others cannot."""
    engines: dict[str, Engine] = {}
    missing = {}
    stack.enter_context(explained(engines))
    for place in places:
        tell(f"engine: a private Docker Engine on {place.name} ({place.description})")
        try:
            engines[place.name] = stack.enter_context(engine(found.docker[place.name], journal, place))
        except EnvironmentLacks as fault:
            if place.is_usual:
                raise
            missing[place.name] = fault.seen
    if not engines:
        raise EnvironmentLacks(
            "Starting the scenario's engines",
            "; ".join(f"{name}: {reason}" for name, reason in missing.items()),
            "Name an engine that can be had here: `bench doctor` tries them.",
        )
    return engines, missing


def verify_host_mode(bed: Bed, place: DockerHost) -> None:
    """Refuse to go on unless a host-mode container is in its Docker host's network namespace.

    That of a rootless engine is RootlessKit's, where dockerd is: no host that a client could reach. An
    engine whose containerd lives elsewhere would put it there, and every host-mode figure would be of
    another network (containerd issue 10280).
    """
    engine = bed.engines[place.name]
    stand_in = {"command": MEANWHILE, "network_mode": "host"}
    doing = f"Starting a container in host mode on {place.name}"
    name, image_id = "bench-verify-host-mode", bed.provided[place.name].stand_in_id
    with create_container(engine, doing, name, image_id, stand_in) as container:
        start_container(container, doing)
        container.reload()
        inode = engine.host.namespace(int(container.attrs["State"]["Pid"]))
    host = engine.host
    rootless = engine.rootless_pid
    wanted = host.namespace(rootless) if rootless else network_of(host)
    if inode != wanted:
        raise EnvironmentLacks(
            f"Proving that host mode is {place.name}'s network",
            f"the container is in namespace {inode}, {place.name} in {wanted}",
            "This engine cannot be measured in a lab; report it with `dockerd --version`.",
        )
