"""`${NAME:-default}` in a Compose file, by Compose's rules, and the files of variables that it names."""

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.scenario.compose.tree import MOST_CHARACTERS, Tree

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATOR = re.compile(r"(:?[-?+])(.*)", re.DOTALL)
DEEPEST_DEFAULT = 10
"""Defaults within defaults: `${A:-${B:-c}}` has two."""
ENTRY = re.compile(r"(?:export\s+)?([^\s=:#]+)\s*(?:[=:](.*))?")
QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass
class Variables:
    """Values by name, and what became of them."""

    values: Mapping[str, str]
    unset: set[str] = field(default_factory=set)
    """That were asked for, had no value and no default, and became nothing, as they do in Compose."""
    room: int = MOST_CHARACTERS
    """Characters that texts may still become."""

    def fill_tree(self, tree: Tree) -> Tree:
        """`tree` with its texts filled; keys stay, as in Compose. Raises ValueError as `fill` does."""
        if isinstance(tree, dict):
            return {key: self.fill_tree(inner) for key, inner in tree.items()}
        if isinstance(tree, list):
            return [self.fill_tree(inner) for inner in tree]
        return self.fill(tree) if isinstance(tree, str) else tree

    def fill(self, text: str, depth: int = 0) -> str:
        """`text` with its variables. Raises ValueError where Compose would take it for a mistake."""
        if "$" not in text:
            return text
        if depth > DEEPEST_DEFAULT:
            raise ValueError(f"more than {DEEPEST_DEFAULT} defaults within one another")
        filled, at = [], 0
        while (dollar := text.find("$", at)) >= 0:
            filled.append(text[at:dollar])
            after = text[dollar + 1 : dollar + 2]
            if after == "$":
                filled.append("$")
                at = dollar + 2
            elif after == "{":
                at = _closing(text, dollar) + 1
                filled.append(self._fill_braced(text[dollar + 2 : at - 1], depth))
            elif name := NAME.match(text, dollar + 1):
                filled.append(self._value(name[0]))
                at = name.end()
            else:
                raise ValueError(f"{text[dollar:]!r:.60} is no variable; write $$ for a dollar")
            self.room -= len(filled[-1])
            if self.room < 0:
                raise ValueError("its variables make more text than a Compose file has")
        return "".join([*filled, text[at:]])

    def _fill_braced(self, inside: str, depth: int) -> str:
        name = NAME.match(inside)
        rest = inside[name.end() :] if name else ""
        operator = OPERATOR.fullmatch(rest)
        if not name or (rest and not operator):
            raise ValueError(f"${{{inside!s:.60}}} is no variable; write $$ for a dollar")
        if not operator:
            return self._value(name[0])
        kind, word = operator.groups()
        value = self.values.get(name[0])
        has_one = bool(value) if kind.startswith(":") else value is not None
        if kind.endswith("+"):
            return self.fill(word, depth + 1) if has_one else ""
        if has_one:
            return value or ""
        if kind.endswith("?"):
            raise ValueError(f"the variable {name[0]} has no value: {word or 'it is required':.200}")
        return self.fill(word, depth + 1)

    def _value(self, name: str) -> str:
        if name not in self.values:
            self.unset.add(name)
        return self.values.get(name, "")


def _closing(text: str, dollar: int) -> int:
    """Where the brace that opens behind `dollar` is closed again."""
    open_braces, at = 1, dollar + 2
    while at < len(text):
        if text.startswith("${", at):
            open_braces, at = open_braces + 1, at + 1
        elif text[at] == "}":
            open_braces -= 1
            if not open_braces:
                return at
        at += 1
    raise ValueError(f"{text[dollar:]!r:.60} is not closed; write $$ for a dollar")


def parse_env_file(text: str, outside: Mapping[str, str]) -> dict[str, str]:
    """Variables of `text`, a line each: `NAME=value`, in quotes or not, or `NAME` alone, which `outside` has.

    A value may ask for variables before it and for those `outside`, but in single quotes.
    What is no such line says nothing, as in Compose's own reading of what is no variable.
    """
    found: dict[str, str] = {}
    known = ChainMap(found, dict(outside))
    for line in text.splitlines():
        entry = ENTRY.fullmatch(line.strip())
        if not entry:
            continue
        name, value = entry.groups()
        if value is None:
            found |= {name: outside[name]} if name in outside else {}
        else:
            found[name] = _read_value(value.strip(), known)
    return found


def _read_value(given: str, known: Mapping[str, str]) -> str:
    quoted = QUOTED.match(given)
    if quoted and quoted[1] is not None:
        return quoted[1]
    plain = re.split(r"(?:^|\s)#", given, maxsplit=1)[0].strip()
    text = re.sub(r"\\(.)", lambda found: ESCAPED.get(found[1], found[1]), quoted[2]) if quoted else plain
    try:
        return Variables(known).fill(text)
    except ValueError:
        return text  # A dollar of a password.
