"""A private Docker Engine on a host of the lab: the machine's own dockerd, everything else its own.

The host's private /run hides any other containerd, so dockerd starts one of its own, in the same
network namespace; `verify_host_mode` proves that host mode lands there.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import docker
from docker.errors import DockerException

from bench.errors import EnvironmentLacks
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host, Program, read_one
from bench.lab.hosts.journal import Journal
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.containerd import put_containerd, quiet_containerd
from bench.lab.servers.docker_client import connect
from bench.lab.servers.engine_root import argv_in_root, provide_engine_root
from bench.lab.servers.rootless import PACKAGES, as_user, own_folder, require_rootless, rootless_argv
from bench.records.environment import EngineFacts
from bench.scenario.modes.addresses import ADDRESS_POOL, BRIDGE_ADDRESS
from bench.scenario.modes.model import Rootless
from bench.scenario.placement import DockerHost

ALTERNATIVES = "/etc/alternatives"
"""Debian's links to the programs that are meant; a host's /etc is its own."""
READY_S = 30.0
STOP_S = 20.0
MISSED_CHILD = "/ns/net: No such file or directory"
"""Of nsenter's words when RootlessKit before 2.0 has looked into its child's network too early: it lets the
child execute itself anew, and does not wait (pkg/parent/parent.go). A process of several threads has no
namespaces in the middle of that (fs/exec.c, de_thread())."""


class Engine(Protocol):
    """A living Docker Engine, as who puts servers there sees it."""

    @property
    def host(self) -> Host:
        """Where it is."""

    @property
    def client(self) -> docker.DockerClient:
        """Another one when the engine was started again."""

    @property
    def cgroup(self) -> str:
        """Of all of its containers; empty where they have none in common."""

    @property
    def labels(self) -> Mapping[str, str]:
        """That all have which a run makes there."""

    @property
    def prefix(self) -> str:
        """With which the names of all begin which a run makes there."""

    @property
    def writes_rules(self) -> bool:
        """Whether it writes firewall rules (iptables on, which is the default)."""

    @property
    def is_alive(self) -> bool:
        """Whether it answers, or its process runs."""

    @property
    def daemon_pid(self) -> int | None:
        """Process id of dockerd, as the host numbers them; None where it is not known."""

    @property
    def rootless_pid(self) -> int | None:
        """That of a rootless engine, whose network is its own; None where dockerd is in its host's."""

    def last_words(self) -> str:
        """End of what dockerd wrote to its log, as far as it can be read."""

    def describe(self, what: str | None = None) -> EngineFacts:
        """Version, API, storage driver and origin, of what is `what` for a person."""

    def start(self) -> None:
        """Have it again after it ended, without containers of before."""

    def restart(self) -> None:
        """A new session. Raises EnvironmentLacks where that cannot be."""


@dataclass
class PrivateEngine:
    """A living engine of the lab's. `client` changes when the engine is restarted."""

    host: Host
    cgroup: str
    argv: list[str]
    root_sha256: str | None
    """Digest of the Debian suite's root that it was started from; None for the machine's own."""
    options: Mapping[str, Any]
    """Of its daemon.json."""
    client: docker.DockerClient
    program: Program
    prefix: str = ""
    """Nobody else names anything there."""
    rootless: Rootless | None = None
    """How a user's own engine is joined to the host's network; None: it is root's."""
    versions: str = ""
    """Of the programs that join it, for a person."""

    @property
    def labels(self) -> Mapping[str, str]:
        """By which a container is known for the lab's from outside."""
        return {"bench.cgroup": self.cgroup}

    @property
    def writes_rules(self) -> bool:
        """Whether it writes firewall rules (iptables on, which is the default) for its host's network."""
        return bool(self.options.get("iptables", True)) and not self.rootless

    @property
    def is_alive(self) -> bool:
        """Whether dockerd still runs."""
        return self.program.is_alive

    @property
    def daemon_pid(self) -> int:
        """Process id of dockerd, as the host numbers them."""
        return int(read_one(self.host, f"{_folder(self.host, self.rootless)}/dockerd.pid"))

    @property
    def rootless_pid(self) -> int | None:
        """RootlessKit makes no namespace of process ids here: they are the host's."""
        return self.daemon_pid if self.rootless else None

    def last_words(self) -> str:
        """End of what dockerd wrote to its log."""
        return self.program.words()

    def describe(self, what: str | None = None) -> EngineFacts:
        """Version, API, storage driver and origin, of what is `what` for a person."""
        joined = f"{what} ({self.versions})" if what and self.versions else what
        return describe_engine(self.client, joined, self.root_sha256)

    def restart(self) -> None:
        """Stop dockerd and its containerd and start them again: a new session.

        Raises EnvironmentLacks where it does not end.
        """
        self.client.close()
        self._stop()
        self.start()

    def start(self) -> None:
        """Start dockerd again after it ended; containers of before are removed."""
        self.program, self.client = _start(self.host, self.argv, self.rootless)
        for left in self.client.containers.list(all=True, ignore_removed=True):
            left.remove(force=True)

    def _stop(self) -> None:
        # To dockerd alone: it ends its containerd itself. It may have ended before it was asked to.
        with suppress(CommandFailed, FileNotFoundError):
            self.host.run(["kill", str(self.daemon_pid)])
        if not self.program.ends(STOP_S):
            raise EnvironmentLacks(
                f"Restarting the engine of {self.host.name}",
                f"dockerd did not end within {STOP_S:g} s: {self.last_words()}",
                "Try again; if it stays so, report it with `dockerd --version`.",
            )


