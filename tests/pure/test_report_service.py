"""What a report says of a service of one's own: its container, what arms had in common, its requests."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.report.run.cautions import find_cautions
from bench.report.run.page import fill_page, list_chapters
from bench.report.run.service import tabulate_parity, tell_requests, tell_service
from bench.report.table import Table
from bench.results.by_request import read_by_request
from bench.results.run import Run
from bench.scenario.plan import plan_slots
from bench.slots.surroundings import digest

from .conftest import make_gate, make_scenario
from .reports import judged, store_run
from .services import CART, FACTS, answer, facts_of, make_own, measure_own, store_own


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return judged(store_own(tmp_path_factory.mktemp("shop")))


def tables_of(run: Run) -> dict[str, Table]:
    told = tell_service(run)
    assert told
    return {table.caption.split(" (")[0].split(":")[0]: table for table in told["tables"]}


def test_the_image_and_how_it_was_started_are_told_and_no_variables_value(shop: Run) -> None:
    told = tell_service(shop)

    assert told
    assert told["image"] == [
        ("source", "registry.test/shop:3"),
        ("id", "sha256:5409"),
        ("architecture", "amd64"),
    ]
    assert dict(told["start"]) == {
        "started as": "serve --port {port}",
        "user": "1000",
        "memory limit": "none",
        "log driver": "none",
        "mounts": "/etc/shop.toml (ro)",
        "limits of its process": "open files 1024",
        "variables, by name": "PORT, SECRET",
    }
    assert FACTS["variable SECRET"] not in str(told)


def test_a_limit_is_told_in_mebibytes(tmp_path: Path) -> None:
    scenario = make_own()
    facts = {**FACTS, "memory limit": str(64 * 2**20)}
    slots = tuple(
        measure_own(scenario, slot, surroundings=digest(facts)) for slot in plan_slots(scenario, seed=1)
    )
    told = tell_service(judged(store_own(tmp_path, slots=slots, surroundings={digest(facts): facts})))

    assert told
    assert ("memory limit", "64 MiB") in told["start"]


def test_companions_requests_and_answers_are_told(shop: Run) -> None:
    tables = tables_of(shop)

    assert tables["What it needs beside it, in every arm"].rows == (
        ("db", "postgres:17", "sha256:db17", "amd64"),
    )
    assert tables["Requests"].rows == (
        ("GET /cart", "70 %", "200", "200", "5", "2cf24dba5fb0"),
        ("POST /upload", "30 %", "201", "201", "5", "2cf24dba5fb0"),
    )
    assert tables["Requests"].caption == "Requests (answers of host, seen whole before its load)"


def test_facts_are_counted_as_equal_explained_and_unexplained(tmp_path: Path) -> None:
    scenario = make_own()
    plan = plan_slots(scenario, seed=1)
    found = {slot.arm: {**facts_of(slot), "user": "0" if slot.arm == "bridge" else "1000"} for slot in plan}
    slots = tuple(measure_own(scenario, slot, surroundings=digest(found[slot.arm])) for slot in plan)
    facts = {digest(of_arm): of_arm for of_arm in found.values()}
    run = judged(store_own(tmp_path, slots=slots, surroundings=facts))
    equal, explained, unexplained = tabulate_parity(run).rows

    assert equal[:2] == ("equal in all arms", str(len(FACTS) - 2))
    assert explained[:4] == ("differ, by the mode", "1", "net.ipv4.ip_forward", "bridge and user-bridge")
    assert "Docker turns forwarding on" in explained[4]
    assert unexplained[:4] == ("differ, without a reason", "1", "user", "bridge")
    assert any(
        caution.startswith("user is not the same around every shop (bridge: 0")
        for caution in find_cautions(run)
    )


def test_where_nothing_is_unexplained_the_row_says_none(shop: Run) -> None:
    assert tabulate_parity(shop).rows[-1] == ("differ, without a reason", "0", "–", "–", "–")


def test_the_built_in_service_has_no_such_section(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=3), requests=True))

    assert tell_service(run) is None
    assert tell_requests(run) is None
    assert not {"service", "requests"} & {chapter.name for chapter in list_chapters(run, figures=False)}


# What arms answered.


def test_arms_that_answer_otherwise_are_a_warning_with_both_values(tmp_path: Path) -> None:
    scenario = make_own()
    others = {"bridge": answer(scenario, server="shop/4"), "user-bridge": answer(scenario, body=b"hello!")}
    slots = tuple(
        measure_own(scenario, slot, answers=others.get(slot.arm, answer(scenario)))
        for slot in plan_slots(scenario, seed=1)
    )
    run = judged(store_own(tmp_path, slots=slots))
    said = [line for line in run.verdict.warnings if "answered otherwise" in line]

    assert said == [
        "GET /cart is answered otherwise by host and bridge: header server 'shop/3' and 'shop/4'.",
        "POST /upload is answered otherwise by host and bridge: header server 'shop/3' and 'shop/4'.",
        "GET /cart is answered otherwise by host and user-bridge: bytes 5 and 6.",
        "POST /upload is answered otherwise by host and user-bridge: bytes 5 and 6.",
    ]
    assert set(said) <= set(find_cautions(run))


def test_the_answers_of_an_invalid_slot_are_not_compared(tmp_path: Path) -> None:
    scenario = make_own()
    plan = plan_slots(scenario, seed=1)
    first = next(slot.index for slot in plan if slot.arm == "bridge")
    void: dict[str, Any] = {
        "gates": (make_gate(passed=False),),
        "answers": answer(scenario, body=b"starting"),
    }
    slots = tuple(measure_own(scenario, slot, **(void if slot.index == first else {})) for slot in plan)

    assert not [
        line for line in judged(store_own(tmp_path, slots=slots)).verdict.warnings if "answered" in line
    ]


def test_arms_that_answer_alike_are_no_warning(shop: Run) -> None:
    assert shop.verdict.warnings == ()


# By request.


def test_every_request_has_its_count_and_quantiles_by_arm(shop: Run) -> None:
    """Of 60 requests a slot, sent 9 ns apart and done n² ns after the first, 40 are the first one's."""
    places = np.arange(60)
    took_us = (20_000 + places**2 - 9 * places) / 1e3
    slots = sum(slot.slot.arm == "host" for slot in shop.record.slots)
    found = {(row.arm, row.request): row for row in read_by_request(shop)}

    assert list(found) == [(arm, n) for n in (0, 1) for arm in ("host", "bridge", "user-bridge")]
    for request, of_request in ((0, places % 3 != 2), (1, places % 3 == 2)):
        row = found["bridge", request]
        assert row.count == slots * of_request.sum()
        assert row.p50_us == pytest.approx(np.quantile(np.repeat(took_us[of_request], slots), 0.5), rel=5e-3)
        assert row.p99_us == pytest.approx(np.quantile(np.repeat(took_us[of_request], slots), 0.99), rel=5e-3)


