"""What a service of a Compose file has from elsewhere: its image, its files, its environment."""

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from bench.scenario.compose.given import Given, is_true, show, text_of
from bench.scenario.compose.tree import Tree
from bench.scenario.compose.variables import parse_env_file
from bench.scenario.service import FIELD

IMAGE = re.compile(r"[^\s-][^\s]{0,499}")
MADE_ELSEWHERE = re.compile(r"^(?:[a-z+]+://|git@|github\.com/)|\.git(?:#|$)")
"""Contexts of a build that are no folders."""
FRESH = "a fresh container has no state: what the image has or makes itself is measured"
SOCKETS = (".sock", ".socket")


def read_source(given: Given) -> dict[str, Any]:
    """`image` or `build`. Raises InputError where there is neither, or neither can be had."""
    image = given.text("image")
    build = given.get("build")
    if isinstance(build, str):
        build = {"context": build}
    if build is not None and not isinstance(build, dict):
        raise given.refuse("build", "should be a folder, or a table")
    if image:
        if not IMAGE.fullmatch(image):
            raise given.refuse("image", f"{image!r:.80} is no name of an image")
        if build:
            given.leave("build", f"image is taken, which `docker compose build {show(given.name)}` makes")
        return {"image": image}
    if not build:
        raise given.refuse(
            "image",
            "there is neither image nor build",
            "Name the image that it is a container of, and try again.",
        )
    reason = _why_not_built(given, build)
    if not reason:
        context = given.reading.below(text_of(build, "context") or ".")
        return {"build": given.reading.own_path(context or ".")}
    command = f"`docker compose build {show(given.name)}`"
    project = _project(given)
    if not project:
        raise given.refuse("build", reason, f"Build it with {command}, and give its name as image.")
    made = f"{project}-{given.name}"
    if not IMAGE.fullmatch(made):
        raise given.refuse("build", reason, "Build it, and give its name as image.")
    given.leave("build", f"{reason}; {command} makes the image {show(made)}, which is taken in its place")
    return {"image": made}


def _why_not_built(given: Given, build: Mapping[str, Tree]) -> str:
    """What of `build` a scenario has no word for; empty where it is a folder with a Dockerfile."""
    harmless = {"context", "dockerfile", "labels", "tags", "cache_from", "cache_to", "no_cache", "pull"}
    context = text_of(build, "context") or "."
    if MADE_ELSEWHERE.search(context):
        return f"{show(context)} is elsewhere, and a scenario builds a folder of its own"
    if given.reading.below(context) is None:
        return f"{show(context)} is not in the Compose file's folder"
    dockerfile = text_of(build, "dockerfile")
    if dockerfile and posixpath.normpath(dockerfile) != "Dockerfile":
        return f"its dockerfile is {show(dockerfile)}, and a scenario builds Dockerfile only"
    # What is given empty asks for nothing.
    strange = [key for key, value in build.items() if key not in harmless and value not in (None, "", [], {})]
    return f"{show(strange[0])} is given, and a scenario builds a Dockerfile as it is" if strange else ""


def _project(given: Given) -> str:
    """By which Compose names the images that it builds; empty where it is not known."""
    surroundings = given.reading.surroundings
    name = surroundings.variables.get("COMPOSE_PROJECT_NAME") or given.reading.project
    name = name or posixpath.basename(surroundings.folder or "")
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def read_environment(given: Given) -> dict[str, str]:
    """Of `env_file` and, before it, of `environment`; what a scenario would fill in is left out."""
    found = {**_read_env_files(given), **_read_own_environment(given)}
    for name in [name for name, value in found.items() if FIELD.search(value)]:
        field = FIELD.search(found.pop(name))
        assert field
        given.leave(
            f"environment.{show(name)}",
            f"{field[0]} stands in it, and in a scenario what is in braces stands for something; there is no"
            " escape: set it in the image",
        )
    return found


