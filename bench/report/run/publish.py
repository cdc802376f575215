"""A run's page and its figures, as files."""

from pathlib import Path

from bench.report.run.page import fill_page, list_chapters
from bench.results import files
from bench.results.run import Run

HTML_FILE, MARKDOWN_FILE, FIGURES_FOLDER = "report.html", "report.md", "figures"


def write_report(run: Run, folder: Path) -> None:
    """Write report.html, report.md and figures/*.svg into `folder`.

    Raises EnvironmentLacks where that cannot be written.
    """
    chapters = list_chapters(run)
    figures = files.make_subfolder(folder, FIGURES_FOLDER)
    for figure in (figure for chapter in chapters for figure in chapter.figures):
        files.write_atomically(figures / f"{figure.name}.svg", figure.svg.encode())
    files.write_atomically(folder / MARKDOWN_FILE, fill_page("md", run, chapters).encode())
    files.write_atomically(folder / HTML_FILE, fill_page("html", run, chapters).encode())
