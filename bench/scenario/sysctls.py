"""Settings of a network namespace (sysctls) as a scenario gives them: names below `net.` with values."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

NAME = re.compile(r"net(\.[A-Za-z0-9_-]+){2,}")
"""Docker takes no others for a container's network; whether a setting is of each namespace, and not of the
machine alone, the kernel says."""
EXAMPLE = "net.core.somaxconn=128"


def parse_sysctls(text: str) -> dict[str, str]:
    """Name -> value of `NAME=VALUE NAME=VALUE`, where a value may be of several words
    (`net.ipv4.ip_local_port_range=1024 65535`). Raises ValueError, naming the word that is none of it.
    """
    found: dict[str, list[str]] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals and found:
            found[next(reversed(found))].append(word)
            continue
        _require_name(name if equals else word)
        if not equals or not value or name in found:
            raise ValueError(f"{word!r:.80}: give NAME=VALUE, each name once, such as {EXAMPLE}")
        found[name] = [value]
    return {name: " ".join(words) for name, words in found.items()}


def format_sysctls(given: Mapping[str, str]) -> str:
    """The text that `parse_sysctls` reads."""
    return " ".join(f"{name}={value}" for name, value in given.items())


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r:.80} is no setting of a network namespace, such as {EXAMPLE}")


def _check_text(text: str) -> str:
    parse_sysctls(text)
    return text


def _check_table(given: Mapping[str, int | str]) -> dict[str, int | str]:
    for name, value in given.items():
        _require_name(name)
        if not f"{value}".strip() or "=" in f"{value}":
            raise ValueError(f"{name}: {value!r:.80} is no value")
    return dict(given)


SysctlText = Annotated[str, AfterValidator(_check_text), Field(max_length=2_000)]
"""One text, so that it is one level of a factor; empty: as the kernel has them."""
SysctlTable = Annotated[dict[str, int | str], AfterValidator(_check_table)]
