"""`bench check`: a gate for CI over one stored run, or over one and an earlier one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import DOING, JsonOption
from bench.cli.terminal import err, out, print_json
from bench.errors import EnvironmentLacks, InputError
from bench.scenario.metric import Metric

if TYPE_CHECKING:
    from bench.judgement.across_runs.demands import Demand
    from bench.judgement.claim import ClaimWord
    from bench.results.run import Run
    from bench.scenario.scenario import Scenario

app = typer.Typer()


@app.command(
    epilog="Example: bench check results/quick/20261124T202906Z-d62b --claim article --max-cost 1.25"
)
def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="ID[=WORD]", help="Ask that this claim is SUPPORTED, or has that word."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="RATIO", min=0, help="Ask that costs are wholly below this: 1.05.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Ask that no cost grew by its margin since that run.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="With --max-cost, --baseline: this arm only; may be repeated.")
    ] = None,
    metric: Annotated[
        list[Metric] | None,
        typer.Option(
            help="With those: this metric, not the p50 (of starts, the first answer); may be repeated."
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A gate for CI: exit code 10 where a demand is not met, 4 where the run cannot be judged."""
    from bench.judgement.across_runs.demands import demand_integrity, exit_code
    from bench.report.pages.check import describe_demand, render_junit
    from bench.results.files import write_output
    from bench.results.run import load

    if (arm or metric) and max_cost is None and baseline is None:
        raise InputError(
            DOING,
            "--arm and --metric choose the costs that are asked about, and none is",
            "Say what a cost may be: --max-cost 1.05, or --baseline RUN.",
        )
    found = load(run)
    demands = [demand_integrity(found.faults)] if found.faults else []
    demands += _ask_claims(found, claim or [], default=max_cost is None and baseline is None)
    demands += _ask_costs(found, max_cost, baseline, arm or [], metric or [])
    if not demands:
        raise InputError(
            f"Checking the run {run}",
            "there is nothing to check",
            "Say what to ask: --claim ID, --max-cost 1.05, --baseline RUN.",
        )
    if junit is not None:
        seconds = sum(slot.seconds for slot in found.record.slots)
        text = render_junit(found.record.id, found.record.scenario.name, seconds, demands)
        write_output(junit, text.encode())
    code = exit_code(demands)
    if as_json:
        shown = [demand.model_dump(mode="json") for demand in demands]
        print_json({"run": found.record.id, "exit_code": int(code), "demands": shown})
    else:
        for demand in demands:
            out.print(describe_demand(demand))
    if code:
        raise typer.Exit(code)


def _ask_claims(run: "Run", asked: list[str], *, default: bool) -> list["Demand"]:
    """What is asked of claims; all of them with the `default`, where none is named."""
    from bench.judgement.across_runs.demands import demand_claim
    from bench.judgement.claim import ClaimWord

    claims = _read_claims(run.record.scenario, asked)
    if not claims and default:
        claims = {known.id: ClaimWord.SUPPORTED for known in run.record.scenario.claims}
    return [
        demand for name, word in claims.items() for demand in demand_claim(run.verdict.claims, name, word)
    ]


def _ask_costs(
    run: "Run", max_cost: float | None, baseline: Path | None, arms: list[str], metrics: list[Metric]
) -> list["Demand"]:
    """What is asked of the costs of `arms` at `metrics`."""
    from bench.judgement.across_runs.demands import demand_cost, demand_integrity
    from bench.results.run import load

    scope = _choose_arms(run, arms), _choose_metrics(run, metrics)
    demands: list[Demand] = []
    if max_cost is not None:
        demands += demand_cost(run.verdict.comparisons, max_cost, *scope)
    if baseline is not None:
        since = load(baseline)
        demands += [demand_integrity(since.faults, f"baseline {since.record.id}")] if since.faults else []
        demands += _since(run, since, arms, scope)
    return demands


def _since(
    run: "Run", baseline: "Run", asked: list[str], scope: tuple[list[str], list[Metric]]
) -> Iterator["Demand"]:
    """The demands that no cost in `scope` grew; what `baseline` lacks is said, or refused if asked for."""
    from bench.judgement.across_runs.demands import demand_no_regression
    from bench.judgement.across_runs.two_runs import compare_runs

    found = compare_runs(baseline.record, run.record)
    for sentence in found.comparability.left_out:
        err.print(f"not compared with {baseline.path}: {sentence}", soft_wrap=True)
    for name in asked:
        if name not in found.comparability.arms:
            raise InputError(
                f"Checking {name} against the run {baseline.path}",
                "it was not measured there",
                "Give a run that has this arm.",
            )
    yield from demand_no_regression(found, *scope)


def _choose_arms(run: "Run", asked: list[str]) -> list[str]:
    scenario, unavailable = run.record.scenario, run.record.unavailable
    known = [arm.name for arm in scenario.compared if arm.name != scenario.baseline]
    for name in asked:
        if name not in known:
            raise InputError(DOING, f"--arm is {name}", f"Say one of these: {', '.join(known)}.")
        if name in unavailable:
            raise EnvironmentLacks(
                f"Checking the arm {name}",
                f"it was NOT AVAILABLE in this run: {unavailable[name]}",
                "Check another arm, or run on a machine that has it.",
            )
    return asked or known


def _choose_metrics(run: "Run", asked: list[Metric]) -> list[Metric]:
    known = list(dict.fromkeys(found.metric for found in run.verdict.comparisons))
    for metric in asked:
        if metric not in known:
            raise InputError(DOING, f"--metric is {metric}", f"This run compares {', '.join(known)}.")
    return asked or [run.record.scenario.leading]


def _read_claims(scenario: "Scenario", asked: list[str]) -> dict[str, "ClaimWord"]:
    """Claim -> the word that it should have, of `article` or `article=NO PRACTICAL DIFFERENCE`."""
    from bench.judgement.claim import ClaimWord

    known = {claim.id for claim in scenario.claims}
    wanted = {}
    for text in asked:
        name, _, word = text.partition("=")
        if name not in known or (word and word not in list(ClaimWord)):
            raise InputError(
                DOING,
                f"--claim is {text}",
                f"The scenario's claims are: {', '.join(sorted(known)) or 'none'};"
                f" the words: {', '.join(ClaimWord)}.",
            )
        wanted[name] = ClaimWord(word) if word else ClaimWord.SUPPORTED
    return wanted
