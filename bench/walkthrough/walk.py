"""The runner: a lab for each engine, every statement tried in it, and proof that none leaves a trace."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

import bench
from bench.errors import BenchError, EnvironmentLacks
from bench.lab.hosts import command, machine, requirements
from bench.lab.hosts.host import Host
from bench.lab.hosts.journal import Journal, undo, undo_dead_runs
from bench.lab.hosts.lab import hosts_of_lab, lab
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.engine import Engine, engine
from bench.lab.servers.engine_failures import explained
from bench.lab.servers.image import provide_image
from bench.records.findings import WALKTHROUGH_SCHEMA_VERSION, EngineWalk, Finding, WalkthroughRecord, Word
from bench.results import files
from bench.scenario.engine_source import OWN_ENGINE, EngineSource
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.placement import DockerHost
from bench.walkthrough.container_spec import IMAGE_TAG
from bench.walkthrough.page import render_markdown
from bench.walkthrough.statements import SUBJECTS
from bench.walkthrough.trial import Ground, Outcome, Statement, Trial

SETTLE_S = 3.0
"""How long a host has to be as it was before a statement: links of a removed container go a moment later."""
ROOTLESS = (Mode.ROOTLESS_BUILTIN, Mode.ROOTLESS_SLIRP4NETNS)
"""Modes whose engines are tried as well."""
Tell = Callable[[str], None]


def begin_walkthrough(
    engines: Sequence[EngineSource], results: Path, tell: Tell
) -> tuple[Path, WalkthroughRecord]:
    """Walk through the article and store what was found below `results`; returns the folder and the record.

    Raises EnvironmentLacks where no lab or none of the engines can be had.
    """
    requirements.require_all()
    folder = results / "walkthrough" / files.new_run_id(datetime.now(UTC))
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        raise EnvironmentLacks(
            f"Making the folder {folder}", str(fault), "Give a folder that can be written with --results."
        ) from fault
    with _kept_only_if_filled(folder), machine_lock(f"bench walkthrough {folder.name}"):
        undo_dead_runs()
        record = walk(engines, tell).model_copy(update={"id": folder.name})
        write_walkthrough(folder, record)
    return folder, record


def write_walkthrough(folder: Path, record: WalkthroughRecord) -> None:
    """Write walkthrough.json, and walkthrough.md for a person."""
    files.write_atomically(folder / files.WALKTHROUGH_FILE, record.model_dump_json(indent=1).encode())
    files.write_atomically(folder / files.WALKTHROUGH_PAGE, render_markdown(record).encode())


def walk(engines: Sequence[EngineSource], tell: Tell) -> WalkthroughRecord:
    """Try every statement under each of `engines`, each in a lab of its own. Needs the machine lock.

    An engine that cannot be had is `unavailable`; EnvironmentLacks is raised where that leaves none.
    """
    started_at = _now()
    walks: list[EngineWalk] = []
    unavailable: dict[str, str] = {}
    for source in dict.fromkeys(engines):
        try:
            walks.append(_walk_engine(source, tell))
        except EnvironmentLacks as fault:
            unavailable[str(source)] = f"{fault.doing}: {fault.seen}"
            tell(f"{source}: cannot be had: {fault.seen}")
            if len(engines) == 1:
                raise
    if not walks:
        raise EnvironmentLacks(
            "Starting an engine for the walkthrough",
            "; ".join(f"{source}: {reason}" for source, reason in unavailable.items()),
            f"Name one that can be had here, or none for {OWN_ENGINE}.",
        )
    plans = hosts_of_lab(*machine.divide_cores(), _places(OWN_ENGINE), ipv6=False)
    return WalkthroughRecord(
        schema_version=WALKTHROUGH_SCHEMA_VERSION,
        id=files.new_run_id(datetime.now(UTC)),
        bench_version=bench.__version__,
        started_at=started_at,
        finished_at=_now(),
        machine=machine.describe_machine(),
        tools=machine.tool_versions(command.run),
        hosts={plan.name: ", ".join(plan.addresses) for plan in plans},
        walks=tuple(walks),
        unavailable=unavailable,
    )


def _places(source: EngineSource) -> tuple[DockerHost, ...]:
    """The article's two Docker hosts, one whose engine writes no firewall rules, and a user's own engines."""
    return (
        *(
            DockerHost(number, source, options)
            for number, options in enumerate(({}, {}, {"iptables": False}))
        ),
        *(
            DockerHost(3 + number, source, {}, rootless=MODES[mode].rootless)
            for number, mode in enumerate(ROOTLESS)
        ),
    )


def _walk_engine(source: EngineSource, tell: Tell) -> EngineWalk:
    with _ground(source, tell) as ground:
        described = ground.docker1.describe()
        findings = []
        for subject, statements in SUBJECTS.items():
            for statement in statements:
                found = _try(ground, subject, statement)
                findings.append(found)
                tell(f"{statement.id}: {found.word}")
        return EngineWalk(engine=str(source), **described.stated(), findings=tuple(findings))


@contextmanager
def _ground(source: EngineSource, tell: Tell) -> Iterator[Ground]:
    run_id = files.new_run_id(datetime.now(UTC))
    journal = Journal(run_id)
    places = _places(source)
    try:
        with ExitStack() as stack:
            tell(f"lab: client and {', '.join(place.name for place in places)}, with engines of {source}")
            plans = hosts_of_lab(*machine.divide_cores(), places, ipv6=False)
            found = stack.enter_context(lab(plans, journal))
            engines: dict[str, Engine] = {}
            stack.enter_context(explained(engines, "Try again."))

            def start(place: DockerHost) -> Engine:
                living = stack.enter_context(engine(found.docker[place.name], journal, place))
                engines[place.name] = living
                image = provide_image(living.client)
                living.client.images.get(image.id).tag(IMAGE_TAG)
                return living

            docker1, docker2, docker3 = (start(place) for place in places if not place.rootless)
            rootless: dict[Mode, Engine | str] = {}
            for mode, place in zip(ROOTLESS, (each for each in places if each.rootless), strict=True):
                try:
                    rootless[mode] = start(place)
                except EnvironmentLacks as fault:
                    rootless[mode] = fault.seen
            yield Ground(found.client, docker1, docker2, docker3, docker1.describe().version, rootless)
    finally:
        undo(run_id)


def _try(ground: Ground, subject: str, statement: Statement) -> Finding:
    """One statement, undone. What stops it is the reason why it is not testable here."""
    before = _state(ground)
    trial = Trial(ground)
    left_behind: list[str] = []
    try:
        outcome = statement.attempt(trial)
    except (BenchError, DockerException, RequestException) as fault:
        outcome = Outcome(Word.NOT_TESTABLE, f"It could not be tried. {fault}")
    finally:
        try:
            trial.take_back()
        except (BenchError, DockerException, RequestException) as fault:
            left_behind.append(f"taking back failed: {fault}")
    return Finding(
        id=statement.id,
        subject=subject,
        source=statement.source,
        statement=statement.text,
        done=statement.done,
        word=outcome.word,
        seen=outcome.seen,
        checks=outcome.checks,
        evidence=tuple(trial.evidence),
        left_behind=(*left_behind, *_changes(ground, before)),
    )


def _changes(ground: Ground, before: dict[str, list[str]]) -> list[str]:
    """What is not as `before`, once the hosts had time to settle."""
    wait_until(lambda: _state(ground) == before, SETTLE_S, step_s=0.05)
    after = _state(ground)
    return [
        f"{what}: {sign} {line}"
        for what, lines in before.items()
        for sign, found, other in (("gone", lines, after[what]), ("new", after[what], lines))
        for line in found
        if line not in other
    ] + [f"{what}: the order changed" for what in before if _reordered(before[what], after[what])]


def _reordered(one: list[str], other: list[str]) -> bool:
    return one != other and sorted(one) == sorted(other)


def _state(ground: Ground) -> dict[str, list[str]]:
    """Rules, listening sockets, links, routes and containers of every host."""
    found: dict[str, list[str]] = {}
    hosts: tuple[Host, ...] = (ground.client, *(living.host for living in ground.engines))
    for host in hosts:
        # A kernel without IPv6 has no rules for it.
        saved = host.run(["sh", "-c", "iptables-save; ip6tables-save || true"])
        found[f"rules of {host.name}"] = rules_of(saved)
        listening = host.run(["ss", "-Hltn"]).splitlines()
        found[f"listening sockets of {host.name}"] = sorted(line.split()[3] for line in listening)
        links = host.run(["ip", "-brief", "link"]).splitlines()
        found[f"links of {host.name}"] = [line.split()[0] for line in links]
        found[f"routes of {host.name}"] = host.run(["ip", "route"]).splitlines()
    for living in ground.engines:
        names = [row["Names"][0] for row in living.client.api.containers(all=True)]
        found[f"containers of {living.host.name}"] = names
    return found


def rules_of(saved: str) -> list[str]:
    """Rules and policies of iptables-save's output, without counters, comments and tables that hold none."""
    found = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            # A table is made by the first look at it: its built-in chains, left as they are, are no trace.
            if policy != "ACCEPT":
                found.append(f"{table} {chain} {policy}")
        elif line.startswith("-"):
            found.append(f"{table} {line}")
    return found


@contextmanager
def _kept_only_if_filled(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
