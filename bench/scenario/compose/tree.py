"""The YAML of a Compose file as texts, lists and tables, with bounds on what becomes of it.

PyYAML composes nodes and constructs nothing. Constructing would read YAML 1.1, in which `22:22` is a number
and `on` is true; Compose reads YAML 1.2. And it would write out merges of merges, of which a page of text
makes billions. So scalars stay the texts that they are, and each field reads its own.
"""

from typing import TypeAlias

import yaml

LARGEST_TEXT = 1024 * 1024
"""Characters of a Compose file: anything larger is not one."""
MOST_NODES = 20_000
"""Values and keys: PyYAML reads some ten thousand a second."""
MOST_CHARACTERS = 4 * 1024 * 1024
"""Of the tree with its aliases written out, and of all that variables put into it."""
DEEPEST = 60
"""Levels of tables and lists within one another."""
TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(
    TAG + name
    for name in ("null", "bool", "int", "float", "str", "timestamp", "value", "merge", "map", "seq")
)

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
"""A scalar as its text, a list, a table by its keys' texts; None: nothing was given."""


def read_tree(text: str) -> Tree:
    """The one document in `text`. Raises ValueError, with what is wrong and where, for anything else."""
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"it is larger than {LARGEST_TEXT:,} characters")
    try:
        node = yaml.compose(text, Loader=_BoundedLoader)
        return _Expansion().expand(node) if node else None
    except yaml.MarkedYAMLError as fault:
        said = ", ".join(filter(None, (fault.context, fault.problem)))
        raise ValueError(f"it is no YAML: {said}{_place(fault.problem_mark)}") from fault
    except yaml.YAMLError as fault:
        said = " ".join(str(fault).split())
        raise ValueError(f"it is no YAML: {said:.200}") from fault
    except (OverflowError, RecursionError) as fault:
        raise ValueError(
            "it is no YAML of a Compose file: a character or a depth beyond all bounds"
        ) from fault


class _BoundedLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML comes without types.
    """That ends early where there is no end in sight."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        """The next node, with all that is in it."""
        self.nodes += 1
        self.depth += 1
        _require_few(self.nodes, self.depth, self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Expansion:
    """Of one document: how much may still come."""

    def __init__(self) -> None:
        self.nodes, self.characters = MOST_NODES, MOST_CHARACTERS

    def expand(self, node: yaml.Node, depth: int = 0) -> Tree:
        """What `node` says, its aliases written out."""
        self._count(node, 1, 0)
        _require_few(0, depth, node.start_mark)
        if node.tag not in PLAIN_TAGS:
            raise ValueError(f"the tag {node.tag!r:.60} means nothing here{_place(node.start_mark)}")
        if isinstance(node, yaml.MappingNode):
            return self._expand_table(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.expand(entry, depth + 1) for entry in node.value]
        return self._read_scalar(node)

    def _expand_table(self, node: yaml.Node, depth: int) -> dict[str, Tree]:
        """Own keys first, as they are told; then what is merged into them and they do not have."""
        own: dict[str, Tree] = {}
        merged: list[yaml.Node] = []
        for key_node, value in node.value:
            if key_node.tag == f"{TAG}merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise ValueError(  # noqa: TRY004 - of a text, not of an argument
                    f"a key is a text, not a list or a table{_place(key_node.start_mark)}"
                )
            self._count(key_node, 1, len(key_node.value))
            key = self._read_scalar(key_node) or ""
            if key in own:
                raise ValueError(f"the key {key!r:.60} stands there twice{_place(key_node.start_mark)}")
            own[key] = self.expand(value, depth + 1)
        for source in merged:
            if not isinstance(source, yaml.MappingNode):
                raise ValueError(  # noqa: TRY004 - of a text, not of an argument
                    f"what is merged (<<) is no table{_place(source.start_mark)}"
                )
            given = self.expand(source, depth + 1)
            assert isinstance(given, dict)
            for key, inner in given.items():
                own.setdefault(key, inner)
        return own

    def _read_scalar(self, node: yaml.Node) -> str | None:
        text = str(node.value)
        self._count(node, 0, len(text))
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"a NUL or half a character stands in a text{_place(node.start_mark)}")
        if node.tag == f"{TAG}null":
            return None
        # Plain `True` is true to Compose; `yes` and `on` are words.
        is_truth = node.tag == f"{TAG}bool" and text.lower() in ("true", "false")
        return text.lower() if is_truth else text

    def _count(self, node: yaml.Node, nodes: int, characters: int) -> None:
        self.nodes -= nodes
        self.characters -= characters
        if self.nodes < 0 or self.characters < 0:
            raise ValueError(
                f"with its aliases written out it has more than {MOST_NODES:,} values, or {MOST_CHARACTERS:,}"
                f" characters{_place(node.start_mark)}"
            )


def _require_few(nodes: int, depth: int, mark: yaml.Mark) -> None:
    if nodes > MOST_NODES:
        raise ValueError(f"it has more than {MOST_NODES:,} values{_place(mark)}")
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels are within one another{_place(mark)}")


def _place(mark: yaml.Mark | None) -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
