"""A private Docker Engine on a host of the lab: the machine's own dockerd, everything else its own.

The host's private /run hides any other containerd, so dockerd starts one of its own, in the same
network namespace; `verify_host_mode` proves that host mode lands there.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.host import Host
from bench.lab.hosts.journal import Journal
from bench.lab.servers.docker_client import connect
from bench.lab.servers.engine_root import argv_in_root, provide_engine_root
from bench.scenario.model import OWN_ENGINE

BRIDGE_ADDRESS = "198.19.0.1/24"
"""Of docker0 (`--bip`)."""
ADDRESS_POOL = "base=198.19.128.0/17,size=24"
"""Of networks that a user defines: inside the benchmarking range as well."""
READY_S = 30.0
STOP_S = 20.0


@dataclass
class Engine:
    """A living engine. `client` changes when the engine is restarted."""

    host: Host
    cgroup: str
    argv: list[str]
    origin: Mapping[str, str]
    """What it was made from: the digest of a Debian suite's root; empty for the machine's own."""
    client: docker.DockerClient
    process: command.Process

    @property
    def writes_rules(self) -> bool:
        """Whether it writes firewall rules (iptables on, which is the default)."""
        return bool(json.loads((self.host.folder / "daemon.json").read_text()).get("iptables", True))

    @property
    def is_alive(self) -> bool:
        """Whether dockerd still runs."""
        return self.process.poll() is None

    @property
    def daemon_pid(self) -> int:
        """Process id of dockerd, as the host numbers them."""
        return int((self.host.folder / "dockerd.pid").read_text())

    def last_words(self) -> str:
        """End of what dockerd wrote to its log."""
        return _last_words(self.host)

    def describe(self) -> dict[str, str]:
        """Version, API and storage driver."""
        version = self.client.version()
        return {
            "version": version["Version"],
            "api": version["ApiVersion"],
            "storage_driver": self.client.info()["Driver"],
            **self.origin,
        }

    def restart(self) -> None:
        """Stop dockerd and its containerd and start them again: a new session.

        Raises EnvironmentLacks where it does not end.
        """
        self.client.close()
        self._stop()
        self.start()

    def start(self) -> None:
        """Start dockerd again after it ended; containers of before are removed."""
        self.process = _start(self.host, self.argv)
        self.client = _connect(self.host, self.process)
        for left in self.client.containers.list(all=True, ignore_removed=True):
            left.remove(force=True)

    def _stop(self) -> None:
        # Not the process that was started: that is nsenter, which hands no signal on to dockerd.
        self.host.run(["kill", str(self.daemon_pid)])
        if not command.has_ended(self.process, STOP_S):
            raise EnvironmentLacks(
                f"Restarting the engine of {self.host.name}",
                f"dockerd did not end within {STOP_S:g} s: {self.last_words()}",
                "Try again; if it stays so, report it with `dockerd --version`.",
            )


def engine_argv(host_folder: str, cgroup: str) -> list[str]:
    """Command line of the engine: no path, address or control group of another engine's."""
    return [
        "dockerd",
        *("--host", f"unix://{host_folder}/docker.sock"),
        *("--data-root", f"{host_folder}/data", "--exec-root", f"{host_folder}/exec"),
        *("--pidfile", f"{host_folder}/dockerd.pid", "--config-file", f"{host_folder}/daemon.json"),
        *("--bip", BRIDGE_ADDRESS, "--default-address-pool", ADDRESS_POOL),
        *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{cgroup}"),
        *("--log-level", "warn"),
    ]


@contextmanager
def engine(host: Host, journal: Journal, source: str, options: Mapping[str, Any]) -> Iterator[Engine]:
    """Start an engine on `host`; stop it, its containers and its control groups on the way out.

    `source` is `machine` or `debian:<suite>`; `options` go into its daemon.json. Raises
    EnvironmentLacks where that engine cannot be had.
    """
    cgroup = f"bench-{journal.run_id}-{host.name}"
    journal.write("cgroup", name=cgroup)
    (host.folder / "daemon.json").write_text(json.dumps(dict(options)))
    argv = engine_argv(str(host.folder), cgroup)
    origin = {}
    if source != OWN_ENGINE:
        root = provide_engine_root(source.removeprefix("debian:"))
        argv = argv_in_root(root, host.folder, argv)
        origin = {"root_sha256": root.sha256}
    process = _start(host, argv)
    try:
        found = Engine(host, cgroup, argv, origin, _connect(host, process), process)
    except BaseException:
        command.stop(process)
        raise
    try:
        yield found
    finally:
        # Containers were removed by their own `with`; should one be left, the host's end takes it.
        found.client.close()
        command.stop(found.process, timeout_s=5)


def _start(host: Host, argv: list[str]) -> command.Process:
    return command.start(host.argv(argv), log=host.folder / "dockerd.log")


def _connect(host: Host, process: command.Process) -> docker.DockerClient:
    deadline = time.monotonic() + READY_S
    seen = "no answer"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client = connect(host.folder / "docker.sock")
            client.ping()
            return client
        except DockerException as fault:
            seen = str(fault)
            time.sleep(0.02)
    raise EnvironmentLacks(
        f"Starting a private Docker Engine on {host.name}",
        f"it was not ready within {READY_S:g} s ({seen}); its last messages:\n{_last_words(host)}\n",
        "Check that dockerd runs on this machine at all (`dockerd --version`, storage driver, cgroups).",
    )


def _last_words(host: Host) -> str:
    return (host.folder / "dockerd.log").read_text()[-1500:]
