import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}
"""What a browser loads by itself, and where from."""


class Fetches(HTMLParser):
    """Addresses that a page makes a browser load."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address:
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation; a warning (a broken link, a page outside of the menu) ends the build."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
    return folder


def test_the_documentation_is_built_with_warnings_as_errors(site: Path) -> None:
    assert load_config(str(ROOT / "mkdocs.yml")).strict
    assert (site / "index.html").is_file()
    for page in ("verdict", "write-a-scenario", "notebooks", "ci", "api"):
        assert (site / page / "index.html").is_file()


def test_the_reference_has_every_public_member_of_a_run_with_what_its_docstring_says(site: Path) -> None:
    page = (site / "api" / "index.html").read_text()

    for name in ("load", "Run.slots", "Run.requests", "Run.comparisons", "Run.verdict", "Run.record"):
        assert f'id="bench.{name}"' in page
    assert "Raises KeyError where the slot was not measured" in page


def test_the_documentation_needs_nothing_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    fetched = [address for page in pages for address in Fetches(page).found]
    styles = "".join(style.read_text() for style in site.rglob("*.css"))

    assert len(pages) > 20
    assert len(fetched) > 20
    assert [address for address in fetched if re.match(r"([a-z]+:)?//", address)] == []
    assert "url(" in styles
    assert re.findall(r"(?:url\(|@import )\s*['\"]?(?:https?:)?//[^)\s]*", styles) == []


def test_every_decision_is_on_the_page_of_decisions_with_its_title(site: Path) -> None:
    page = (site / "decisions" / "index.html").read_text()
    decisions = sorted((ROOT / "docs/decisions").glob("0*.md"))

    assert decisions
    for decision in decisions:
        assert f'href="{decision.stem}/"' in page
    assert "The layers are folders</a>" in page
