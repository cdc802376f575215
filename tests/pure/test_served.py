"""What a person reads of a service of their own: its words, and never Apache's."""

from pathlib import Path

import pytest

from bench.measure.preview import preview
from bench.report.run.card import tabulate_modes
from bench.report.run.cautions import find_cautions
from bench.report.run.page import fill_page, list_chapters
from bench.results.run import Run
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.scenario.plan import plan_slots
from bench.scenario.requests import Request
from bench.scenario.served import MOST_NAMED, describe_requests, name_served
from bench.scenario.service import Service

from .conftest import make_scenario
from .reports import judged, store_run
from .services import CART, SHOP, make_own, measure_own, store_own

TWO = "2 requests: GET /cart (70 %), POST /upload (30 %)"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return judged(store_own(tmp_path_factory.mktemp("shop")))


def test_requests_are_named_with_how_often_each_is_sent() -> None:
    many = tuple(Request(path=f"/{n}", weight=n) for n in range(1, 10))

    assert describe_requests(make_scenario()) == "GET of 1,024 bytes"
    assert describe_requests(make_own(requests=())) == "GET /"
    assert describe_requests(make_own(requests=(CART,))) == "GET /cart"
    assert describe_requests(make_own()) == TWO
    assert describe_requests(make_own(requests=many)).startswith(
        "9 requests: GET /5 (11.1 %), GET /6 (13.3 %)"
    )
    assert describe_requests(make_own(requests=many)).endswith(f", and {9 - MOST_NAMED} more")


def test_what_serves_is_apache_or_what_the_person_calls_theirs() -> None:
    assert name_served(make_scenario()) == "Apache"
    assert name_served(make_own()) == "shop"
    assert name_served(make_own(service=Service(image="registry.test/till:2"))) == "till:2"


def test_no_word_of_the_report_of_ones_own_service_is_apaches(shop: Run) -> None:
    said = fill_page("md", shop, list_chapters(shop, figures=False))

    assert "Apache" not in said
    assert f"for {TWO}, served by shop, " in said
    assert shop.scope["workload"].startswith(f"{TWO}, served by shop, ")
    assert f"Costs are those of shop over its requests, as they are mixed: {TWO}." in said.replace("\\", "")
    assert f"It is {TWO} from shop, over" in said


def test_the_card_of_ones_own_service_has_no_mode_that_it_cannot_run_in(shop: Run, tmp_path: Path) -> None:
    built_in = judged(store_run(tmp_path, make_scenario(blocks=3)))
    modes = [
        {row[0].split("\n")[0] for of in tabulate_modes(run) for row in of.rows} for run in (shop, built_in)
    ]

    assert modes[1] - modes[0] == {"native"}


def test_a_region_map_says_whose_cells_it_has(tmp_path: Path) -> None:
    scenario = make_own(factors={"load.connections": (1, 4)}, blocks=3)
    run = judged(store_own(tmp_path, scenario))
    said = fill_page("md", run, list_chapters(run, figures=False)).replace("\\", "")

    assert f"Cells are those of shop over its requests, as they are mixed: {TWO}." in said


def test_a_plan_says_what_is_served_where_it_listens_and_what_is_brought() -> None:
    fixed = SHOP.model_copy(update={"command": None, "environment": {}, "port": 8080})
    found = preview(make_own(service=fixed), seed=1)

    assert found.served == f"shop: {TWO}"
    assert found.arms["host"].startswith("host mode, port 8080: ")
    assert any(
        "image registry.test/shop:3 (shop), saved from your own Docker" in change for change in found.changes
    )
    assert any("image postgres:17 (db), saved" in change for change in found.changes)
    assert not any(
        "image" in change and "own Docker" in change for change in preview(make_scenario(), 1).changes
    )


@pytest.mark.parametrize(("size", "bound"), [(6_250, True), (1_024, False)])
def test_a_link_is_full_by_the_bytes_that_were_received(tmp_path: Path, size: int, bound: bool) -> None:
    """20,000 requests a second of 6,250 bytes are 1,000 Mbit/s; of a page of 1,024 bytes, 164."""
    scenario = make_own(lab=LabSettings(link_mbit=1_000), load=Load(), blocks=3)
    slots = tuple(measure_own(scenario, slot, 50.0) for slot in plan_slots(scenario, seed=1))
    run = judged(store_own(tmp_path, scenario, slots=slots, received=size))
    said = [caution for caution in find_cautions(run) if "link-bound" in caution]

    assert bool(said) is bound
    assert all("bodies alone fill 100% of the link's 1,000 Mbit/s" in caution for caution in said)
