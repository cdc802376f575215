"""A suite file: scenarios that are measured one after another."""

from dataclasses import dataclass

from pydantic import Field

from bench.scenario.model import Frozen, Name
from bench.scenario.parsing import parse_file
from bench.scenario.scenario import Scenario


class SuiteFile(Frozen):
    """A file that lists scenarios."""

    name: Name
    question: str = Field(min_length=1, max_length=500)
    """What they answer together: the index's heading."""
    scenarios: tuple[str, ...] = Field(min_length=1, max_length=100)
    """Files, as seen from this one, or names of scenarios that come with bench; in the order of running."""


def parse_suite(text: str, source: str) -> SuiteFile:
    """Read a suite from TOML `text`. Raises InputError with every fault, by dotted field."""
    return parse_file(SuiteFile, text, f"Reading the suite {source}")


@dataclass(frozen=True)
class Asked:
    """What a person asks for with one command: scenarios, each with the file that it was read from."""

    name: str
    question: str
    scenarios: tuple[tuple[str, Scenario], ...]
    is_suite: bool
    """Whether they make a suite: several, or those of a suite file."""
