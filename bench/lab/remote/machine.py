"""A machine of a person's own, for as long as a run has it: connection, engine, agent, and again if lost."""

import ipaddress
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from docker import DockerClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import EnvironmentLacks
from bench.lab.hosts import ssh
from bench.lab.hosts.host import parse_cpus
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.idle_states import IdleStates
from bench.lab.remote.agent_link import AgentLink, Berth, HostGone, agent_link
from bench.lab.remote.host import RemoteHost
from bench.lab.remote.labels import RUN, remove_labelled
from bench.lab.servers.docker_client import connect
from bench.lab.servers.image import provide_host_image
from bench.records.environment import MachineFacts, RealHostFacts
from bench.scenario.hosts import LoadHost, RealHost

OLDEST_API = (1, 41)
"""Of Docker 20.10."""
OURS = ("dockerd", "containerd", "containerd-shim", "docker-proxy", "sshd", "sshd-session")
"""Programs that work for a load, or for us, and are nobody's children: not taken for a neighbour."""
CLOCK_ROUNDS = 10
ANOTHER_MACHINE = (
    "Name another machine to load from. On one machine, `bench run` without --hosts has a lab that keeps"
    " the two apart."
)


@dataclass
class RealMachine:
    """One machine of the hosts file."""

    name: str
    role: Literal["docker", "load"]
    asked: RealHost
    target: str
    """The address under test: its own, or the one that its load goes to."""
    run_id: str
    folder: Path
    """Here, for what is fetched from there."""
    descriptors: int
    """Open files that any program there may need."""
    engines: dict[str, str]
    """Id of an engine -> the machine of the hosts file that has it; of all machines of the run."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Connect, and start the agent. Raises EnvironmentLacks, saying what is missing there."""
        try:
            self._open()
        except (DockerException, RequestException, OSError) as fault:
            raise EnvironmentLacks(
                f"Preparing the host {self.name}",
                f"its Docker Engine, or the way to it, failed: {fault}",
                "Look at it there (`docker info`), then try again.",
            ) from fault

    def _open(self) -> None:
        self._stack = ExitStack()
        try:
            self.connection = self._stack.enter_context(ssh.connect(self.name, self.asked.ssh_words))
            self.client = reach_engine(self.name, self.asked, self.connection)
            self._stack.callback(self.client.close)
            self._require_own_engine()
            berth = Berth(self.name, self.client, self.asked.socket, self._provide_image(), self.run_id)
            self.link: AgentLink = self._stack.enter_context(agent_link(berth))
            # The agent's name is the lock: whatever else carries a label is of a run that is dead.
            remove_labelled(self.client, None)
            self.link.ask("allow_descriptors", {"wanted": self.descriptors})
            self.host = self._find_host()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The agent removes what is ours, and the connection ends. Idempotent."""
        with suppress(DockerException, RequestException, OSError):  # Of a host that is gone.
            self._stack.close()

    @property
    def is_alive(self) -> bool:
        """Whether its connection stands and its agent answers."""
        return self.connection.is_alive and self.link.is_alive and self._answers()

    def _answers(self) -> bool:
        try:
            self.link.ask("clock")
        except HostGone:
            return False
        return True

    def _require_own_engine(self) -> None:
        other = self.engines.setdefault(str(self.client.info()["ID"]), self.name)
        if other != self.name:
            raise EnvironmentLacks(
                f"Looking at the Docker Engine of {self.name}",
                f"it is that of {other}: they are one machine (or were cloned, with Docker's own identity)",
                ANOTHER_MACHINE,
            )

    def _provide_image(self) -> str:
        try:
            return provide_host_image(self.client)
        except (DockerException, RequestException, OSError) as fault:
            raise EnvironmentLacks(
                f"Loading bench's image into the Docker Engine of {self.name}",
                f"{fault}",
                "It needs about half a GB of room where Docker keeps its data (`docker info`, Root Dir).",
            ) from fault

    def _find_host(self) -> RemoteHost:
        probe = RemoteHost(self.name, (), "0", "", self.link, self.folder)
        may = self.link.ask("cores")
        cores = self.asked.cores or ",".join(map(str, may))
        addresses = json.loads(self.link.ask("run", {"argv": ["ip", "-j", "address"], "timeout_s": 10.0}))
        links = {
            link["ifname"]: [f"{info['local']}/{info['prefixlen']}" for info in link["addr_info"]]
            for link in addresses
        }
        if self.role == "docker":
            own = [name for name, has in links.items() if any(_is(at, self.target) for at in has)]
            if not own:
                known = [at for name, has in links.items() if name != "lo" for at in has]
                raise EnvironmentLacks(
                    f"Looking for the address {self.target} on {self.name}",
                    f"none of its links has it; it has {', '.join(known) or 'none'}",
                    "Give `address` as the machine itself knows it, without a translation on the way.",
                )
            uplink = own[0]
        else:
            argv = ["ip", "-j", "route", "get", self.target]
            [route, *_] = json.loads(self.link.ask("run", {"argv": argv, "timeout_s": 10.0}))
            uplink = route["dev"]
            if uplink == "lo":
                raise EnvironmentLacks(
                    f"Looking for the way from {self.name} to {self.target}",
                    "the address is its own: the load host and the Docker host are one machine",
                    ANOTHER_MACHINE,
                )
        if lacks := set(parse_cpus(cores)) - set(may):
            raise EnvironmentLacks(
                f"Looking for the cores {cores} of {self.name}",
                f"a container there may not have {', '.join(map(str, sorted(lacks)))}; it may have"
                f" {', '.join(map(str, may))}",
                "Give others as `cores`, or none.",
            )
        if isinstance(self.asked, LoadHost) and self.asked.workers > len(parse_cpus(cores)):
            raise EnvironmentLacks(
                f"Placing the workers of {self.name}",
                f"{self.asked.workers} are asked for, and it has the cores {cores}",
                "Each worker needs a core of its own: ask for fewer.",
            )
        own_addresses = tuple(at for at in links[uplink] if ":" not in at)
        return RemoteHost(probe.name, own_addresses, cores, uplink, self.link, self.folder)

    def describe(self) -> RealHostFacts:
        """As it is now."""
        folder = f"/sys/class/net/{self.host.uplink}"
        read = self.host.read(f"{folder}/mtu", f"{folder}/speed", "/proc/loadavg")
        kinds = json.loads(self.host.run(["ip", "-j", "-d", "link", "show", self.host.uplink]))
        speed = read.get(f"{folder}/speed", "").strip()
        apart_ms, error_ms = self._compare_clocks()
        return RealHostFacts(
            role=self.role,
            machine=MachineFacts(**self.link.ask("describe")),
            engine=self.client.version()["Version"],
            link=self.host.uplink,
            link_kind=kinds[0].get("linkinfo", {}).get("info_kind", "physical"),
            mtu=int(read[f"{folder}/mtu"]),
            speed_mbit=int(speed) if speed.isdigit() and int(speed) else None,
            load_average=float(read["/proc/loadavg"].split()[0]),
            clock_apart_ms=apart_ms,
            clock_error_ms=error_ms,
        )

    def boot(self) -> str:
        """Which boot of which kernel it is."""
        return str(self.link.ask("clock")["boot_id"])

    def _compare_clocks(self) -> tuple[float, float]:
        """(its wall clock less ours, by how much that may be wrong), ms: by the quickest answer."""
        found = []
        own_offset_ns = time.time_ns() - time.monotonic_ns()
        for _ in range(CLOCK_ROUNDS):
            asked_ns = time.monotonic_ns()
            told = self.link.ask("clock")
            round_ns = time.monotonic_ns() - asked_ns
            theirs_ns = told["monotonic_ns"] + told["realtime_offset_ns"]
            ours_ns = asked_ns + round_ns / 2 + own_offset_ns
            found.append((round_ns / 2e6, (theirs_ns - ours_ns) / 1e6))
        error_ms, apart_ms = min(found)
        return apart_ms, error_ms

    # What is watched while something is measured: the protocol `Watch`.

    def begin_activity(self) -> None:
        """By the agent."""
        self.link.ask("begin_activity")

    def end_activity(self) -> Activity:
        """Containers of ours are not strays."""
        containers = self.client.containers.list(filters={"label": f"{RUN}={self.run_id}"})
        pids = [container.attrs["State"]["Pid"] for container in containers]
        return Activity(**self.link.ask("end_activity", {"own_pids": pids, "own_names": OURS}))

    def time_fixed_work(self) -> float:
        """By the agent."""
        return float(self.link.ask("time_fixed_work"))

    @contextmanager
    def hold_idle_states(self, *, by_loop: bool) -> Iterator[IdleStates]:  # noqa: ARG002
        """By a file that the agent holds; never by a loop, whose control group is not its to make."""
        idle = IdleStates(self.link.ask("hold_idle_states"))
        try:
            yield idle
        finally:
            if self.link.is_alive:
                self.link.ask("release_idle_states")


def reach_engine(name: str, asked: RealHost, connection: ssh.Connection) -> DockerClient:
    """Docker's client on the forwarded socket of a host's engine. Raises EnvironmentLacks."""
    doing = f"Reaching the Docker Engine of {name} at {asked.socket}"
    try:
        client = connect(connection.forward(asked.socket))
        version = client.version()
    except (DockerException, RequestException, OSError) as fault:
        seen, advice = _find_why(asked, connection)
        raise EnvironmentLacks(doing, seen or f"no answer ({fault})", advice) from fault
    if tuple(map(int, version["ApiVersion"].split("."))) < OLDEST_API:
        raise EnvironmentLacks(
            doing,
            f"it is Docker {version['Version']} (API {version['ApiVersion']})",
            "Docker 20.10 or newer is needed.",
        )
    return client


def _is(with_prefix: str, address: str) -> bool:
    return ipaddress.ip_interface(with_prefix).ip == ipaddress.ip_address(address)


LOOK = "if [ ! -S {0} ]; then echo absent; elif [ ! -w {0} ]; then echo closed; else echo there; fi"
FORWARDING = (
    "Dockerd must answer there (`docker version`), and sshd must forward, as it does by default:"
    " AllowTcpForwarding, AllowStreamLocalForwarding."
)
WHY = {
    "absent": (
        "there is no such socket",
        "Install Docker there and start it; where its socket is another, say `socket` in the hosts file.",
    ),
    "closed": (
        "the user there may not use it",
        "As root there: `usermod -aG docker USER`; then log in anew.",
    ),
    "there": (
        "the socket is there, and nothing comes through to it",
        FORWARDING,
    ),
}
"""What a look from a shell shows, since sshd does not say why it forwards nothing -> what to say and do."""


def _find_why(asked: RealHost, connection: ssh.Connection) -> tuple[str, str]:
    """(what was seen, what helps), where the engine does not answer on its forwarded socket."""
    found = connection.ask(LOOK.format(asked.socket))
    return WHY.get(found, (connection.last_words(), " ".join(advice for _, advice in WHY.values())))
