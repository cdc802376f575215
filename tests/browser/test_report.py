"""The HTML report in a real browser: Debian's chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from bench.records.findings import Word
from bench.report.run.publish import write_report
from bench.report.run.sections import SECTIONS
from bench.results import files
from bench.results.run import Run
from bench.scenario.parsing import parse_scenario
from tests.pure.conftest import make_gate, make_run, make_scenario
from tests.pure.reports import NO_IPVLAN, judged, make_ladder, measure, store_run
from tests.pure.test_findings import make_record, make_walk
from tests.pure.verdicts import ENGINES

from .conftest import in_chromium

pytestmark = in_chromium

OF_OTHER_RUNS = {"anatomy", "cpu", "hosts", "names", "requests", "service", "stalls", "starts"}
"""Sections of open loops, with taps or a sleeping generator, of real hosts, lookups, starts, stalls, and of a
service of one's own; `full` is none of them."""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with every section: ladder, conditions, gaps, INVALID slots, a walkthrough, 176 slots."""
    folder = tmp_path_factory.mktemp("full")
    scenario = make_ladder(blocks=4, factors={"lab.engine": ENGINES["lab.engine"]}, walkthrough=True)
    slots = [measure(scenario, slot) for slot in make_run(scenario).planned if slot.arm != "ipvlan"]
    failed = (make_gate(passed=False, name="quiet cores"),)
    slots = [
        record.model_copy(update={"gates": failed}) if record.slot.arm == "macvlan" else record
        for record in slots
    ]
    walk = make_walk("debian:bookworm", Word.CONFIRMED, Word.REFUTED)
    (folder / files.WALKTHROUGH_FILE).write_text(make_record(walk).model_dump_json())
    run = judged(store_run(folder, scenario, requests=True, unavailable=NO_IPVLAN, slots=tuple(slots)))
    write_report(run, folder)
    return run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two arms, as scenarios/quick.toml, with wrk as a witness."""
    scenario = make_scenario(blocks=4)
    slots = [measure(scenario, slot) for slot in make_run(scenario).planned]
    witnessed = tuple(record.model_copy(update={"wrk_witness_rps": 20_000.0}) for record in slots)
    run = judged(store_run(tmp_path_factory.mktemp("small"), scenario, requests=True, slots=witnessed))
    write_report(run, run.path)
    return run


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with captures that ships, with its report written anew."""
    [shipped] = Path("results").glob("example-anatomy/*/")
    folder = shutil.copytree(shipped, tmp_path_factory.mktemp("tapped") / shipped.name)
    run = judged(Run(folder))
    write_report(run, folder)
    return run


def show(browser: Browser, run: Run, viewport: dict[str, int] = DESKTOP, **context: object) -> Page:
    page = browser.new_context(viewport=viewport, **context).new_page()  # type: ignore[arg-type]
    page.goto((run.path / "report.html").as_uri())
    return page


@pytest.fixture
def page(browser: Browser, full: Run) -> Iterator[Page]:
    shown = show(browser, full)
    yield shown
    shown.context.close()


def column(page: Page, name: str) -> list[str]:
    """What a reader sees in a column of the table of slots, from top to bottom."""
    return page.evaluate(  # type: ignore[no-any-return]
        """name => {
          const table = document.querySelector('[aria-label="All slots"] table');
          const place = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === name);
          return [...table.tBodies[0].rows].filter(row => row.checkVisibility())
            .map(row => row.cells[place].textContent);
        }""",
        name,
    )


def sorting(page: Page, name: str) -> str | None:
    return page.locator('[aria-label="All slots"] th', has_text=name).get_attribute("aria-sort")


def press(page: Page, name: str) -> None:
    page.get_by_role("region", name="All slots").get_by_role("button", name=name).click()


