"""All that follows from a run's record and slots: its verdict, its table, its page and figures, the sums."""

from pathlib import Path

from bench.report.run.page import fill_page, list_chapters
from bench.results import files, slot_table, store
from bench.results.run import Run

HTML_FILE, MARKDOWN_FILE, FIGURES_FOLDER = "report.html", "report.md", "figures"


def publish(run: Run) -> None:
    """Write verdict.json, slots.csv, the report and SHA256SUMS into the run's folder.

    The run is judged here, if it was not before, and is then that same judged run for whoever goes on
    with it. Raises EnvironmentLacks where a file cannot be written.
    """
    slot_table.write_slots_csv(run.path, run.record.slots)
    store.write_verdict(run.path, run.verdict)
    write_report(run, run.path)
    store.write_sums(run.path)


def write_report(run: Run, folder: Path) -> None:
    """Write report.html, report.md and figures/*.svg into `folder`.

    Raises EnvironmentLacks where that cannot be written.
    """
    chapters = list_chapters(run)
    (folder / FIGURES_FOLDER).mkdir(parents=True, exist_ok=True)
    for figure in (figure for chapter in chapters for figure in chapter.figures):
        files.write_atomically(folder / FIGURES_FOLDER / f"{figure.name}.svg", figure.svg.encode())
    files.write_atomically(folder / MARKDOWN_FILE, fill_page("md", run, chapters).encode())
    files.write_atomically(folder / HTML_FILE, fill_page("html", run, chapters).encode())
