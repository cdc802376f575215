"""`bench quick`: the shortest way from an image to a verdict."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.options import JsonOption, ResultsOption, SeedOption, parse_duration, parse_percent
from bench.cli.publishing import publish_run
from bench.cli.run import print_verdict
from bench.cli.scenario_files import read_scenario
from bench.cli.terminal import err
from bench.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: bench quick --image nginx:1.27 --port 80 --path /")
def quick(
    image: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE",
            help="Of your own Docker, which is read and not changed; or a file that `docker save` wrote;"
            " or a folder with a Dockerfile. Absent: bench's own Apache.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="On which it listens inside.")] = 80,
    path: Annotated[str, typer.Option(metavar="PATH", help="That is asked for, with GET.")] = "/",
    status: Annotated[int, typer.Option(min=200, max=599, help="Of its answer.")] = 200,
    environment: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME=VALUE",
            help="Of the container; {port} and {listen} in it stand for where it shall listen.",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="RPS", help="Your own requests a second, to say what it comes to.")
    ] = None,
    life: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of load for each container: more for a service that is slow."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="As of `bench run`: until the p50 ratio is known so."),
    ] = None,
    results: ResultsOption = Path("results"),
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure host against the default bridge, for a service of your own, and judge the article's claim."""
    from bench.cli.progress import show_progress
    from bench.measure.progress import Watch
    from bench.measure.run import Wanted, begin_run
    from bench.scenario.quick import ask_service

    scenario, sources = read_scenario("quick"), None
    if image is not None:
        given: dict[str, Any] = {"port": port, "environment": _read_environment(environment or [])}
        place = Path(image)
        is_path = image.startswith((".", "/")) or place.suffix in (".tar", ".tgz", ".gz") or place.is_dir()
        if is_path:
            place = place.resolve()
            given |= {"build" if place.is_dir() else "archive": place.name}
            sources = place.parent
        else:
            given |= {"image": image}
        if rate:
            given |= {"rate_rps": rate}
        lasting_s = parse_duration(life) if life else None
        scenario = ask_service(scenario, given, {"path": path, "status": status}, lasting_s)
    precise_to = parse_percent(precision) if precision else None
    drawn = secrets.randbelow(2**31) if seed is None else seed
    wanted = Wanted(scenario, drawn, precision=precise_to, sources=sources)
    with show_progress(err) as progress:
        found = begin_run(wanted, results, Watch(progress, publish_run))
    print_verdict(found, as_json)


def _read_environment(given: list[str]) -> dict[str, str]:
    found = {}
    for variable in given:
        name, equals, value = variable.partition("=")
        if not equals or not name:
            raise InputError("Reading the options", f"--env is {variable!r:.80}", "Write NAME=VALUE.")
        found[name] = value
    return found
