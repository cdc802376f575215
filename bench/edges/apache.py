"""One fresh Apache container, joined to the network in an arm's mode, for as long as the `with` lasts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from bench.core.errors import MeasurementInvalid
from bench.core.scenario import Arm, Mode
from bench.edges.engine import Engine
from bench.edges.host import Endpoint

CONTAINER_PORT = 80


@dataclass(frozen=True)
class Apache:
    """A started container. That it answers is seen from the client host, not here."""

    container: Container
    started_ns: int
    """CLOCK_MONOTONIC just before the engine was asked to start it."""

    @property
    def image_id(self) -> str:
        """Of the container as the engine has it, not as it was asked for."""
        return str(self.container.attrs["Image"])

    @property
    def cpuset(self) -> str:
        """Cores that the engine confines the container to."""
        return str(self.container.attrs["HostConfig"]["CpusetCpus"])

    def last_words(self) -> str:
        """End of what Apache wrote to its error log."""
        return self.container.logs(tail=20).decode(errors="replace")[-1000:]


def endpoint_of(arm: Arm, engine: Engine) -> Endpoint:
    """Where the client host finds `arm`, known before its container exists."""
    return Endpoint(engine.host.address, arm.port)


def network_options(arm: Arm, address: str) -> dict[str, Any]:
    """Docker's options for the arm's mode: the one thing in which arms differ."""
    match arm.mode:
        case Mode.HOST:
            return {"network_mode": "host", "environment": {"BENCH_LISTEN": f"{address}:{arm.port}"}}
        case Mode.BRIDGE:
            return {
                "network_mode": "bridge",
                "environment": {"BENCH_LISTEN": str(CONTAINER_PORT)},
                "ports": {f"{CONTAINER_PORT}/tcp": (address, arm.port)},
            }


@contextmanager
def apache(engine: Engine, image_id: str, arm: Arm, name: str) -> Iterator[Apache]:
    """Create and start a container of the image in the arm's mode; remove it on the way out."""
    doing = f"Starting Apache for the arm {arm.name} ({arm.mode} mode, port {arm.port})"
    try:
        container = engine.client.containers.create(
            image_id,
            name=name,
            cpuset_cpus=engine.host.cpus,
            labels={"bench.cgroup": engine.cgroup},
            **network_options(arm, engine.host.address),
        )
    except APIError as fault:
        raise MeasurementInvalid(doing, str(fault.explanation), "See dockerd's messages above.") from fault
    try:
        started_ns = time.monotonic_ns()
        try:
            container.start()
        except APIError as fault:
            raise MeasurementInvalid(
                doing,
                str(fault.explanation),
                "If the port is in use on the lab's host, give the arm another `port`.",
            ) from fault
        yield Apache(container, started_ns)
    finally:
        with suppress(NotFound):
            container.remove(force=True)


def network_inode(apache_: Apache, engine: Engine) -> int:
    """Inode of the network namespace in which the container's first process really is."""
    apache_.container.reload()
    pid = apache_.container.attrs["State"]["Pid"]
    return int(engine.host.run(["stat", "-L", "-c", "%i", f"/proc/{pid}/ns/net"]))
