"""One service of a Compose file as the fields of a scenario's container."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from bench.scenario.compose.files import read_environment, read_source, read_volumes
from bench.scenario.compose.given import Given, show, text_of
from bench.scenario.compose.reasons import LEFT_OUT, TAKEN
from bench.scenario.compose.tree import Tree
from bench.scenario.service import FIELD
from bench.spelling import suggest

MIB = 1024 * 1024
UNITS = {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB, "t": 1024 * 1024 * MIB}
SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:([kmgt])i?)?b?", re.IGNORECASE)
OPEN_FILES = range(16, 1_048_576 + 1)
"""Limits of file descriptors that a scenario may give."""
USUAL_PORTS: Mapping[str, int] = {
    "caddy": 80,
    "elasticsearch": 9200,
    "grafana": 3000,
    "httpd": 80,
    "mariadb": 3306,
    "memcached": 11211,
    "minio": 9000,
    "mongo": 27017,
    "mysql": 3306,
    "nats": 4222,
    "nginx": 80,
    "opensearch": 9200,
    "postgres": 5432,
    "postgis": 5432,
    "rabbitmq": 5672,
    "redis": 6379,
    "tomcat": 8080,
    "traefik": 80,
    "valkey": 6379,
}
"""Of well-known images, by the last part of their names: companions seldom publish a port."""
DEFAULT_PORT = 80
HTTP_URL = re.compile(
    r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(?P<port>\d{1,5}|\$\{?\w+\}?))?"
    r"(?P<path>/[^\s\"'`|;<>()\\]*)?(?=[\s\"'`|;<>()\\]|$)"
)
"""Of the container itself, in the words of a healthcheck."""


def read_container(given: Given, *, is_measured: bool) -> dict[str, Any]:
    """Fields of a Container of bench.scenario.service that `given` has; of the measured one `ready` too.

    Raises InputError for what can neither be taken nor left out.
    """
    fields = read_source(given)
    port = _read_port(given, str(fields.get("image", "")))
    mounts, tmpfs = read_volumes(given)
    found = {
        **fields,
        "port": port,
        "entrypoint": _read_words(given, "entrypoint"),
        "command": _read_words(given, "command"),
        "environment": read_environment(given),
        "mounts": mounts,
        "user": given.text("user"),
        "working_dir": given.text("working_dir"),
        "memory_mb": _read_memory(given),
        "open_files": _read_open_files(given),
        "cap_add": _read_capabilities(given, "cap_add"),
        "cap_drop": _read_capabilities(given, "cap_drop"),
        "read_only": given.is_true("read_only"),
        "tmpfs": tmpfs,
        "shm_mb": _read_size(given, "shm_size", given.text("shm_size")),
        "ready": _read_ready(given, port, is_measured=is_measured),
    }
    _name_the_rest(given)
    return {name: value for name, value in found.items() if value not in (None, (), {}, False)}


def _read_words(given: Given, key: str) -> tuple[str, ...] | None:
    """A command: a list, or a text as a shell would divide it."""
    found = given.get(key)
    if isinstance(found, str):
        try:
            words = shlex.split(found)
        except ValueError as fault:
            raise given.refuse(key, f"{found!r:.80} cannot be divided into words ({fault})") from fault
    else:
        words = given.texts(key)
    if found in ([], "") or (found is not None and not words):
        given.leave(key, "empty; the image's own is taken")
        return None
    for word in words:
        if field := FIELD.search(word):
            raise given.refuse(
                key,
                f"{field[0]} stands in {word!r:.80}, which a scenario would take for a field of its own",
                "Put the command into the image, or into a script that is mounted.",
            )
    return tuple(words) or None


def _read_port(given: Given, image: str) -> int:
    """Inside: the first TCP port that is published, or else exposed, or else the image's usual one."""
    ports = list(dict.fromkeys([*_published(given), *_exposed(given)]))
    if ports:
        if ports[1:]:
            others = ", ".join(map(str, ports[1:11]))
            given.leave("ports", f"{others}: one port is asked, and that is {ports[0]}")
        return ports[0]
    known = PurePosixPath(image.partition("@")[0]).name.partition(":")[0]
    port = USUAL_PORTS.get(known, DEFAULT_PORT)
    why = f"as {known} usually does" if known in USUAL_PORTS else "as nothing says where"
    given.leave(
        "ports", f"none is published or exposed: it is taken to listen on {port}, {why}; correct `port`"
    )
    return port


def _published(given: Given) -> Iterator[int]:
    for entry in given.entries("ports"):
        if isinstance(entry, dict):
            target, protocol = text_of(entry, "target"), text_of(entry, "protocol") or "tcp"
        else:
            target, _, protocol = entry.rpartition(":")[2].partition("/")
        yield from _one_port(given, "ports", target, protocol or "tcp")


def _exposed(given: Given) -> Iterator[int]:
    for entry in given.texts("expose"):
        target, _, protocol = entry.partition("/")
        yield from _one_port(given, "expose", target, protocol or "tcp")


