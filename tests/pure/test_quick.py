"""`bench quick`: the quick scenario, asked of an image."""

import pytest

from bench.cli.scenario_files import read_scenario
from bench.errors import InputError
from bench.scenario.quick import ask_service

QUICK = read_scenario("quick")


def test_the_quick_scenario_is_asked_of_an_image_with_longer_turns() -> None:
    found = ask_service(QUICK, {"image": "registry.test/Shop:1.2", "port": 8080}, {"path": "/health"})

    assert found.name == "quick-shop-1-2"
    assert found.service
    assert (found.service.port, found.asked[0].called) == (8080, "GET /health")
    assert found.schedule.interleave
    assert QUICK.schedule.interleave
    assert found.schedule.interleave.life_s > QUICK.schedule.interleave.life_s
    assert (found.claims, found.margins) == (QUICK.claims, QUICK.margins)


@pytest.mark.parametrize("length", [1, 39, 60])
def test_a_long_name_is_a_name_still(length: int) -> None:
    assert ask_service(QUICK, {"image": "x" * length}, {}).name.startswith("quick-x")


def test_what_is_no_service_is_refused_by_its_field() -> None:
    with pytest.raises(InputError, match=r"service\.environment\.A: .*stands for nothing"):
        ask_service(QUICK, {"image": "shop", "environment": {"A": "{pot}"}}, {})
