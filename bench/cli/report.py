"""`bench report`: judge a stored run again and write its report, whole or one form of it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import DOING, RunArgument
from bench.cli.terminal import out
from bench.errors import EnvironmentLacks, InputError
from bench.results import files

if TYPE_CHECKING:
    from bench.results.run import Run

app = typer.Typer()

FORMS = ("html", "md", "json")
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


@app.command(epilog="Example: bench report results/quick/20261124T202906Z-d62b --format md")
def report(
    run: RunArgument,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|md|json", help="Print one form instead of writing all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file to write one form to: by --format, or by its ending.")
    ] = None,
    github_summary: Annotated[
        bool,
        typer.Option(
            "--github-summary", help="Append it to the summary of a GitHub job, or to the file of --output."
        ),
    ] = False,
) -> None:
    """Judge a stored run again and write its report. Needs no root and no Docker."""
    if github_summary:
        if form:
            raise InputError(DOING, "--github-summary has a form of its own", "Leave --format out.")
        from bench.results.run import load

        _append_job_summary(load(run), output)
        return
    form = form or (output.suffix.removeprefix(".") if output else None)
    if form not in (None, *FORMS):
        raise InputError(DOING, f"the form of report is {form!r}", "Say --format html, md or json.")
    if files.is_suite(run):
        from bench.cli.suite import write_report

        write_report(run, form, output)
    elif files.is_capacity(run):
        from bench.cli.capacity import write_report as write_capacity_report

        if form is not None:
            raise InputError(DOING, f"{run} is a capacity measurement", "Leave --format away.")
        write_capacity_report(run)
    elif form is None:
        from bench.cli.publishing import publish_run
        from bench.results.derived import write_results
        from bench.results.run import load

        write_results(load(run), publish_run)
        out.print(str(run / "report.html"))
    else:
        _write_form(run, form, output)


def _write_form(folder: Path, form: str, output: Path | None) -> None:
    from bench.report.run.page import render_html, render_markdown
    from bench.results.run import load
    from bench.results.verification import attest

    found = load(folder)
    if form == "json":
        text = attest(found).model_dump_json(indent=1) + "\n"
    else:
        text = render_html(found) if form == "html" else render_markdown(found)
    if output is None:
        sys.stdout.write(text)
    else:
        files.write_output(output, text.encode())


def _append_job_summary(run: "Run", output: Path | None) -> None:
    """Append the run's summary to `output`, or to the file that GitHub names for the step.

    Raises InputError where neither is given, EnvironmentLacks where it cannot be written.
    """
    from bench.report.run.job_summary import LIMIT_BYTES, render_job_summary

    named = os.environ.get(SUMMARY_VARIABLE)
    if output is None and not named:
        raise InputError(
            "Writing the summary of a job",
            f"{SUMMARY_VARIABLE} is not set",
            "Run it in a step of a GitHub workflow, or give --output FILE.",
        )
    path = output or Path(named or "")
    try:
        with path.open("ab") as stream:
            # What the step wrote before counts for the limit too; a pipe holds nothing, and cannot be asked.
            written = os.fstat(stream.fileno()).st_size
            stream.write(render_job_summary(run, LIMIT_BYTES - written).encode())
    except OSError as fault:
        raise EnvironmentLacks(
            f"Writing the summary {path}", str(fault), "Give another file with --output."
        ) from fault
