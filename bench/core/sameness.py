"""Evidence of sameness: what arms found around them, compared, less what a mode implies.

Arms must differ in nothing but the network. A difference that the mode itself brings about is
explained by a rule here; any other is a warning on the verdict.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

Facts = Mapping[str, str]
"""Facts by name: link, offloads, sysctls of the namespace, limits, configuration."""


@dataclass(frozen=True)
class Explanation:
    """Why facts whose names match `names` may differ between two network namespaces."""

    names: str
    """Regular expression, matched from the start of the name."""
    reason: str


EXPLANATIONS: tuple[Explanation, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One fact that differs between an arm and the baseline."""

    arm: str
    fact: str
    baseline_value: str | None
    value: str | None
    explanation: str | None


def digest(facts: Facts) -> str:
    """Short name of a set of facts: equal digests are equal surroundings."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:12]


def compare(arm: str, baseline: Facts, facts: Facts) -> list[Difference]:
    """Every fact in which `facts` differ from the baseline's, with what explains it."""
    return [
        Difference(arm, name, baseline.get(name), facts.get(name), explain(name))
        for name in sorted(baseline.keys() | facts.keys())
        if baseline.get(name) != facts.get(name)
    ]


def explain(fact: str) -> str | None:
    """Why `fact` may differ between arms; None if nothing that a mode implies does."""
    for explanation in EXPLANATIONS:
        if re.match(explanation.names, fact):
            return explanation.reason
    return None