def _one_port(given: Given, key: str, target: str, protocol: str) -> Iterator[int]:
    first = target.partition("-")[0].strip()  # Of a range.
    if not (first.isascii() and first.isdigit() and len(first) <= 5 and 1 <= int(first) <= 65535):
        raise given.refuse(key, f"{target!r:.80} is no port from 1 to 65535")
    if protocol.lower() == "tcp":
        if first != target:
            given.leave(key, f"of {show(target)} the first port counts")
        yield int(first)
    else:
        given.leave(key, f"{first}/{show(protocol)}: HTTP is asked over TCP")


def _read_size(given: Given, key: str, text: str | None) -> int | None:
    """`512m` in MiB, rounded up; None where there is no limit."""
    if text is None or text in ("0", "-1"):
        return None
    size = SIZE.fullmatch(text.strip())
    if not size:
        raise given.refuse(key, f"{text!r:.80} is no size, as 512m or 2g")
    size_bytes = round(float(size[1]) * UNITS[(size[2] or "").lower()])
    if size_bytes % MIB:
        given.leave(key, f"{text} is {-(-size_bytes // MIB)} MiB, rounded up")
    return -(-size_bytes // MIB) or None


def _read_memory(given: Given) -> int | None:
    """Of `mem_limit`, or of `deploy.resources.limits`; what else is in `deploy` is named."""
    deploy = given.mapping("deploy")
    limits = _table(_table(deploy, "resources"), "limits")
    for key in deploy:
        if key != "resources":
            given.leave(f"deploy.{show(key)}", "one container is measured, on one host")
    for key in _table(deploy, "resources"):
        if key != "limits":
            given.leave(f"deploy.resources.{show(key)}", "nothing is kept free for it: it has its host alone")
    for key in limits:
        if key != "memory":
            given.leave(
                f"deploy.resources.limits.{show(key)}", "a scenario limits memory_mb and open_files only"
            )
    own = _read_size(given, "mem_limit", given.text("mem_limit"))
    of_deploy = _read_size(given, "deploy.resources.limits.memory", text_of(limits, "memory") or None)
    return own or of_deploy


def _table(tree: Tree, key: str) -> dict[str, Tree]:
    inner = tree.get(key) if isinstance(tree, dict) else None
    return inner if isinstance(inner, dict) else {}


def _read_open_files(given: Given) -> int | None:
    limits = given.mapping("ulimits")
    for key in limits:
        if key != "nofile":
            given.leave(f"ulimits.{show(key)}", "a scenario limits memory_mb and open_files only")
    limit = limits.get("nofile")
    text = text_of(limit, "soft") if isinstance(limit, dict) else limit
    if limit is None:
        return None
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,9}", text) or int(text) not in OPEN_FILES:
        shown = text if isinstance(text, str) else str(text)
        given.leave("ulimits.nofile", f"{show(shown)} is no limit from {OPEN_FILES[0]} to {OPEN_FILES[-1]:,}")
        return None
    if isinstance(limit, dict) and text_of(limit, "hard") != text:
        given.leave("ulimits.nofile.hard", f"one limit is given, and that is the soft one, {text}")
    return int(text)


def _read_capabilities(given: Given, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.upper() for name in given.texts(key)))


def _read_ready(given: Given, port: int, *, is_measured: bool) -> dict[str, str] | None:
    """The path that its healthcheck asks for by HTTP, of the service itself and at its own port."""
    check = given.mapping("healthcheck")
    test = check.get("test")
    words = [word for word in (test if isinstance(test, list) else [test]) if isinstance(word, str)]
    if not words or words == ["NONE"] or str(check.get("disable")).lower() == "true":
        return None
    said = " ".join(words)
    if not is_measured:
        given.leave(
            "healthcheck", "a companion is waited for by its port; `ready.log` waits for a line of its log"
        )
        return None
    found = HTTP_URL.search(said)
    asked = found["port"] or "80" if found else ""
    if not found or (asked.isdigit() and int(asked) != port):
        why = f"it asks port {asked}, not {port}" if found else "it does not ask it for a path by HTTP"
        given.leave("healthcheck", f"{why}; the first request's own path is asked for until it is answered")
        return None
    path = (found["path"] or "/").partition("#")[0]
    if not re.fullmatch(r"/[\x21-\x7e]{0,7999}", path):
        given.leave("healthcheck", f"{path!r:.80} is no path of a URL as it is sent")
        return None
    times = sorted(set(check) & {"interval", "timeout", "retries", "start_period", "start_interval"})
    if times:
        given.leave("healthcheck", f"{', '.join(times)}: it is waited for 15 s, or `ready.timeout_s`")
    return {"path": path}


def _name_the_rest(given: Given) -> None:
    """Say of every key that is not taken why it is not."""
    for key, value in given.table.items():
        if key in TAKEN or key.startswith("x-") or value in (None, [], {}):
            continue
        near = suggest(key, sorted({*TAKEN, *LEFT_OUT})) if len(key) < 80 else ""
        given.leave(show(key), LEFT_OUT.get(key, f"it is no key that is known here{near}"))