def _read_own_environment(given: Given) -> dict[str, str]:
    environment = given.get("environment")
    if isinstance(environment, dict):
        entries = list(environment.items())
    else:
        entries = [_split(entry) for entry in given.texts("environment")]
    found: dict[str, str] = {}
    for name, value in entries:
        if not name or "=" in name or isinstance(value, dict | list):
            raise given.refuse("environment", f"{name!r:.80} is no variable with a text")
        if isinstance(value, str):
            found[name] = value
        elif name in given.reading.surroundings.variables:
            found[name] = given.reading.surroundings.variables[name]
        else:
            given.leave(f"environment.{show(name)}", "it is yours, and you have not set it")
    return found


def _split(entry: str) -> tuple[str, str | None]:
    name, equals, value = entry.partition("=")
    return name, value if equals else None


def _read_env_files(given: Given) -> dict[str, str]:
    found: dict[str, str] = {}
    listed = given.get("env_file")
    for entry in [listed] if isinstance(listed, str | dict) else given.entries("env_file"):
        path = text_of(entry, "path") if isinstance(entry, dict) else entry
        read = given.reading.surroundings.read
        text = read(path) if read and path and "\x00" not in path else None
        if text is None:
            where = (
                "cannot be read in the Compose file's folder" if read else "the file's folder is not known"
            )
            given.leave("env_file", f"{show(path)}: {where}; give its variables as environment")
        else:
            found |= parse_env_file(text, given.reading.surroundings.variables)
    return found


def read_volumes(given: Given) -> tuple[dict[str, str], tuple[str, ...]]:
    """`mounts`, of what is read-only and below the Compose file's folder, and `tmpfs`."""
    mounts: dict[str, str] = {}
    tmpfs: list[str] = []
    for entry in given.entries("volumes"):
        kind, source, target, read_only = _read_volume(entry)
        if kind == "tmpfs":
            tmpfs.append(target)
        elif reason := _why_not_mounted(given, kind, source, target, read_only=read_only):
            given.leave("volumes", f"{show(f'{source}:{target}' if source else target)}: {reason}")
        else:
            mounts[target] = given.reading.own_path(given.reading.below(source) or ".")
    for entry in given.texts("tmpfs"):
        target, _, options = entry.partition(":")
        if options:
            given.leave("tmpfs", f"{show(options)}, of {show(target)}: a scenario names the folder only")
        tmpfs.append(target)
    for target in tmpfs:
        if not target.startswith("/") or ":" in target:
            raise given.refuse("tmpfs", f"{target!r:.80} is no absolute path inside the container")
    return mounts, tuple(dict.fromkeys(tmpfs))


def _read_volume(entry: str | Mapping[str, Tree]) -> tuple[str, str, str, bool]:
    """Kind, source, path inside, and whether it is read-only, of either form."""
    if not isinstance(entry, str):
        kind = text_of(entry, "type") or "volume"
        return kind, text_of(entry, "source"), text_of(entry, "target"), is_true(entry.get("read_only"))
    source, colon, rest = entry.partition(":")
    if not colon:
        return "volume", "", entry, False
    target, _, mode = rest.partition(":")
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return kind, source, target, "ro" in mode.split(",")


def _why_not_mounted(given: Given, kind: str, source: str, target: str, *, read_only: bool) -> str:
    """Empty of what a scenario can mount."""
    if kind == "volume":
        return f"{FRESH}, not the volume's"
    faults = {
        f"a scenario mounts files, and nothing of the kind {show(kind)}": kind != "bind",
        "a lab has no socket of yours": source.endswith(SOCKETS),
        "it is not in the Compose file's folder; copy it there, and name it from there": (
            not source or given.reading.below(source) is None
        ),
        f"it can be written, and {FRESH}; if it is only read, add :ro": not read_only,
        "it has no absolute path inside the container": not target.startswith("/") or ":" in target,
    }
    return next((reason for reason, is_so in faults.items() if is_so), "")
