"""One statement being tried: runs commands on the lab's hosts, keeps them as evidence, undoes the rest."""

import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from bench.errors import EnvironmentLacks, MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.host import Host, Program
from bench.lab.servers.containers import create_network
from bench.lab.servers.engine import Engine
from bench.records.findings import Source, Word
from bench.scenario.modes.model import DockerNetwork, Mode
from bench.walkthrough.container import Running
from bench.walkthrough.container_spec import Ask
from bench.walkthrough.transcript import PATIENCE_S, Notes, wait

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
"""No proxy of the machine's gets between the lab's hosts, and messages are in one language."""
COMMAND_S = 20.0
NOT_THERE = 127
"""Exit status of a shell or taskset where a program is missing: that is no answer to any statement."""
REFUSAL_S = 1
"""How long an answer that must not come is waited for."""


@dataclass(frozen=True)
class Ground:
    """What stands while statements are tried under one engine."""

    client: Host
    docker1: Engine
    """Two addresses, as in the article."""
    docker2: Engine
    docker3: Engine
    """Writes no firewall rules (`iptables: false`), so docker-proxy carries published ports."""
    version: str
    rootless: Mapping[Mode, Engine | str]
    """A user's own engines, on Docker hosts of their own; of one that cannot be had, why."""

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Of all Docker hosts."""
        rootless = (living for living in self.rootless.values() if not isinstance(living, str))
        return self.docker1, self.docker2, self.docker3, *rootless


@dataclass(frozen=True)
class Outcome:
    """What a trial came to."""

    word: Word
    seen: str
    checks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """Something that can be tried."""

    id: str
    source: Source
    text: str
    """The statement, in our words."""
    done: str
    attempt: Callable[["Trial"], Outcome]


def judge(checks: Mapping[str, bool], seen: str, *, otherwise: Word = Word.REFUTED) -> Outcome:
    """CONFIRMED, seen as `seen`, where every check held; else `otherwise`, naming those that did not."""
    failed = [what for what, held in checks.items() if not held]
    if not failed:
        return Outcome(Word.CONFIRMED, seen, checks)
    return Outcome(otherwise, "Not seen: " + "; ".join(failed) + ".", checks)


def address(host: Host, index: int = 0) -> str:
    """IPv4 address of `host`, without prefix length."""
    return host.addresses[index].partition("/")[0]


class Trial(Notes):
    """Commands, containers and rules of one statement. Everything is taken back at the `with`'s end."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self._undoing = ExitStack()

    def take_back(self) -> None:
        """Remove containers, rules and wires, last first."""
        self._undoing.close()

    # Commands on a host.

    def on(self, host: Host, line: str, *, text_in: str | None = None) -> command.Done:
        """Run `line` on `host` as evidence. A failure is an answer too."""
        done = self._attempt(host, line, text_in)
        typed = line if text_in is None else f"{line} <<END\n{text_in}END"
        self.note(host, typed, done.output, done.status)
        return done

    def change(self, host: Host, line: str, undo: str, *, text_in: str | None = None) -> command.Done:
        """Run `line`, that changes `host`, and have `undo` run at the end."""
        self.undo_later(host, undo)
        return self.on(host, line, text_in=text_in)

    def undo_later(self, host: Host, line: str, *, text_in: str | None = None) -> None:
        """Have `line` run at the end; it may find nothing to undo."""
        self._undoing.callback(self._attempt, host, line, text_in)

    def stop_later(self, program: Program) -> None:
        """Have a program that was started on a host ended with the trial."""
        self._undoing.callback(program.stop)

    def _attempt(self, host: Host, line: str, text_in: str | None = None) -> command.Done:
        done = host.attempt(shlex.split(line), timeout_s=COMMAND_S, environment=ENVIRONMENT, text_in=text_in)
        if done.status == NOT_THERE:
            raise EnvironmentLacks(f"Running `{line}` on {host.name}", done.output.strip(), "Install it.")
        return done

    def get(
        self, url: str, *, host: Host | None = None, times: int = 1, wait_s: float = PATIENCE_S
    ) -> command.Done:
        """Ask for a page with curl from `host` (the client host), which is let have `wait_s` to appear."""
        asking = host or self.ground.client
        line = f"curl -sS --max-time {REFUSAL_S} " + " ".join([url] * times)
        if wait_s:  # Else it is asked once, and no more: the server's log is the evidence.
            look = f"curl -sS --max-time 0.3 -o /dev/null {url}"
            wait(lambda: self._attempt(asking, look).status == 0, wait_s)
        return self.on(asking, line)

    def refuses(self, url: str, *, host: Host | None = None) -> bool:
        """Whether nothing answers at `url`."""
        return self.get(url, host=host, wait_s=0).status != 0

    # Docker.

    def run(self, engine: Engine, ask: Ask) -> Running:
        """`docker run -d`. Raises MeasurementInvalid where Docker refuses: that refutes no statement."""
        started = self.try_run(engine, ask)
        if started.refusal:
            raise MeasurementInvalid(
                f"Running `{ask.line}`", started.refusal, "This machine or this engine cannot do it."
            )
        return started

    def try_run(self, engine: Engine, ask: Ask) -> Running:
        """`docker run -d`, whose refusal is an answer too."""
        host = engine.host
        try:
            created = ask.create(engine.client.api)
        except APIError as fault:
            self.note(host, ask.line, f"docker: Error response from daemon: {fault.explanation}.", 125)
            return Running(self, engine, ask.name, None, (), str(fault.explanation))
        container = engine.client.containers.get(created["Id"])
        self._undoing.callback(_remove, container)
        warnings = tuple(created.get("Warnings") or ())
        said = [f"WARNING: {warning}" for warning in warnings]
        try:
            container.start()
        except APIError as fault:
            said.append(f"docker: Error response from daemon: {fault.explanation}.")
            self.note(host, ask.line, "\n".join(said), 127)
            return Running(self, engine, ask.name, container, warnings, str(fault.explanation))
        self.note(host, ask.line, "\n".join([*said, container.id or ""]))
        return Running(self, engine, ask.name, container, warnings, "")

    def list_containers(self, engine: Engine) -> dict[str, str]:
        """`docker ps -a`: name -> state."""
        rows = engine.client.api.containers(all=True)
        lines = [f"{row['Names'][0].lstrip('/')}\t{row['State']}\t{row['Status']}" for row in rows]
        self.note(
            engine.host, "docker ps -a --format '{{.Names}}\\t{{.State}}\\t{{.Status}}'", "\n".join(lines)
        )
        return {row["Names"][0].lstrip("/"): row["State"] for row in rows}

    def create_network(self, engine: Engine, name: str, network: DockerNetwork) -> None:
        """`docker network create`. Raises MeasurementInvalid where Docker refuses."""
        words = ["docker", "network", "create", "-d", network.driver, "--subnet", network.subnet]
        words += [word for option, value in network.options.items() for word in ("-o", f"{option}={value}")]
        made = self._undoing.enter_context(create_network(engine, name, network))
        self.note(engine.host, shlex.join([*words, name]), made)

    # Firewall.

    def drop_by_default(self, host: Host) -> None:
        """A host firewall as distributions set it up: what is not asked for is dropped."""
        answers = "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        for rule in (answers, "INPUT -p icmp -j ACCEPT", "INPUT -i lo -j ACCEPT"):
            self.change(host, f"iptables -A {rule}", f"iptables -D {rule}")
        self.change(host, "iptables -P INPUT DROP", "iptables -P INPUT ACCEPT")

    def open_port(self, host: Host, port: int, position: int = 4) -> None:
        """The article's rule."""
        rule = f"-p tcp -m tcp --dport {port} -j ACCEPT"
        self.change(host, f"iptables -I INPUT {position} {rule}", f"iptables -D INPUT {rule}")

    def save_rules(self, host: Host, file: str) -> None:
        """All rules of all tables, of IPv4 and IPv6, without counters, in a file of the host's /run."""
        self.on(
            host,
            f"sh -c \"(iptables-save; ip6tables-save) | sed '/^#/d; s/ *\\[[0-9:]*\\]//' > /run/{file}\"",
        )

    def changed_rules(self, host: Host, before: str, after: str) -> list[str]:
        """Lines by which two files of `save_rules` differ."""
        done = self.on(host, f"diff /run/{before} /run/{after}")
        return [line for line in done.output.splitlines() if line[:2] in ("< ", "> ")]


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True)
