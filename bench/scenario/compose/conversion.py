"""From a Compose file to the text of a scenario: one service is measured, what it needs stands beside it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from bench.errors import InputError
from bench.scenario.compose.container import read_container
from bench.scenario.compose.given import FLATTEN, Given, Reading, Surroundings, show, text_of
from bench.scenario.compose.tree import Tree, read_tree
from bench.scenario.messages import describe_fault
from bench.scenario.model import MOST_ALIVE
from bench.scenario.parsing import parse_scenario
from bench.scenario.requests import Request
from bench.scenario.service import Companion, Service
from bench.scenario.template import Served, draft_scenario
from bench.scenario.toml import tables_toml
from bench.spelling import suggest

MODES = ("host", "user-bridge")
"""That are compared where nobody says which: what a Compose file uses is a bridge of its own."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
READ_AT_THE_TOP = frozenset({"services", "version", "name", "networks", "volumes", "configs", "secrets"})
"""Keys of a file; the last four say nothing by themselves, and where a service uses one, that is named."""
Made = TypeVar("Made", Service, Companion)
ENDS = "service_completed_successfully"


@dataclass(frozen=True)
class Converted:
    """What became of a Compose file."""

    toml: str
    """A scenario, which `parse_scenario` reads."""
    left_out: tuple[str, ...]
    """What of the file is not in it, or is a guess, a line each: where it stands, and why."""


@dataclass
class _Needed:
    """What a service needs, found by following depends_on and links."""

    services: Mapping[str, Tree]
    reading: Reading
    order: list[Given] = field(default_factory=list)
    """Each behind all that it needs."""
    begun: list[str] = field(default_factory=list)
    """That are being followed, each needed by the one before it."""
    jobs: set[str] = field(default_factory=set)

    def follow(self, name: str) -> Given:
        """Add what the service `name` needs, and then itself."""
        given = self._given(name)
        if len(self.begun) + len(self.order) >= MOST_ALIVE:
            raise self.reading.refuse(
                "services", f"it needs more than {MOST_ALIVE} others", "A lab has no room for so many."
            )
        self.begun.append(name)
        for other in dict.fromkeys([*self._depends_on(given), *self._links(given)]):
            if other in self.begun:
                circle = " -> ".join(map(show, [*self.begun[self.begun.index(other) :], other]))
                raise given.refuse("depends_on", f"each needs the next: {circle}", "Break the circle.")
            if other not in {done.name for done in self.order}:
                self.follow(other)
        self.begun.pop()
        self.order.append(given)
        return given

    def _given(self, name: str) -> Given:
        table = self.services.get(name)
        if not isinstance(table, dict):
            raise self.reading.refuse(
                f"services.{show(name)}", "should be a table", "Correct it, and try again."
            )
        given = Given(name, table, self.reading)
        if table.get("extends"):
            raise given.refuse("extends", "it is not followed", FLATTEN)
        return given

    def _depends_on(self, given: Given) -> Iterator[str]:
        found = given.get("depends_on")
        conditions = found if isinstance(found, dict) else dict.fromkeys(given.texts("depends_on"))
        for name, condition in conditions.items():
            about = condition if isinstance(condition, dict) else {}
            if name not in self.services and text_of(about, "required").lower() == "false":
                given.leave("depends_on", f"{show(name)}: it is not in the file, and not required")
                continue
            self._require(given, "depends_on", name)
            if text_of(about, "condition") == ENDS:
                self.jobs.add(name)
            yield name

    def _links(self, given: Given) -> Iterator[str]:
        for link in given.texts("links"):
            name, _, alias = link.partition(":")
            self._require(given, "links", name)
            if alias and alias != name:
                given.leave("links", f"{show(link)}: it is reached as {show(name)}, not as {show(alias)}")
            yield name

    def _require(self, given: Given, key: str, name: str) -> None:
        if name not in self.services:
            near = suggest(name, list(self.services)) if len(name) < 80 else ""
            raise given.refuse(key, f"there is no service {show(name)}{near}")


def convert(
    text: str,
    service: str,
    modes: Sequence[str] = MODES,
    *,
    name: str | None = None,
    schema: str = "",
    surroundings: Surroundings | None = None,
) -> Converted:
    """A scenario that measures `service` of the Compose file `text` in `modes`, the first the baseline.

    `name` is the scenario's (absent: after the service), `schema` the address of the JSON Schema, for
    editors. Raises InputError where no scenario can be made of it.
    """
    surroundings = surroundings or Surroundings()
    reading = Reading(surroundings, f"Converting {show(surroundings.source)}")
    services = _read_services(text, reading)
    if service not in services:
        raise _no_such_service(reading, service, services)
    called = _slug(service) or "service"
    name = _slug(service) or None if name is None else name
    if not name or not NAME.fullmatch(name):
        raise reading.refuse(
            "name",
            f"{name or service!r:.80} is no name of a scenario",
            "Give one with --name: a-z, 0-9 and dashes.",
        )
    needed = _Needed(services, reading)
    measured = needed.follow(service)
    companions = tuple(
        _make_companion(given) for given in needed.order[:-1] if not _is_job(given, needed.jobs)
    )
    container = {"name": called, **read_container(measured, is_measured=True)}
    main = _make(Service, measured, container)
    _name_the_others(reading, services, needed, main)
    _name_clashes(reading, main, companions, modes)
    _name_unset(reading)
    tables = tables_toml({"service": main, "requests": (Request(path="/"),), "companions": companions})
    served = Served(called, _comment(tables))
    return Converted(_draft(reading, name, modes, schema, served), tuple(dict.fromkeys(reading.left_out)))


