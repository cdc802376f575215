"""Containers and networks of one engine: made, started and taken away."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool, Mount, Ulimit
from requests.exceptions import RequestException

from bench.errors import MeasurementInvalid
from bench.lab.servers.engine import Engine
from bench.scenario import service
from bench.scenario.modes.model import DockerNetwork, NetworkMode

NOTICE_S = 10
LINES, LINE = 4, 250
"""Of a server's last words, in a paragraph that holds more than they."""
API_VERSION = "1.41"
"""Of Docker 20.10, the oldest engine that is tried: what an endpoint's options are written for."""
MIB = 1024 * 1024
MEANWHILE = ["/bin/sleep", "3600"]
"""What a container runs whose network alone is wanted: an hour is longer than any slot."""


def container_options(
    asked: service.Container, filled: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, Any]:
    """Docker's options for what a scenario asks of a container, whatever its network.

    `filled`: by field, what stands for it. `files`: of a file of the scenario, where it is on that host.
    """
    options: dict[str, Any] = {
        "environment": {name: service.fill(value, filled) for name, value in asked.environment.items()},
        "cap_add": list(asked.cap_add),
        "cap_drop": list(asked.cap_drop),
        "read_only": asked.read_only,
        "tmpfs": dict.fromkeys(asked.tmpfs, ""),
        "mounts": [
            Mount(inside, files[file], type="bind", read_only=True) for inside, file in asked.mounts.items()
        ],
    }
    if asked.entrypoint is not None:
        options["entrypoint"] = [service.fill(word, filled) for word in asked.entrypoint]
    if asked.command is not None:
        options["command"] = [service.fill(word, filled) for word in asked.command]
    if asked.working_dir is not None:
        options["working_dir"] = asked.working_dir
    if asked.user is not None:
        options["user"] = asked.user
    if asked.memory_mb is not None:
        options["mem_limit"] = asked.memory_mb * MIB
    if asked.shm_mb is not None:
        options["shm_size"] = asked.shm_mb * MIB
    if asked.open_files is not None:
        options["ulimits"] = [Ulimit(name="nofile", soft=asked.open_files, hard=asked.open_files)]
    return options


@contextmanager
def create_container(
    engine: Engine, doing: str, name: str, image_id: str, options: Mapping[str, Any]
) -> Iterator[Container]:
    """A container on the Docker host's cores, that is not started yet; removed on the way out.

    Raises MeasurementInvalid, `doing` that, where Docker refuses.
    """
    container = new_container(engine, doing, name, image_id, options)
    try:
        yield container
    finally:
        remove_container(container, engine)


def new_container(
    engine: Engine, doing: str, name: str, image_id: str, options: Mapping[str, Any]
) -> Container:
    """The same, for who removes it by `remove_container`."""
    try:
        return engine.client.containers.create(
            image_id,
            name=engine.prefix + name,
            cpuset_cpus=engine.host.cpus,
            labels=dict(engine.labels),
            **options,
        )
    except APIError as fault:
        raise MeasurementInvalid(doing, str(fault.explanation), "See dockerd's messages.") from fault


def remove_container(container: Container, engine: Engine) -> None:
    """End it at once, whatever it does, and take it away. What is gone needs no removing."""
    _remove(container.remove, engine, force=True)


def start_container(container: Container, doing: str) -> None:
    """Start what `create_container` made. Raises MeasurementInvalid where Docker refuses."""
    try:
        container.start()
    except APIError as fault:
        raise MeasurementInvalid(
            doing,
            str(fault.explanation),
            "Of a port that is in use on the Docker host: give the arm another `port`. Of a program that"
            " cannot be run: see the image, its command, and for which architecture it is made.",
        ) from fault


@contextmanager
def create_network(engine: Engine, name: str, network: DockerNetwork) -> Iterator[str]:
    """A network of that name, for as long as the `with` lasts; its id."""
    pool = IPAMPool(subnet=network.subnet)
    try:
        created = engine.client.networks.create(
            name,
            driver=network.driver,
            options=dict(network.options),
            ipam=IPAMConfig(pool_configs=[pool]),
            check_duplicate=True,
            labels=dict(engine.labels),
            attachable=True if network.is_of_swarm else None,
        )
    except APIError as fault:
        raise MeasurementInvalid(
            f"Creating the {network.driver} network {name}", str(fault.explanation), "See dockerd's messages."
        ) from fault
    try:
        yield str(created.id)
    finally:
        _remove(created.remove, engine)


def describe_network(network: NetworkMode) -> dict[str, Any]:
    """Docker's options by which a container joins the network of a mode, whichever address it gets."""
    if network.is_of_swarm:
        return {"network": network.docker}
    return {"network_mode": network.docker}


def _remove(remove: Callable[..., None], engine: Engine, **how: bool) -> None:
    """Remove something of a slot's. What is gone, or was a dead engine's, needs no removing."""
    try:
        remove(**how)
    except NotFound:
        pass
    except (DockerException, RequestException):
        if engine.is_alive:
            raise


def address_in(container: Container, *, ipv6: bool = False) -> str:
    """The container's IPv4 (or IPv6) address on its first network; empty where it has none."""
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    key = "GlobalIPv6Address" if ipv6 else "IPAddress"
    return next((str(network[key]) for network in networks if network[key]), "")


def describe_state(container: Container, *, lives: bool) -> str:
    """`running`, or how it ended; `lives`: whether its first process is still there."""
    if not lives:
        container.wait(timeout=NOTICE_S)  # Docker notices a moment after the kernel.
    container.reload()
    state = container.attrs["State"]
    if state["OOMKilled"]:
        return "killed by the kernel: out of its memory"
    if state["Status"] == "running":
        return "running"
    return f"{state['Status']}, exit code {state['ExitCode']}{state['Error'] and ': '}{state['Error']}"


def ended_at_once(doing: str, container: Container) -> MeasurementInvalid:
    """What ended before it could be looked at."""
    words = last_words(container)
    return MeasurementInvalid(
        doing,
        f"it ended at once ({describe_state(container, lives=False)}); its last words: {words or 'none'}",
        "See what it says; `docker run` of the same image and command should say the same.",
    )


def last_words(container: Container) -> str:
    """End of what it wrote to its log, without Apache's notices that it started: a few lines, cut."""
    lines = container.logs(tail=20).decode(errors="replace").splitlines()
    told = [line.strip() for line in lines if line.strip() and ":notice]" not in line]
    return " | ".join(line[-LINE:] for line in told[-LINES:])


def has_said(container: Container, pattern: str | None) -> bool:
    """Whether a line of its log is like `pattern`; True where nothing is waited for."""
    if pattern is None:
        return True
    lines = container.logs().decode(errors="replace").splitlines()
    return any(re.search(pattern, line) for line in lines)