@pytest.mark.parametrize("run", ["full", "small", "tapped"])
def test_the_page_asks_for_nothing_and_has_nothing_to_complain_of(
    run: str, browser: Browser, request: pytest.FixtureRequest
) -> None:
    shown = browser.new_context().new_page()
    asked: list[str] = []
    said: list[str] = []
    shown.on("request", lambda found: asked.append(found.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto((request.getfixturevalue(run).path / "report.html").as_uri())
    for summary in shown.locator("summary").all():
        summary.click()
    shown.keyboard.press("End")
    shown.wait_for_load_state("networkidle")
    shown.context.close()

    assert said == []
    assert [url for url in asked if urlsplit(url).scheme != "data"] == asked[:1]
    assert asked[0].startswith("file:")


def test_its_own_policy_keeps_it_from_asking(page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate("fetch('http://198.18.0.1/').catch(() => 0)")

    assert any("Content Security Policy" in text for text in refused)


def test_every_section_is_in_the_contents_and_each_line_leads_to_its_section(page: Page) -> None:
    links = page.locator("nav a").evaluate_all("all => all.map(a => a.getAttribute('href').slice(1))")

    assert links == [section.name for section in SECTIONS if section.name not in OF_OTHER_RUNS]
    for name in links:
        assert page.locator(f"section[aria-labelledby={name}] > *").count() > 1


def test_a_press_sorts_and_another_turns_it_round(page: Page) -> None:
    press(page, "p50, us")
    up = [float(text) for text in column(page, "p50, us") if text != "–"]
    assert sorting(page, "p50, us") == "ascending"
    press(page, "p50, us")
    down = [float(text) for text in column(page, "p50, us") if text != "–"]
    assert sorting(page, "p50, us") == "descending"
    press(page, "Arm")

    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert down[0] > up[-1]
    assert sorting(page, "p50, us") is None
    assert column(page, "Arm") == sorted(column(page, "Arm"))


def test_numbers_are_sorted_as_numbers_and_what_is_absent_comes_last(page: Page, full: Run) -> None:
    press(page, "Slot")
    press(page, "Slot")
    assert column(page, "Slot")[0] == str(full.record.slots[-1].slot.index)
    for _ in range(2):
        press(page, "p50, us")
        page.evaluate("document.querySelectorAll('tr.off').forEach(row => row.classList.remove('off'))")
        values = column(page, "p50, us")
        assert set(values[values.index("–") :]) == {"–"}


def test_sorting_needs_no_mouse(page: Page) -> None:
    filter_box = page.locator("section[aria-labelledby=slots] input")
    button = page.get_by_role("region", name="All slots").get_by_role("button", name="p99, us")
    filter_box.focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if button.evaluate("own => own === document.activeElement"):
            break
    page.keyboard.press("Enter")
    assert sorting(page, "p99, us") == "ascending"
    page.keyboard.press("Space")

    assert sorting(page, "p99, us") == "descending"
    assert button.evaluate("own => own === document.activeElement")
    assert (
        "sorted by p99, us, descending"
        in page.locator("section[aria-labelledby=slots] [role=status]").inner_text()
    )


def test_a_filter_leaves_the_rows_that_have_the_words(page: Page) -> None:
    page.locator("section[aria-labelledby=slots] input").fill("quiet CORES")

    assert set(column(page, "Arm")) == {"macvlan"}
    page.locator("section[aria-labelledby=slots] input").fill("no such words")
    assert column(page, "Arm") == []


def test_many_slots_are_shown_a_hundred_at_a_time(page: Page, full: Run) -> None:
    section = page.locator("section[aria-labelledby=slots]")
    slots = [str(record.slot.index) for record in full.record.slots]
    assert section.get_by_role("button", name="Previous rows").is_disabled()
    assert column(page, "Slot") == slots[:100]
    section.get_by_role("button", name="Next rows").click()

    assert column(page, "Slot") == slots[100:]
    assert f"Rows 101 to {len(slots)} of {len(slots)}" in section.get_by_role("status").inner_text()


def test_without_scripts_every_slot_is_there(browser: Browser, full: Run) -> None:
    shown = show(browser, full, java_script_enabled=False)

    assert shown.locator('[aria-label="All slots"] tbody tr:visible').count() == len(full.record.slots)
    assert shown.locator('[aria-label="All slots"] button').count() == 0
    shown.context.close()


@pytest.mark.parametrize("run", ["full", "small", "tapped"])
@pytest.mark.parametrize("width", [390, 800, 1280, 1920])
def test_nothing_scrolls_sideways_but_what_says_so(
    width: int, run: str, browser: Browser, request: pytest.FixtureRequest
) -> None:
    shown = show(browser, request.getfixturevalue(run), {"width": width, "height": 844})
    shown.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")

    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.context.close()


def test_what_scrolls_sideways_is_reached_by_keyboard_and_nothing_else_is(
    browser: Browser, full: Run
) -> None:
    shown = show(browser, full, PHONE)
    shown.wait_for_timeout(100)
    wrong = shown.evaluate(
        """() => [...document.querySelectorAll('.wide, pre')].filter(part => part.checkVisibility())
          .filter(part => (part.scrollWidth > part.clientWidth) !== (part.tabIndex === 0))
          .map(part => part.ariaLabel)"""
    )

    assert wrong == []
    shown.context.close()


def test_dark_and_light_are_the_readers_choice_and_figures_follow(browser: Browser, full: Run) -> None:
    looks = {}
    for scheme in ("light", "dark"):
        shown = show(browser, full, color_scheme=scheme)
        looks[scheme] = shown.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
              getComputedStyle(document.querySelector('svg text')).fill]"""
        )
        shown.context.close()

    assert looks["light"] == ["rgb(255, 255, 255)", "rgb(36, 41, 47)"]
    assert looks["dark"] == ["rgb(20, 24, 29)", "rgb(215, 220, 226)"]


def test_on_paper_there_is_every_slot_and_what_was_folded_and_no_control(page: Page, full: Run) -> None:
    page.emulate_media(media="print", color_scheme="dark")

    assert page.locator('[aria-label="All slots"] tbody tr:visible').count() == len(full.record.slots)
    assert page.locator("nav:visible, .controls:visible").count() == 0
    assert (
        page.locator("details:not([open]) > *:not(summary)").first.evaluate("part => part.offsetHeight") > 0
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") > 5


def test_the_scenario_that_the_page_gives_is_the_one_that_ran(page: Page, full: Run) -> None:
    with page.expect_download() as begun:
        page.get_by_role("link", name=f"Download {full.record.scenario.name}.toml").click()

    assert begun.value.suggested_filename == f"{full.record.scenario.name}.toml"
    assert parse_scenario(Path(begun.value.path()).read_text(), "the download") == full.record.scenario


@pytest.mark.parametrize(
    ("run", "scheme", "viewport"),
    [("full", "light", DESKTOP), ("full", "dark", DESKTOP), ("small", "light", PHONE)],
)
def test_axe_finds_no_serious_fault(
    run: str,
    scheme: str,
    viewport: dict[str, int],
    browser: Browser,
    request: pytest.FixtureRequest,
) -> None:
    shown = show(browser, request.getfixturevalue(run), viewport, color_scheme=scheme, bypass_csp=True)
    shown.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    shown.wait_for_timeout(100)
    found = Axe().run(shown).response["violations"]
    shown.context.close()

    faults = [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found]
    grave = [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")]
    assert not grave, faults