def _read_services(text: str, reading: Reading) -> Mapping[str, Tree]:
    try:
        tree = read_tree(text)
    except ValueError as fault:
        raise InputError(reading.doing, str(fault), "Give a Compose file (compose.yaml).") from fault
    found = tree.get("services") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(found, dict) or not found:
        raise InputError(reading.doing, "it has no table of services", "Give a Compose file (compose.yaml).")
    for key in tree:
        if key == "include":
            reading.left_out.append(f"include: other files are not read; {FLATTEN}")
        elif key not in READ_AT_THE_TOP and not key.startswith("x-"):
            near = suggest(key, sorted(READ_AT_THE_TOP)) if len(key) < 80 else ""
            reading.left_out.append(f"{show(key)}: it is no key that is known here{near}")
    try:
        reading.project = reading.variables.fill(text_of(tree, "name"))
    except ValueError as fault:
        raise reading.refuse("name", str(fault), "Set the variable, or correct the file.") from fault
    return {key: table for key, table in found.items() if not key.startswith("x-")}


def _no_such_service(reading: Reading, service: str, services: Mapping[str, Tree]) -> InputError:
    known = ", ".join(show(name) for name in [*services][:30])
    near = suggest(service, [name for name in services if len(name) < 80]) if len(service) < 80 else ""
    return InputError(
        reading.doing,
        f"there is no service {show(service)} (there are {known}){near}",
        "Name the one that is to be measured with --service.",
    )


def _is_job(given: Given, jobs: set[str]) -> bool:
    """Whether others wait for its end, so that it is none that serves; it is then named."""
    if given.name not in jobs:
        return False
    given.reading.left_out.append(
        f"{show(given.name)}: others wait for its end ({ENDS}), and a companion serves; what it"
        " does once, do in the image of the one that needs it"
    )
    return True


def _make_companion(given: Given) -> Companion:
    if not NAME.fullmatch(given.name):
        raise given.reading.refuse(
            f"services.{show(given.name)}",
            "others reach it by this name, and a scenario's names are of a-z, 0-9 and dashes, 40 at most",
            "Give it another name, here and where it is reached by it.",
        )
    return _make(Companion, given, {"name": given.name, **read_container(given, is_measured=False)})


def _make(model: type[Made], given: Given, fields: Mapping[str, Any]) -> Made:
    try:
        return model.model_validate(fields)
    except ValidationError as fault:
        said = "; ".join(describe_fault(error, model) for error in fault.errors(include_url=False)[:5])
        raise given.reading.refuse(
            f"services.{show(given.name)}", f"a scenario cannot have it: {said}", "Change it, and try again."
        ) from fault


def _name_the_others(
    reading: Reading, services: Mapping[str, Tree], needed: _Needed, service: Service
) -> None:
    """Say of the other services that they stay out, and where one is spoken of all the same."""
    taken = {given.name for given in needed.order}
    others = [name for name in services if name not in taken]
    for name in others[:100]:
        word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
        where = next((key for key, value in service.environment.items() if word.search(value)), None)
        if where:
            others.remove(name)
            reading.left_out.append(
                f"{show(name)}: depends_on does not name it, but environment.{show(where)} does; if it is"
                " needed, add it to depends_on"
            )
    if others:
        more = f" and {len(others) - 20} more" if len(others) > 20 else ""
        reading.left_out.append(
            f"{', '.join(map(show, others[:20]))}{more}: {show(needed.order[-1].name)} does not need"
            f" {'it' if len(others) == 1 else 'them'} (depends_on, links)"
        )


def _name_clashes(
    reading: Reading, service: Service, companions: Sequence[Companion], modes: Sequence[str]
) -> None:
    """In host mode all of them have their host's ports."""
    seen: dict[int, str | None] = {}
    containers: tuple[Service | Companion, ...] = (service, *companions)
    for container in containers if "host" in modes else ():
        other = seen.setdefault(container.port, container.name)
        if other != container.name:
            reading.left_out.append(
                f"{container.name}: in host mode it and {other} would both listen on {container.port}, and"
                " one could not start; tell one of them another port, or compare other modes (--mode)"
            )


def _name_unset(reading: Reading) -> None:
    unset = sorted(reading.variables.unset)
    if unset:
        more = f" and {len(unset) - 20} more" if len(unset) > 20 else ""
        reading.left_out.append(
            f"{', '.join(map(show, unset[:20]))}{more}: not set, and so empty, as in Compose"
        )


def _comment(tables: Sequence[str]) -> list[str]:
    """With what a person should know who reads them."""
    comments = {
        "[service]": "# From a Compose file: docs/compose.md.",
        "[[requests]]": "# What the load asks for: name what your users ask for.",
    }
    return [line for table in tables for line in (comments.get(table), table) if line is not None]


def _draft(reading: Reading, name: str, modes: Sequence[str], schema: str, served: Served) -> str:
    """The scenario's text. Raises InputError where it is none, as with a mode that has no companions."""
    doing = f"{reading.doing} to a scenario"
    try:
        text = draft_scenario(name, modes, schema, served)
    except ValueError as fault:
        raise InputError(doing, str(fault), "docs/modes.md describes them.") from fault
    try:
        parse_scenario(text, name)
    except InputError as fault:
        raise InputError(
            doing, fault.seen, "Choose other modes with --mode, or correct what is named of the service."
        ) from fault
    return text


def _slug(service: str) -> str:
    """`Web_App` as the name of a folder: `web-app`."""
    return re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")[:40].strip("-")
