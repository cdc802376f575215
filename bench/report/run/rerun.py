"""What another person needs to run the same again."""

from collections.abc import Mapping
from typing import Any

from bench.results.run import Run
from bench.scenario.scenario import Scenario
from bench.scenario.service import Container
from bench.scenario.toml import scenario_toml

HIDDEN = "(not shown: see run.json)"
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


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
        "scenario_toml": scenario_toml(_without_secrets(record.scenario)),
        "version": record.bench_version,
    }


def _without_secrets(scenario: Scenario) -> Scenario:
    """The scenario without what may be a password: a report is passed on. run.json has all of it."""

    def hide(container: Container) -> Container:
        variables = {name: value if "{" in value else HIDDEN for name, value in container.environment.items()}
        return container.model_copy(update={"environment": variables})

    requests = tuple(
        request.model_copy(
            update={
                "headers": {
                    name: HIDDEN if name.lower() in SECRET_HEADERS else value
                    for name, value in request.headers.items()
                }
            }
        )
        for request in scenario.requests
    )
    changes: dict[str, Any] = {
        "service": scenario.service and hide(scenario.service),
        "companions": tuple(hide(companion) for companion in scenario.companions),
        "requests": requests,
    }
    return scenario.model_copy(update=changes) if scenario.service else scenario
