"""What a suite would do, before it does it: its scenarios, slots and time."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench.errors import InputError
from bench.lab.servers import image
from bench.measure.budget import divide_budget
from bench.measure.preview import IMAGE_BUILD_S
from bench.records.run import Status
from bench.results import store
from bench.scenario.plan import expected_seconds, plan_slots
from bench.scenario.scenario import Scenario
from bench.scenario.suite import Asked


@dataclass(frozen=True)
class SuiteRow:
    """One scenario of a suite before it is run."""

    scenario: str
    source: str
    question: str
    slots: int
    expected_s: float
    last_s: float | None
    """What its newest complete run took; None where there is none of the same scenario."""
    budget_s: float | None
    """Its share of the suite's budget, for its slots."""


@dataclass(frozen=True)
class SuitePreview:
    """A suite before it is run."""

    name: str
    question: str
    expected_s: float
    rows: list[SuiteRow]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def preview_suite(asked: Asked, budget_s: float | None, results: Path) -> SuitePreview:
    """Describe a suite of `asked`, in the order of running. Changes nothing and needs no right."""
    scenarios = [scenario for _, scenario in asked.scenarios]
    shares = divide_budget(scenarios, budget_s) if budget_s else [None] * len(scenarios)
    rows = []
    for (source, scenario), share_s in zip(asked.scenarios, shares, strict=True):
        slots = plan_slots(scenario, seed=0)
        rows.append(
            SuiteRow(
                scenario=scenario.name,
                source=source,
                question=scenario.question,
                slots=len(slots),
                expected_s=expected_seconds(scenario, slots),
                last_s=_last_seconds(scenario, results),
                budget_s=share_s,
            )
        )
    build_s = 0 if image.is_cached() else IMAGE_BUILD_S
    return SuitePreview(asked.name, asked.question, sum(row.expected_s for row in rows) + build_s, rows)


def _last_seconds(scenario: Scenario, results: Path) -> float | None:
    for path in sorted((results / scenario.name).glob("*/run.json"), reverse=True):
        try:
            record = store.read_run(path.parent)
        except InputError:
            continue  # Of another version of bench: no reason not to plan.
        if record.scenario == scenario and record.status is Status.COMPLETE and record.finished_at:
            begun, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
            return (ended - begun).total_seconds()
    return None