def describe_engine(
    client: docker.DockerClient, what: str | None, root_sha256: str | None = None
) -> EngineFacts:
    """What the engine of `client` says of itself."""
    version = client.version()
    return EngineFacts(
        what=what,
        version=version["Version"],
        api=version["ApiVersion"],
        storage_driver=client.info()["Driver"],
        root_sha256=root_sha256,
    )


def engine_argv(host_folder: str, cgroup: str, rootless: Rootless | None = None) -> list[str]:
    """Command line of the engine: no path, address or control group of another engine's.

    A `rootless` one may make no control groups: its containers' cores are those that it is started on.
    """
    own = own_folder(host_folder) if rootless else host_folder
    groups = ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{cgroup}"]
    argv = [
        "dockerd",
        *("--host", f"unix://{own}/docker.sock"),
        *("--data-root", f"{own}/data", "--exec-root", f"{own}/exec"),
        *("--pidfile", f"{own}/dockerd.pid", "--config-file", f"{host_folder}/daemon.json"),
        *("--bip", BRIDGE_ADDRESS, "--default-address-pool", ADDRESS_POOL),
        *([] if rootless else groups),
        *("--log-level", "warn"),
    ]
    argv = quiet_containerd(host_folder, argv)
    return rootless_argv(host_folder, rootless, argv) if rootless else argv


def _folder(host: Host, rootless: Rootless | None) -> str:
    """Where its socket and process id are."""
    return own_folder(host.scratch) if rootless else host.scratch


def choose_firewall(host: Host, kind: str) -> None:
    """Let every `iptables` on `host` be the one of the firewall `kind`: `nft`, `legacy`, or the machine's.

    Raises EnvironmentLacks where the machine has not both.
    """
    if kind == "machine":
        return
    names = [f"{tool}{what}" for tool in ("iptables", "ip6tables") for what in ("", "-save", "-restore")]
    for name in names:
        tool, _, what = name.partition("-")
        program = f"/usr/sbin/{tool}-{kind}" + (f"-{what}" if what else "")
        host.run(["ln", "-sfn", program, f"{ALTERNATIVES}/{name}"])
    seen = host.run(["sh", "-c", "iptables -V 2>&1 || true"]).strip()
    if {"nft": "nf_tables", "legacy": "legacy"}[kind] not in seen:
        raise EnvironmentLacks(
            f"Letting {host.name} write its rules by iptables-{kind}",
            f"`iptables -V` there says {seen!r}",
            f"It needs both of Debian's programs behind `iptables`, by links of {ALTERNATIVES}.",
        )


@contextmanager
def engine(host: Host, journal: Journal, place: DockerHost) -> Iterator[PrivateEngine]:
    """Start the engine of `place` on `host`; stop it, its containers and its control groups on the way out.

    Raises EnvironmentLacks where that engine cannot be had.
    """
    source, options, rootless = place.engine, place.options, place.rootless
    choose_firewall(host, place.firewall)
    cgroup = f"bench-{journal.run_id}-{host.name}"
    journal.write("cgroup", name=cgroup)
    put_containerd(host)
    host.put(f"{host.scratch}/daemon.json", [json.dumps(dict(options)).encode()])
    argv = engine_argv(host.scratch, cgroup, rootless)
    root = provide_engine_root(source.suite, PACKAGES.values() if rootless else ()) if source.suite else None
    versions = ""
    if rootless:
        versions = require_rootless(host, rootless, root)
        argv = as_user(host.scratch, argv)
    if root:
        argv = argv_in_root(root, host.scratch, argv)
    root_sha256 = root.sha256 if root else None
    program, client = _start(host, argv, rootless)
    found = PrivateEngine(
        host, cgroup, argv, root_sha256, options, client, program, rootless=rootless, versions=versions
    )
    try:
        yield found
    finally:
        # Containers were removed by their own `with`; should one be left, the host's end takes it.
        found.client.close()
        found.program.stop(timeout_s=5)


def _start(
    host: Host, argv: list[str], rootless: Rootless | None, attempts: int = 3
) -> tuple[Program, docker.DockerClient]:
    """Start dockerd and wait until it answers; anew where RootlessKit missed its child, `attempts` in all."""
    program = host.start(argv, "dockerd")
    try:
        return program, _connect(host, program, rootless)
    except BaseException as fault:
        program.stop()
        missed = rootless and isinstance(fault, EnvironmentLacks) and MISSED_CHILD in program.words()
        if not missed or attempts == 1:
            raise
    return _start(host, argv, rootless, attempts - 1)


def _connect(host: Host, program: Program, rootless: Rootless | None) -> docker.DockerClient:
    found: list[docker.DockerClient] = []
    faults = ["no answer"]

    def answers() -> bool:
        try:
            client = connect(host.local_socket(f"{_folder(host, rootless)}/docker.sock"))
            client.ping()
        except DockerException as fault:
            faults.append(str(fault))
            return False
        found.append(client)
        return True

    wait_until(lambda: answers() or not program.is_alive, READY_S, step_s=0.02)
    if not found:
        seen = f"it was not ready within {READY_S:g} s ({faults[-1]})" if program.is_alive else "it ended"
        raise EnvironmentLacks(
            f"Starting a private Docker Engine on {host.name}",
            f"{seen}; its last messages:\n{program.words()}\n",
            "Check that dockerd runs on this machine at all (`dockerd --version`, storage driver, cgroups).",
        )
    return found[0]
