"""Every page of texts of others, in a browser that would obey them."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from bench.errors import ExitCode
from bench.judgement.across_runs.history import trace_lines
from bench.judgement.across_runs.two_runs import compare_runs
from bench.judgement.capacity.record import NULL_SERVER
from bench.records.findings import Word
from bench.records.run import Status
from bench.report.pages import history, region_map, two_runs
from bench.report.pages.capacity import write_capacity_report
from bench.report.pages.suite import write_index
from bench.report.run.publish import write_report
from bench.results import files
from bench.results.run import find_cells
from tests.pure.conftest import make_gate, make_run, make_scenario
from tests.pure.reports import CLAIM, judged, measure, store_run
from tests.pure.test_capacity import begin
from tests.pure.test_findings import make_finding, make_record, make_walk
from tests.pure.test_suite import make_entry, make_suite

from .conftest import in_chromium

pytestmark = in_chromium

OBEYED = (
    "<script>window.obeyed = 1</script><img src=x onerror='window.obeyed = 2'>"
    "<svg onload='window.obeyed = 3'></style></title></textarea></script><script>window.obeyed = 4</script>"
    " [a](javascript:window.obeyed=5)"
    " <a href='javascript:window.obeyed=6'>a</a> ' onmouseover='window.obeyed=7' \" autofocus onfocus=\""
    'window.obeyed=8" ![b](http://198.18.0.1/b.png) <img src=http://198.18.0.1/c.png> {{ 7 * 7 }}'
    " \u202egnp\u202c \u2067rtl \x1b[31m\x07"
)
WORD = "w" * 240
HOSTILE = f"{WORD} {OBEYED}"[:500]
LONGEST = f"{OBEYED} {'W' * 1_000_000}"
"""Where nothing bounds a text."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> a page of every kind; names are no texts of others, and everything else is."""
    root = tmp_path_factory.mktemp("results")
    folder = root / "unit" / "20250102T030405Z-00ff"
    folder.mkdir(parents=True)
    claim = CLAIM.model_copy(update={"text": f"{OBEYED} {WORD}"})
    scenario = make_scenario(
        blocks=3, question=HOSTILE, claims=(claim,), factors={"load.connections": (1, 2)}, walkthrough=True
    )
    failed = (make_gate(passed=False, unit=HOSTILE, detail=LONGEST),)
    slots = [measure(scenario, slot) for slot in make_run(scenario).planned]
    slots[0] = slots[0].model_copy(update={"gates": failed, "evidence": {HOSTILE: HOSTILE}})
    machine = {"cpu": LONGEST, "kernel": HOSTILE, "usable_cores": "2"}
    tools = {HOSTILE: HOSTILE}
    finding = make_finding("hostile", Word.REFUTED, subject=HOSTILE, statement=HOSTILE, seen=HOSTILE)
    walk = make_walk("machine").model_copy(update={"findings": (finding,)})
    (folder / files.WALKTHROUGH_FILE).write_text(make_record(walk).model_dump_json())
    warnings = (HOSTILE, LONGEST)
    facts = {"slots": tuple(slots), "machine": machine, "tools": tools, "warnings": warnings}
    run = judged(store_run(folder, scenario, requests=True, **facts))
    write_report(run, folder)
    later = run.record.model_copy(
        update={"id": "20250103T030405Z-00ff", "started_at": "2025-01-03T03:04:05Z"}
    )
    comparisons = run.verdict.comparisons

    ended = {"run": f"../../unit/{folder.name}", "status": Status.COMPLETE, "exit_code": ExitCode.DONE}
    lost = {
        "run": "../../unit/0",
        "status": Status.FAILED,
        "exit_code": ExitCode.ENVIRONMENT,
        "fault": LONGEST,
    }
    suite = make_suite(
        make_entry(scenario, **ended), make_entry(scenario, **lost), name=HOSTILE, question=HOSTILE
    )
    (root / "suite" / "1").mkdir(parents=True)
    write_index(suite, root / "suite" / "1")

    capacity = begin()
    asked = capacity.scenario.model_copy(update={"question": HOSTILE})
    gone = {"bridge": LONGEST, NULL_SERVER: HOSTILE}
    write_capacity_report(
        capacity.model_copy(update={"scenario": asked, "machine": run.record.machine, "unavailable": gone}),
        root / "suite" / "1",
    )
    found = {
        "compare": two_runs.render_page(
            compare_runs(run.record, later).model_copy(update={"faults": (LONGEST,)}), "html"
        ),
        "map": region_map.render_page([run], find_cells([run]), "html", [LONGEST]),
        "history": history.render_page(trace_lines([(run.record, comparisons), (later, comparisons)])),
    }
    for name, text in found.items():
        (root / f"{name}.html").write_text(text)
    return {
        "report": folder / "report.html",
        "index": root / "suite" / "1" / "index.html",
        "capacity": root / "suite" / "1" / "report.html",
        **{name: root / f"{name}.html" for name in found},
    }


PAGES = ("report", "index", "capacity", "compare", "map", "history")


@pytest.fixture
def shown(browser: Browser) -> Iterator[Page]:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    yield page
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_text_of_others_is_obeyed_or_makes_a_page_ask_for_anything(
    name: str, pages: dict[str, Path], shown: Page
) -> None:
    asked: list[str] = []
    said: list[str] = []
    shown.on("request", lambda found: asked.append(found.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(pages[name].as_uri())
    shown.wait_for_load_state("networkidle")

    assert name == "history" or "window.obeyed = 1" in (shown.locator("body").text_content() or "")
    assert shown.evaluate("window.obeyed") is None
    assert said == []
    assert [url for url in asked if urlsplit(url).scheme != "data"] == asked[:1]
    made = "[...document.querySelectorAll('img, svg[onload], [onmouseover], [onfocus], [href^=javascript]')]"
    assert shown.evaluate(f"{made}.map(each => each.outerHTML)") == []
    assert shown.evaluate("fetch('http://198.18.0.1/').then(() => 'asked', () => 'refused')") == "refused"
    assert any("Content Security Policy" in text for text in said)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_no_word_is_so_long_that_a_page_scrolls_sideways(
    name: str, width: int, pages: dict[str, Path], shown: Page
) -> None:
    shown.set_viewport_size({"width": width, "height": 844})
    shown.goto(pages[name].as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")

    wide = """width => [...document.querySelectorAll('body *')].filter(part => part.checkVisibility())
        .filter(part => !part.parentElement.closest('.wide, pre'))
        .filter(part => part.getBoundingClientRect().right > width + 1
                        || (!part.matches('.wide, pre, svg') && part.scrollWidth > part.clientWidth + 1
                            && part.clientWidth))
        .map(part => `${part.tagName}.${part.className} ${part.id}: ${part.textContent.slice(0, 40)}`)"""
    assert "\n".join(shown.evaluate(wide, width)) == ""
    assert shown.evaluate("document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth")
    cells = "[...document.querySelectorAll('th, td')].map(cell => cell.offsetWidth)"
    assert max(shown.evaluate(cells), default=0) < 1_000
