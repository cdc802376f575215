"""How a container was really started, as facts that must be equal in all arms."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from bench.lab.servers.server import Server
from bench.scenario.service import Service, fill
from bench.slots.surroundings import Facts

OF_ONE_CONTAINER = frozenset({"HOSTNAME"})
"""Variables that name the container itself."""
UNSHOWN = 12
"""Characters of a value's digest: values may be secret, and reports are passed on."""


def describe_start(server: Server, service: Service) -> Facts:
    """Image, command, environment, mounts, user, limits and log of `server`, as its engine has them.

    What a field of the scenario stands for (`{port}`) is named by the field: it differs from slot to slot.
    """
    if server.container is None:
        return {}
    return dict(_describe(server.container.attrs, server.filled, service))


def _describe(
    found: Mapping[str, Any], filled: Mapping[str, str], service: Service
) -> Iterator[tuple[str, str]]:
    config, host = found["Config"], found["HostConfig"]
    command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    asked = {fill(word, filled): word for word in service.words}
    yield "started as", " ".join(asked.get(word, word) for word in command)
    for variable in config.get("Env") or ():
        name, _, value = variable.partition("=")
        if name not in OF_ONE_CONTAINER:
            template = service.environment.get(name)
            yield f"variable {name}", template if template and "{" in template else _digest(value)
    yield "user", str(config.get("User") or "the image's root")
    yield "log driver", str(host["LogConfig"]["Type"])
    for name, key in (
        ("memory limit", "Memory"),
        ("capabilities added", "CapAdd"),
        ("capabilities dropped", "CapDrop"),
        ("read-only root", "ReadonlyRootfs"),
        ("ulimits", "Ulimits"),
        ("tmpfs", "Tmpfs"),
        ("shared memory", "ShmSize"),
        ("runtime", "Runtime"),
    ):
        yield name, str(host.get(key))
    mounted = (
        f"{mount['Destination']} ({'rw' if mount['RW'] else 'ro'})" for mount in found.get("Mounts") or ()
    )
    yield "mounts", ", ".join(sorted(mounted)) or "none"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:UNSHOWN]