@pytest.mark.slow
def test_the_page_has_them_and_what_was_served_in_both_forms(shop: Run) -> None:
    html, markdown = (fill_page(form, shop, list_chapters(shop)) for form in ("html", "md"))

    for text in (html, markdown):
        assert "What each request takes" in text
        assert "What was served" in text
        assert "What it means for you" in text
    assert "| POST /upload | user-bridge | 160 |" in markdown


def test_a_value_that_may_be_secret_is_nowhere_in_the_report(shop: Run) -> None:
    html, markdown = (fill_page(form, shop, list_chapters(shop)) for form in ("html", "md"))

    assert "hunter2" in shop.record.model_dump_json()
    for text in (html, markdown):
        assert "SECRET" in text
        assert "hunter2" not in text


def test_a_run_of_one_request_has_no_table_of_requests(tmp_path: Path) -> None:
    run = judged(store_own(tmp_path, make_own(requests=(CART,))))

    assert tell_requests(run) is None
    assert "service" in {chapter.name for chapter in list_chapters(run, figures=False)}


def test_slots_that_do_not_say_what_was_asked_for_are_left_out(tmp_path: Path) -> None:
    run = store_run(tmp_path, make_own(companions=()), requests=True)

    assert read_by_request(run) == []
    assert tell_requests(run) is None
