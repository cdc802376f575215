"""Settings of a host's own network namespace: set, and put back as they were."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from bench.errors import MeasurementInvalid
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host

SET = 'while [ $# -gt 0 ]; do printf %s "$2" > "$1" || exit 1; shift 2; done'
BEFORE = "sysctls.before"
"""File of a host's scratch folder: what stood there before `replace_sysctls`."""


@contextmanager
def hold_sysctls(host: Host, wanted: Mapping[str, str]) -> Iterator[None]:
    """Name -> value in the namespace of `host`, for as long as the `with` lasts.

    Raises MeasurementInvalid where the kernel has no such setting there, or refuses the value.
    """
    before = _set(host, wanted)
    try:
        yield
    finally:
        with suppress(CommandFailed):  # A host that died took its namespace along.
            _write(host, before)


def replace_sysctls(host: Host, wanted: Mapping[str, str]) -> None:
    """Make `wanted` so on `host`, and what an earlier call made otherwise as it was before.

    Raises MeasurementInvalid as `hold_sysctls` does; then all is as it was.
    """
    path = f"{host.scratch}/{BEFORE}"
    _write(host, json.loads("".join(host.read(path).values()) or "{}"))
    host.put(path, [b"{}"])
    host.put(path, [json.dumps(_set(host, wanted)).encode()])


def _set(host: Host, wanted: Mapping[str, str]) -> dict[str, str]:
    """Make `wanted` so, all or nothing; what stood there before."""
    before: dict[str, str] = {}
    for name, value in wanted.items():
        try:
            before[name] = host.run(["cat", _path(name)]).strip()
            _write(host, {name: value})
        except CommandFailed as fault:
            _write(host, {known: old for known, old in before.items() if known != name})
            has = f"refuses {value!r}, and it is {before[name]!r}" if name in before else "has none there"
            raise MeasurementInvalid(
                f"Setting {name} in the network namespace of {host.name}",
                f"the kernel {has} ({fault.seen.strip()[-200:]})",
                "`sysctl -a` in a container says which settings a namespace has.",
            ) from fault
    return before


def _write(host: Host, values: Mapping[str, str]) -> None:
    words = [word for name, value in values.items() for word in (_path(name), value)]
    if words:
        host.run(["sh", "-c", SET, "sh", *words])


def _path(name: str) -> str:
    return f"/proc/sys/{name.replace('.', '/')}"
