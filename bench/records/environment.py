"""What a figure was measured on: facts of the machine, the engines, the image and the lab.

All of them are text, as it was read; one that an earlier version did not read is None, and is not written.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bench.stored import Amount, Count, Stored

UNKNOWN = "unknown"
SAME_KERNEL_LAB = "same-kernel lab"
"""Vantage of a client that is a namespace of the Docker host's own machine."""
REMOTE = "remote"
"""Vantage of a client on another machine: another kernel than the Docker host's."""


class Described(Stored):
    """Facts by name."""

    @model_serializer(mode="wrap")
    def _without_unknown(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    def stated(self) -> dict[str, str]:
        """Each fact that is known, as it is stored."""
        return self.model_dump()


class MachineFacts(Described):
    """The machine that all of a run's hosts are on; of a run on real hosts, that of its Docker host."""

    host: str | None = None
    """Its name."""
    kernel: str | None = None
    kernel_version: str | None = None
    architecture: str | None = None
    distribution: str | None = None
    cpu: str | None = None
    """Its model."""
    cores: str | None = None
    """Their number, as of the next their list."""
    usable_cores: str | None = None
    memory_gib: str | None = None
    virtualisation: str | None = None
    clocksource: str | None = None
    idle_driver: str | None = None
    frequency_governor: str | None = None
    mitigations: str | None = None
    netdev_tstamp_prequeue: str | None = None
    python: str | None = None

    def differing(self, other: "MachineFacts") -> list[str]:
        """Names of the facts, of those that figures depend on, that `other` has otherwise."""
        names = ("kernel", "cpu", "usable_cores", "architecture")
        return [name for name in names if getattr(self, name) != getattr(other, name)]


class EngineFacts(Described):
    """The Docker Engine of one host."""

    what: str | None = None
    """Which it is, for a person; None in a capacity measurement."""
    version: str = Field(min_length=1)
    api: str | None = None
    storage_driver: str | None = None
    root_sha256: str | None = None
    """Of the root file system of a Debian suite's engine."""


class ImageFacts(Described):
    """The one image that every arm ran; without facts until it was provided."""

    id: str | None = None
    """Docker's, the digest of its configuration."""
    suite: str | None = None
    """Of Debian, from whose packages its base was made."""
    base_sha256: str | None = None
    recipe_sha256: str | None = None
    """Of all that was added to the base."""
    source: str | None = None
    """Of a person's own: the name, archive or folder that the scenario gives; and for what it is made."""
    architecture: str | None = None


class HostFacts(Stored):
    """One host of the lab; stored as `198.18.0.10/24; cores 0`."""

    addresses: tuple[str, ...] | None
    """With their prefix lengths; None where they were not recorded."""
    cores: str
    """As the kernel lists them."""

    def __str__(self) -> str:
        cores = f"cores {self.cores}"
        return cores if self.addresses is None else f"{', '.join(self.addresses) or 'no address'}; {cores}"

    @model_validator(mode="before")
    @classmethod
    def _read(cls, stored: Any) -> Any:
        if not isinstance(stored, str):
            return stored
        found = re.fullmatch(r"(?:(.+); )?cores (\S+)", stored)
        if not found:
            raise ValueError(f"{stored!r:.60} is no host: `ADDRESSES; cores LIST`")
        addresses, cores = found.groups()
        listed = () if addresses == "no address" else addresses and tuple(addresses.split(", "))
        return {"addresses": listed, "cores": cores}

    @model_serializer
    def _write(self) -> str:
        return str(self)


class RealHostFacts(Stored):
    """A machine of the person's own, as it was when a run began on it."""

    role: Literal["docker", "load"]
    machine: MachineFacts
    engine: str
    """Version of its Docker Engine."""
    link: str
    """That the load takes."""
    link_kind: str
    """As the kernel calls it: `veth`, `bond`, ...; `physical` of a device."""
    mtu: Count
    speed_mbit: Count | None
    """None where the link does not say."""
    load_average: Amount
    """Of the last minute, as the run began there: the loading of its image may be in it."""
    clock_apart_ms: float
    """Its CLOCK_REALTIME less the controller's."""
    clock_error_ms: Amount
    """By which that may be wrong: half of the round trip in which it was asked."""
    same_kernel_as: str | None = None
    """Another host of the run, that is of the same boot of the same kernel: one machine."""


class LabFacts(Stored):
    """The lab's hosts, and where its client stands; stored as one table, a line a host."""

    hosts: Mapping[str, HostFacts] = {}
    vantage: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, stored: Any) -> Any:
        if not isinstance(stored, dict) or isinstance(stored.get("hosts"), Mapping):
            return stored
        hosts = {name: value for name, value in stored.items() if name != "vantage"}
        return {"hosts": hosts, "vantage": stored.get("vantage")}

    @model_serializer
    def _write(self) -> dict[str, str]:
        return self.stated()

    def stated(self) -> dict[str, str]:
        """Each fact that is known, as it is stored."""
        hosts = {name: str(host) for name, host in self.hosts.items()}
        return hosts | ({} if self.vantage is None else {"vantage": self.vantage})
