"""What `bench run`, `plan`, `resume` and `report` do where several scenarios make a suite."""

import sys
from pathlib import Path

import typer

from bench.cli.listing import CHANGED
from bench.cli.progress import clock, show_progress
from bench.cli.publishing import Index, publish_run
from bench.cli.terminal import err, out, print_json, print_prose, print_table, print_whole
from bench.errors import ExitCode
from bench.judgement.precision import MAX_EXTENSION
from bench.measure.suite import Watcher, begin_suite, resume_suite
from bench.records.suite import Entry
from bench.results import files, store, sums
from bench.results.run import Run
from bench.scenario.hosts import HostsFile
from bench.scenario.suite import Asked


def run_suite(
    asked: Asked,
    seed: int | None,
    budget_s: float | None,
    precision: float | None,
    results: Path,
    web_ui: int | None,
    hosts: HostsFile | None,
    as_json: bool,
) -> None:
    """Run what is `asked` for, print the end of it, and exit with the suite's code."""
    index = Index()
    folder = begin_suite(asked, seed, budget_s, precision, results, _watcher(web_ui, index, hosts))
    print_end(folder, index, as_json)


def go_on(folder: Path, web_ui: int | None, hosts: HostsFile | None, as_json: bool) -> None:
    """Resume the suite in `folder`, print the end of it, and exit with the suite's code."""
    index = Index()
    resume_suite(folder, _watcher(web_ui, index, hosts))
    print_end(folder, index, as_json)


def write_report(folder: Path, form: str | None, output: Path | None) -> None:
    """Write the index of the suite in `folder` again, or give one `form` of it."""
    from bench.report.pages.suite import INDEX_HTML, render_index, write_index

    record = store.read_suite(folder)
    if form is None:
        write_index(record, folder)
        sums.write_sums(folder)
        out.print(str(folder / INDEX_HTML))
        return
    text = (
        record.model_dump_json(indent=1) + "\n"
        if form == "json"
        else render_index(record, folder, f"index.{form}.j2")
    )
    if output is None:
        sys.stdout.write(text)
    else:
        files.write_output(output, text.encode())


def print_plan(
    asked: Asked, precision: float | None, budget_s: float | None, results: Path, as_json: bool
) -> None:
    """What each scenario would take, by estimate and by its last run, and all of them together."""
    from bench.measure.preview_suite import preview_suite

    found = preview_suite(asked, budget_s, results)
    if as_json:
        print_json(found.as_dict())
        return
    print_prose(f"{asked.name}: {asked.question}")
    out.print()
    rows = [
        (
            row.scenario,
            f"{row.slots:,}",
            clock(row.expected_s),
            clock(row.last_s) if row.last_s else "–",
            *((clock(row.budget_s),) if row.budget_s else ()),
            row.question,
        )
        for row in found.rows
    ]
    share = ("share",) if budget_s else ()
    titles = ("scenario", "slots", "expected", "last time", *share, "question")
    print_table(titles, rows, wrap_last=True)
    out.print(f"\n{len(rows)} scenarios, about {clock(found.expected_s)} (m:ss) in all")
    if budget_s:
        out.print(f"with the budget at most about {clock(budget_s)}: each share is of its slots alone")
    if precision:
        out.print(
            f"until a precision is reached, up to {MAX_EXTENSION} times the slots: `bench plan SCENARIO` says"
        )
    out.print("Changes to this machine: `bench plan SCENARIO` lists those of each.")


def print_end(folder: Path, index: Index, as_json: bool) -> None:
    """How each scenario ended and where the index is. Exits with the suite's code unless it is done."""
    from bench.report.pages.suite import INDEX_HTML, list_chapters

    record = store.read_suite(folder)
    chapters = list_chapters(record, folder, index.runs)
    if as_json:
        print_json(
            {
                "suite": str(folder),
                "status": record.status,
                "exit_code": int(record.exit_code),
                "scenarios": [
                    {
                        "scenario": chapter.entry.scenario.name,
                        "run": str(folder / chapter.entry.run) if chapter.entry.run else None,
                        "status": chapter.status,
                        "exit_code": chapter.entry.exit_code,
                        "answer": chapter.answer,
                        "changed": chapter.changed,
                        "claims": [claim.model_dump(mode="json") for claim in chapter.claims],
                        "fault": chapter.entry.fault,
                    }
                    for chapter in chapters
                ],
            }
        )
    else:
        rows = [
            (
                chapter.entry.scenario.name,
                chapter.status,
                (", ".join(dict.fromkeys(str(claim.word) for claim in chapter.claims)) or "–")
                + CHANGED * bool(chapter.changed),
                str(chapter.entry.exit_code.value) if chapter.entry.exit_code is not None else "–",
            )
            for chapter in chapters
        ]
        print_whole(("scenario", "status", "claim", "exit code"), rows)
        for chapter in chapters:
            if chapter.changed:
                print_prose(f"{CHANGED.strip()} {chapter.changed}")
        out.print(f"\nindex: {folder / INDEX_HTML}")
    if record.exit_code is not ExitCode.DONE:
        raise typer.Exit(record.exit_code)


def _watcher(web_ui: int | None, index: Index, hosts: HostsFile | None) -> Watcher:
    return Watcher(
        say=lambda what: err.print(what, soft_wrap=not err.is_terminal),
        progress=lambda: show_progress(err),
        ended=_say_ended,
        publish=publish_run,
        publish_index=index.publish,
        web_ui_port=web_ui,
        hosts=hosts,
    )


def _say_ended(entry: Entry, run: Run | None) -> None:
    """A run's answer, or why it has none, as soon as it is known."""
    from bench.report.run.answer import answer_sentence

    if run is None:
        err.print(entry.fault, style="red", soft_wrap=True)
    else:
        err.print(answer_sentence(run), soft_wrap=not err.is_terminal)
    err.print()
