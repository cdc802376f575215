"""A scenario whole: tables that go together."""

from typing import Self

from pydantic import model_validator

from bench.scenario.contradictions import find_contradictions
from bench.scenario.messages import tables_of
from bench.scenario.tables import Tables


class Scenario(Tables):
    """A registered question: arms, load, schedule, margins and claims."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        # All at once, as the fields' own faults are.
        if faults := find_contradictions(self):
            raise ValueError("\n".join(faults))
        return self


TABLES = tables_of(Scenario)
"""Tables of a scenario file, `[[arms]]` and `[[claims]]` among them, with what each may hold."""
