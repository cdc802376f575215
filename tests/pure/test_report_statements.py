"""The article's statements in a run's report."""

from pathlib import Path

from bench.records.findings import Word
from bench.report.run.page import render_html, render_markdown
from bench.report.run.statements import tabulate_statements
from bench.results import files
from bench.results.run import Run

from .conftest import make_scenario
from .reports import drawing_once, judged, store_run
from .test_findings import make_finding, make_record, make_walk

OLD = make_walk("debian:bookworm", Word.CONFIRMED, Word.CONFIRMED)
NEW = make_walk("debian:forky", Word.CONFIRMED, Word.CHANGED_SINCE).model_copy(update={"version": "28.5"})


def test_a_word_that_every_engine_came_to_stands_once_and_others_name_their_engines() -> None:
    found = tabulate_statements(make_record(OLD, NEW))
    assert found is not None
    [(_, (same, different))] = found.subjects

    assert [(tried.word, tried.engines) for tried in same.tried] == [("CONFIRMED", "")]
    assert [(tried.word, tried.engines) for tried in different.tried] == [
        ("CONFIRMED", "Docker 20.10"),
        ("CHANGED SINCE", "Docker 28.5"),
    ]


def render_both(folder: Path) -> tuple[str, str]:
    """The run's page in HTML and in Markdown."""
    run = judged(Run(folder))
    with drawing_once():
        return render_html(run), render_markdown(run)


def test_a_report_shows_the_commands_and_what_they_printed_and_escapes_them(tmp_path: Path) -> None:
    hostile = make_finding("hostile", Word.REFUTED, seen="<script>alert(1)</script> | `x`")
    walk = OLD.model_copy(update={"findings": (*OLD.findings, hostile)})
    store_run(tmp_path, make_scenario(), requests=True)
    (tmp_path / files.WALKTHROUGH_FILE).write_text(
        make_record(walk, unavailable={"debian:sid": "no mirror"}).model_dump_json()
    )
    html, markdown = render_both(tmp_path)

    assert "[docker1] iptables -S INPUT\n-P INPUT DROP" in html
    assert "<script>alert" not in html
    assert "debian:sid is NOT AVAILABLE here: no mirror" in html
    assert "| CONFIRMED |" in markdown
    assert markdown.count("<script>") == markdown.count("\\<script>") == 1


def test_a_run_without_a_walkthrough_has_no_such_section(tmp_path: Path) -> None:
    store_run(tmp_path, make_scenario(), requests=True)

    assert "one by one" not in "".join(render_both(tmp_path))
