"""What `mkdocs build` does besides: the page of decisions lists all that there are."""

from pathlib import Path
from typing import Any


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """`markdown` with a link to every decision, if it is the page of decisions."""
    if page.file.src_uri != "decisions/index.md":
        return markdown
    decisions = sorted(Path(config.docs_dir, "decisions").glob("0*.md"))
    links = [f"- [{path.read_text().splitlines()[0].removeprefix('# ')}]({path.name})" for path in decisions]
    return "\n".join([markdown, "", *links])
