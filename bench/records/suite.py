"""Several scenarios one after another: what was asked, how far each came, and the suite's exit code.

Each scenario keeps a run of its own. A suite adds the order, a common budget and one index.
"""

from collections.abc import Iterable

from pydantic import Field

from bench.errors import ExitCode
from bench.records.run import Status
from bench.scenario.scenario import Scenario
from bench.stored import Moment, Stored

SUITE_SCHEMA_VERSION = 1
"""Of suite.json."""
ENDED = (Status.COMPLETE, Status.PRECISE, Status.DECIDED, Status.BUDGET_SPENT)
"""A run of these has come to the end that was asked for: a resumed suite leaves it as it is."""
SEVERITY = (
    ExitCode.INTERNAL_ERROR,
    ExitCode.ENVIRONMENT,
    ExitCode.BAD_INPUT,
    ExitCode.INVALID_MEASUREMENT,
    ExitCode.DONE,
)
"""The suite exits with the first of these that one of its runs ended with: a bug hides behind nothing,
and what could not be measured weighs more than what was measured and is void. Bad input: the record of a run
that was to go on is damaged."""


class Entry(Stored):
    """One scenario of a suite."""

    source: str
    """As the person named it."""
    scenario: Scenario
    seed: int = Field(ge=0)
    budget_s: float | None = Field(gt=0)
    """Its share of the suite's budget."""
    run: str | None = Field(default=None, pattern=r"^\.\./\.\./[a-z0-9-]{1,40}/[0-9A-Za-z-]{1,40}$")
    """Its run's folder, as seen from the suite's, and an address in its index; None until it begins."""
    status: Status | None = None
    """How far it came; None until it begins."""
    exit_code: ExitCode | None = None
    """What `bench run` would have exited with; None until it ends."""
    fault: str = ""
    """Why it did not come to its end, as `bench run` would have said it."""

    @property
    def has_ended(self) -> bool:
        """Whether a resumed suite has nothing to do here."""
        return self.status in ENDED and self.exit_code is not None


class SuiteRecord(Stored):
    """The whole of suite.json."""

    schema_version: int = Field(ge=1, le=SUITE_SCHEMA_VERSION)
    id: str
    bench_version: str
    name: str
    question: str
    status: Status
    started_at: Moment
    finished_at: Moment | None = None
    budget_s: float | None = Field(gt=0)
    precision: float | None = Field(gt=0, lt=1)
    on_real_hosts: bool = False
    """As of each of its runs."""
    entries: tuple[Entry, ...] = Field(min_length=1)

    def with_entry(self, index: int, entry: Entry) -> "SuiteRecord":
        """This record with entry number `index` replaced."""
        entries = (*self.entries[:index], entry, *self.entries[index + 1 :])
        return self.model_copy(update={"entries": entries})

    @property
    def exit_code(self) -> ExitCode:
        """The worst of its runs', by `SEVERITY`; 130 while one of them has not ended."""
        codes = [entry.exit_code for entry in self.entries]
        if None in codes:
            return ExitCode.INTERRUPTED
        return find_worst(code for code in codes if code is not None)


def find_worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The first of `SEVERITY` that is among `codes`; done where there is none."""
    found = set(codes)
    return next((code for code in SEVERITY if code in found), ExitCode.DONE)
