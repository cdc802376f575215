"""One service of a Compose file as it is given: its keys, and what is said of those that are not taken."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bench.errors import InputError
from bench.scenario.compose.tree import Tree
from bench.scenario.compose.variables import Variables

FLATTEN = "`docker compose config` writes the file with all of it worked in; convert that."
PLAIN = re.compile(r"[\w./:@+=,-]{1,80}", re.ASCII)
TRUE = frozenset({"true", "yes", "on", "y", "1"})


def show(text: str) -> str:
    """A text of the file as a message may have it: what is not plain is quoted and cut."""
    return text if PLAIN.fullmatch(text) else f"{text!r:.80}"


@dataclass(frozen=True)
class Surroundings:
    """What is known of a Compose file beside its text."""

    source: str = "compose.yaml"
    """Its name, for messages."""
    folder: str | None = None
    """The absolute path of its folder, by which absolute paths are known to be in it; None: not known."""
    prefix: str | None = ""
    """Its folder as seen from the scenario's, "" where they are the same; None: it is not below it, so that
    the scenario cannot name its files."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """By which `${NAME}` is substituted."""
    read: Callable[[str], str | None] | None = None
    """The text of a file by its path in the Compose file's folder; None where it cannot be had."""


@dataclass
class Reading:
    """A conversion that goes on: what surrounds it, and what it has left out."""

    surroundings: Surroundings
    doing: str
    project: str = ""
    """The name that the file gives itself."""
    left_out: list[str] = field(default_factory=list)

    @cached_property
    def variables(self) -> Variables:
        """Of the whole file: what is unset is told once."""
        return Variables(self.surroundings.variables)

    def refuse(self, place: str, seen: str, advice: str) -> InputError:
        """To be raised: what stands at `place` cannot be used."""
        return InputError(self.doing, f"{place}: {seen}", advice)

    def below(self, given: str) -> str | None:
        """`given`, a path of the Compose file, as seen from its folder; None where it is not in there."""
        folder = self.surroundings.folder
        path = posixpath.normpath(given)
        if posixpath.isabs(path) and folder:
            path = posixpath.relpath(path, folder)
        outside = posixpath.isabs(path) or path.split("/")[0] in ("..", "~")
        return None if outside or ":" in path or "\\" in path else path

    def own_path(self, path: str) -> str:
        """`path`, seen from the Compose file's folder, as the scenario names it."""
        if self.surroundings.prefix is None:
            raise self.refuse(
                show(path),
                "a scenario names files of its own folder, and this one would not be in it",
                "Write the scenario beside the Compose file, with --output.",
            )
        return posixpath.normpath(posixpath.join(self.surroundings.prefix, path))


@dataclass(frozen=True)
class Given:
    """A service: `table` as it stands in the file. What is read of it has its variables filled in."""

    name: str
    table: Mapping[str, Tree]
    reading: Reading

    def leave(self, key: str, reason: str) -> None:
        """Note that what stands at `key` is not in the scenario, and why."""
        self.reading.left_out.append(f"{show(self.name)}.{key}: {reason}")

    def refuse(self, key: str, seen: str, advice: str = "Correct it, and try again.") -> InputError:
        """To be raised: what stands at `key` cannot be used."""
        return self.reading.refuse(f"services.{show(self.name)}.{key}", seen, advice)

    def get(self, key: str) -> Tree:
        """What stands at `key`; None where it is absent or empty."""
        try:
            return self.reading.variables.fill_tree(self.table.get(key))
        except ValueError as fault:
            raise self.refuse(key, str(fault), "Set the variable, or correct the file.") from fault

    def text(self, key: str) -> str | None:
        """A scalar."""
        found = self.get(key)
        if found is None or isinstance(found, str):
            return found or None
        raise self.refuse(key, "should be a text or a number")

    def texts(self, key: str) -> list[str]:
        """A list of scalars; one alone stands for a list of one."""
        found = self.get(key)
        if found is None:
            return []
        if isinstance(found, str):
            return [found]
        if isinstance(found, list) and all(isinstance(entry, str) for entry in found):
            return [str(entry) for entry in found]
        raise self.refuse(key, "should be a list of texts")

    def entries(self, key: str) -> list[str | dict[str, Tree]]:
        """A list of scalars and tables: a short form and a long one."""
        found = self.get(key)
        if found is None:
            return []
        entries = [entry for entry in (found if isinstance(found, list) else []) if entry]
        if not isinstance(found, list) or not all(isinstance(entry, str | dict) for entry in entries):
            raise self.refuse(key, "should be a list of texts or tables")
        return [entry for entry in entries if isinstance(entry, str | dict)]

    def mapping(self, key: str) -> dict[str, Tree]:
        """A table; absent, an empty one."""
        found = self.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        raise self.refuse(key, "should be a table")

    def is_true(self, key: str) -> bool:
        """Whether it is said to be so."""
        return is_true(self.text(key))


def is_true(found: Tree) -> bool:
    """Whether a scalar says yes."""
    return isinstance(found, str) and found.lower() in TRUE


def text_of(table: Mapping[str, Tree], key: str) -> str:
    """The scalar at `key` of a table inside of a service; empty where there is none."""
    found = table.get(key)
    return found if isinstance(found, str) else ""
