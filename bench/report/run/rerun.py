"""What another person needs to run the same again."""

from collections.abc import Mapping
from typing import Any

from bench.results.run import Run
from bench.scenario.toml import scenario_toml


def tell_rerun(run: Run) -> Mapping[str, Any]:
    """The scenario as a file, and the command."""
    record = run.record
    return {
        "command": f"bench run {record.scenario.name}.toml --seed {record.seed}"
        + (f" --budget {record.budget_s:g}s" if record.budget_s else "")
        + (f" --precision {record.precision * 100:g}%" if record.precision else "")
        + (" --decide" if record.decide else "")
        + (" --hosts hosts.toml" if record.on_real_hosts else ""),
        "file": f"{record.scenario.name}.toml",
        "scenario_toml": scenario_toml(record.scenario),
        "version": record.bench_version,
    }
