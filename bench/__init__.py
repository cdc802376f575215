"""bench: what does a Docker network mode cost an HTTP service, on this machine, with evidence.

All names of this page are public and stable; every deeper path may change with any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.errors import BenchError, InputError
    from bench.judgement.change import Change
    from bench.judgement.claim import ClaimVerdict, ClaimWord
    from bench.judgement.comparison import Comparison, Word
    from bench.judgement.verdict import Verdict
    from bench.records.run import READABLE_VERSIONS, SCHEMA_VERSION, RunRecord, SlotRecord, Status
    from bench.results.run import Run, load, map_runs
    from bench.results.sums import NotAsWritten
    from bench.scenario.conditions import Condition
    from bench.scenario.metric import Metric
    from bench.scenario.plan import Slot
    from bench.scenario.scenario import Scenario
    from bench.slots.gates.gate import Gate

__version__ = "0.1.0"

_PLACES = {
    "bench.errors": ("BenchError", "InputError"),
    "bench.judgement.change": ("Change",),
    "bench.judgement.claim": ("ClaimVerdict", "ClaimWord"),
    "bench.judgement.comparison": ("Comparison", "Word"),
    "bench.judgement.verdict": ("Verdict",),
    "bench.records.run": ("READABLE_VERSIONS", "SCHEMA_VERSION", "RunRecord", "SlotRecord", "Status"),
    "bench.results.run": ("Run", "load", "map_runs"),
    "bench.results.sums": ("NotAsWritten",),
    "bench.scenario.model": ("Condition", "Metric", "Scenario"),
    "bench.scenario.plan": ("Slot",),
    "bench.slots.gates.gate": ("Gate",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "READABLE_VERSIONS",
    "SCHEMA_VERSION",
    "BenchError",
    "Change",
    "ClaimVerdict",
    "ClaimWord",
    "Comparison",
    "Condition",
    "Gate",
    "InputError",
    "Metric",
    "NotAsWritten",
    "Run",
    "RunRecord",
    "Scenario",
    "Slot",
    "SlotRecord",
    "Status",
    "Verdict",
    "Word",
    "__version__",
    "load",
    "map_runs",
]


def __getattr__(name: str) -> Any:
    # On first use: pandas takes half a second to import, which `bench --help` need not pay.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
