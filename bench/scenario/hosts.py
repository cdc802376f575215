"""A hosts file: machines of one's own on which a scenario is measured, reached over SSH.

[docker.web1]
ssh = "web1.example"
address = "198.18.0.100"

[load.gen1]
ssh = "-J bastion me@gen1.example"
"""

import shlex
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bench.scenario.load import MOST_WORKERS
from bench.scenario.model import Frozen
from bench.scenario.parsing import parse_file

CPU_LIST = r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"
DOCKER_SOCKET = "/var/run/docker.sock"


def _require_destination(given: str) -> str:
    try:
        words = shlex.split(given)
    except ValueError as fault:
        raise ValueError(f"{given!r:.80} cannot be split into words: {fault}") from None
    if not words or words[-1].startswith("-"):
        raise ValueError(f"{given!r:.80} names no host: say what you type after `ssh`, the host last")
    return given


def _require_address(given: str) -> str:
    try:
        address = ip_address(given)
    except ValueError:
        raise ValueError(f"{given!r:.80} is no IP address: the one that the load shall go to") from None
    if address.version != 4 or address.is_loopback or address.is_multicast or address.is_unspecified:
        raise ValueError(f"{given} should be an IPv4 address that other machines can reach")
    return given


class RealHost(Frozen):
    """A machine of one's own."""

    ssh: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_require_destination)]
    """What one types after `ssh` to come there, as words of a shell: `web1`, `-p 2222 me@web1`."""
    cores: Annotated[str, Field(pattern=CPU_LIST, max_length=200)] | None = None
    """As the kernel lists them; absent: all that its containers may have."""
    socket: str = Field(default=DOCKER_SOCKET, pattern=r"^/[^\x00\s:]+$", max_length=100)
    """Of its Docker Engine."""

    @property
    def ssh_words(self) -> list[str]:
        """`ssh` in words."""
        return shlex.split(self.ssh)


class RealDockerHost(RealHost):
    """The machine whose network modes are measured: its cores are the servers'."""

    address: Annotated[str, AfterValidator(_require_address)]
    """Where the load shall find the servers; often in another network than the one that ssh takes."""


class LoadHost(RealHost):
    """A machine that sends load; its workers have a core of `cores` each."""

    workers: int = Field(default=1, ge=1, le=MOST_WORKERS)


HostName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]


class HostsFile(Frozen):
    """The machines that a scenario is measured on."""

    docker: Mapping[HostName, RealDockerHost] = Field(min_length=1, max_length=1)
    """One: arms are compared on one machine."""
    load: Mapping[HostName, LoadHost] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _are_others(self) -> Self:
        if both := sorted(set(self.docker) & set(self.load)):
            raise ValueError(
                f"{both[0]} is a Docker host and a load host: name two machines, or one by two names"
            )
        return self

    @property
    def docker_name(self) -> str:
        """Of the one Docker host."""
        return next(iter(self.docker))

    @property
    def docker_host(self) -> RealDockerHost:
        """The one that there is."""
        return self.docker[self.docker_name]

    @property
    def hosts(self) -> dict[str, RealHost]:
        """All of them by name, the Docker host first."""
        return {**self.docker, **self.load}

    def workers(self) -> list[str]:
        """The load host of each worker, in the order in which they are numbered: a round of the hosts after
        another, so that few connections too come from as many machines as they can."""
        rounds = max(host.workers for host in self.load.values())
        return [name for number in range(rounds) for name, host in self.load.items() if number < host.workers]


def parse_hosts(text: str, source: str) -> HostsFile:
    """Read a hosts file from TOML `text`. Raises InputError with every fault, by dotted field."""
    return parse_file(HostsFile, text, f"Reading the hosts file {source}", "docs/real-hosts.md")
