"""Runs of different services, images or requests are not compared, and it is said in what they differ."""

import re
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.judgement.across_runs.comparability import require_comparable
from bench.judgement.across_runs.history import trace_lines
from bench.records.run import RunRecord
from bench.results.run import find_cells
from bench.scenario.requests import Request

from .conftest import make_run, make_scenario
from .reports import judged
from .services import CART, DATABASE, SHOP, UPLOAD, make_own, store_own

TWO = "2 requests: GET /cart (70 %), POST /upload (30 %)"
IMAGES: dict[str, Any] = {"image": {"id": "sha256:5409"}, "companion_images": {"db": {"id": "sha256:db17"}}}


def run_of(run_id: str, scenario: Any = None, **changes: Any) -> RunRecord:
    return make_run(scenario or make_own(), id=run_id, **(IMAGES | changes))


def refused(other: RunRecord) -> str:
    with pytest.raises(InputError) as caught:
        require_comparable(run_of("first"), other)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"service": {"image": "shopping:2"}}, "service.image: shop → shopping"),
        ({"companions": (), "companion_images": {}}, "companions.db.image: "),
        ({"companions": (DATABASE.model_copy(update={"user": "9"}),)}, 'companions.db.user: absent → "9"'),
        ({"service": {"command": ("serve",)}}, "service.command: serve --port {port} → serve"),
        ({"service": {"memory_mb": 64}}, "service.memory_mb: absent → 64"),
        ({"service": {"environment": {"PORT": "{port}"}}}, "service.environment.SECRET: sha256 "),
        ({"requests": (CART,)}, "requests.2: POST /upload, weight 3, status 201, a body of 5 bytes"),
        (
            {"requests": (Request(path="/cart", weight=6), UPLOAD)},
            "requests.1: GET /cart, weight 7, status 200 → GET /cart, weight 6, status 200",
        ),
    ],
)
def test_a_run_of_another_service_or_of_other_requests_is_refused_by_what_differs(
    changes: dict[str, Any], said: str
) -> None:
    of_record = {key: value for key, value in changes.items() if key.endswith(("image", "images"))}
    of_plan = {key: value for key, value in changes.items() if key not in of_record}
    if "service" in of_plan:
        of_plan["service"] = SHOP.model_copy(update=of_plan["service"])
    message = refused(run_of("second", make_own(**of_plan), **of_record))
    found = re.findall(r"^  (\S+): ", message, re.MULTILINE)

    assert f"their plans differ in {len(found)} field" in message
    assert said in message
    assert {field.split(".")[0] for field in found} == {said.split(".", maxsplit=1)[0]}


def test_ones_own_service_against_the_built_in_is_one_difference_and_not_one_a_word() -> None:
    plain = make_scenario(arms=make_own().arms, blocks=4)
    message = refused(make_run(plain, id="second"))

    assert f"service: shop ({TWO}) → Apache (GET of 1,024 bytes)" in message
    assert "their plans differ in 1 field:" in message


def test_what_a_service_is_called_and_asked_of_the_telling_is_no_difference() -> None:
    renamed = SHOP.model_copy(update={"name": "store", "rate_rps": 500.0, "image": "mirror.test/shop:3"})

    assert require_comparable(run_of("first"), run_of("second", make_own(service=renamed))).faults == ()


def test_a_value_that_may_be_secret_is_not_in_the_message() -> None:
    secret = Request(path="/cart", weight=7, headers={"Authorization": "Bearer hunter3"})
    told = SHOP.model_copy(update={"environment": {"PORT": "{port}", "SECRET": "hunter4"}})
    message = refused(run_of("second", make_own(service=told, requests=(secret, UPLOAD))))

    assert "header Authorization" in message
    assert "service.environment.SECRET" in message
    assert "hunter" not in message


def test_another_release_of_an_image_is_a_circumstance_which_is_named() -> None:
    released = {"image": {"id": "sha256:5410"}, "companion_images": {"db": {"id": "sha256:db18"}}}
    found = require_comparable(run_of("first"), run_of("second", **released))

    assert found.faults == ()
    named = [str(item) for item in found.subjects]
    assert "image.id: sha256:5409 → sha256:5410" in named
    assert "companions.db.image: sha256:db17 → sha256:db18" in named


def test_a_history_goes_on_over_the_releases_of_an_image(tmp_path: Path) -> None:
    found = [judged(store_own(tmp_path / name, id=name, image={"id": name})) for name in ("old", "new")]
    lines = trace_lines([(run.record, run.verdict.comparisons) for run in found])
    p50 = [line for line in lines if line.metric == "p50_latency_us" and line.candidate == "bridge"]

    assert [[point.run for point in line.points] for line in p50] == [["new", "old"]]


def test_a_map_of_several_runs_is_of_one_service(tmp_path: Path) -> None:
    first = judged(store_own(tmp_path / "first", id="first"))
    same = judged(store_own(tmp_path / "same", id="same"))
    other = judged(store_own(tmp_path / "other", make_own(requests=(CART,)), id="other"))

    assert len(find_cells([first, same])) == 2 * len(find_cells([first]))
    with pytest.raises(InputError, match=r"measured other things:\n  requests.2: POST /upload.* → absent"):
        find_cells([first, other])
