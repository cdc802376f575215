"""The Docker Engine that a person runs on a machine of theirs: used, and left as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from docker import DockerClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from bench.errors import EnvironmentLacks
from bench.lab.hosts.host import Host
from bench.lab.remote.labels import RUN, remove_labelled
from bench.lab.servers.engine import describe_engine
from bench.records.environment import EngineFacts


@dataclass
class PersonsEngine:
    """See the protocol `Engine` for what its members promise."""

    run_id: str
    find_host: Callable[[], Host]
    """Another object where its connection was lost and there is a new one; so is the next."""
    find_client: Callable[[], DockerClient]
    cgroup: str = ""
    """Its own default, whatever that is."""
    writes_rules: bool = True
    """As an engine does that nobody told otherwise; the counters show whether it is so."""
    daemon_pid: None = None
    rootless_pid: None = None
    """A rootless engine of its owner's is no mode of bench's: its paths are not proved there."""

    @property
    def host(self) -> Host:
        """The machine."""
        return self.find_host()

    @property
    def client(self) -> DockerClient:
        """On the socket that is forwarded now."""
        return self.find_client()

    @property
    def labels(self) -> Mapping[str, str]:
        """By which `bench clean --hosts` knows what was ours."""
        return {RUN: self.run_id}

    @property
    def prefix(self) -> str:
        """For a person who looks at `docker ps`."""
        return f"bench-{self.run_id}-"

    @property
    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.client.ping())
        except (DockerException, RequestException, OSError):
            return False

    def last_words(self) -> str:
        """Its log is its owner's."""
        return "see its log there (`journalctl -u docker`)"

    def describe(self, what: str | None = None) -> EngineFacts:
        """As it says of itself."""
        return describe_engine(self.client, what)

    def start(self) -> None:
        """Its owner starts it; what is left of ours is removed."""
        remove_labelled(self.client, self.run_id)

    def restart(self) -> None:
        """Never by us."""
        raise EnvironmentLacks(
            "Restarting the Docker Engine for another session",
            f"it is the engine of {self.host.name}'s owner",
            "Ask for one session: `schedule.sessions = 1`.",
        )
