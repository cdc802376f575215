"""A job summary on GitHub: no pictures, never over the limit, and what is cut is named."""

import os
import threading
from pathlib import Path

import pytest

from bench.errors import ExitCode
from bench.report.run.job_summary import NOTICE_BYTES, fit, render_job_summary, split_sections

from .conftest import make_scenario
from .reports import judged, make_ladder, store_run
from .test_cli import run_bench

PAGE = """# Title

text

## One

### Table

| a |

## Two

```toml
## not a heading
```
"""


def test_sections_and_tables_are_told_apart() -> None:
    sections = split_sections(PAGE)
    assert [title for title, _ in sections] == ["", "One", "Table", "Two"]
    assert sections[0][1] == "# Title\n\ntext\n\n"
    assert "## not a heading" in sections[-1][1]


def test_what_fits_is_whole_and_says_nothing_of_a_limit() -> None:
    assert fit(split_sections(PAGE), 10_000) == PAGE


@pytest.mark.parametrize("limit", [0, 100, NOTICE_BYTES, NOTICE_BYTES + 60, NOTICE_BYTES + 3_000, 20_000])
def test_it_is_never_longer_than_the_limit_and_cut_before_a_heading(limit: int) -> None:
    sections = [("", "# Title\n"), *((f"Größe {n}", f"## Größe {n}\n" + "ü" * 500 + "\n") for n in range(40))]
    text = fit(sections, limit)
    assert len(text.encode()) <= limit
    if text:
        kept, notice = text.split("**Cut here**")
        assert kept.strip() in "".join(text for _, text in sections)
        assert f"“Größe {kept.count('## ')}”" in notice or not kept.strip()


def test_sections_after_the_first_that_does_not_fit_are_cut_too() -> None:
    sections = [("", "# Title\n"), ("Large", "x" * 20_000), ("Small", "## Small\n")]
    text = fit(sections, NOTICE_BYTES + 100)
    assert "## Small" not in text
    assert "“Large” and “Small”" in text


def test_a_ladder_fits_and_holds_answer_words_and_tables(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_ladder()))
    text = render_job_summary(run)
    assert text.startswith(f"# {run.record.scenario.question}")
    assert "## Which mode to take" in text
    assert "figures/" not in text
    assert len(render_job_summary(run, 30_000).encode()) <= 30_000


def test_it_is_appended_to_the_file_that_github_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    store_run(tmp_path / "run", make_scenario())
    summary = tmp_path / "summary.md"
    summary.write_text("Before.\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert run_bench(monkeypatch, "report", str(tmp_path / "run"), "--github-summary") == ExitCode.DONE
    assert summary.read_text().startswith("Before.\n# What does bridge cost?")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert run_bench(monkeypatch, "report", str(tmp_path / "run"), "--github-summary") == ExitCode.BAD_INPUT
    assert "GITHUB_STEP_SUMMARY is not set" in capsys.readouterr().err
    lost = ["--github-summary", "--output", str(tmp_path / "no" / "file")]
    assert run_bench(monkeypatch, "report", str(tmp_path / "run"), *lost) == ExitCode.ENVIRONMENT


def test_it_is_written_into_a_pipe_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    store_run(tmp_path / "run", make_scenario())
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    asked = ["--github-summary", "--output", str(pipe)]
    assert run_bench(monkeypatch, "report", str(tmp_path / "run"), *asked) == ExitCode.DONE
    reader.join(20)
    assert "# What does bridge cost?" in read[0]
