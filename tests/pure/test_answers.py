"""Whole answers: held against what a request expects, and between arms."""

import hashlib

import pytest

from bench.scenario.requests import Expected, Request
from bench.slots.answers import find_differing, find_fault, record_answer

BODY = b'{"items": [1, 2]}'


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"text": BODY.decode()},
        {"bytes": len(BODY)},
        {"sha256": hashlib.sha256(BODY).hexdigest()},
        {"same_json": '{ "items" : [1,\n2] }'},
        {"pattern": r"\[\d, \d\]"},
    ],
    ids=str,
)
def test_an_answer_as_expected_has_no_fault(expected: dict[str, object]) -> None:
    assert find_fault(Request(expect=Expected.model_validate(expected)), 200, BODY) == ""


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"text": "{}"}, "its body is '{\"items\": [1, 2]}', not '{}'"),
        ({"bytes": 1}, "its body has 17 bytes, not 1"),
        ({"sha256": "0" * 64}, "its body's SHA-256 is"),
        ({"same_json": '{"items": [2, 1]}'}, "which is not the same JSON"),
        ({"pattern": "^items"}, "in which nothing matches '^items'"),
    ],
)
def test_a_fault_says_what_was_seen_and_what_was_expected(expected: dict[str, object], said: str) -> None:
    assert said in find_fault(Request(expect=Expected.model_validate(expected)), 200, BODY)


@pytest.mark.parametrize("body", [b"one", b"[" * 100_000], ids=["a word", "deeper than is read"])
def test_what_is_no_json_is_not_the_same_json(body: bytes) -> None:
    assert find_fault(Request(expect=Expected(same_json="1")), 200, body)


def test_the_status_is_asked_for_first() -> None:
    assert (
        find_fault(Request(status=204, expect=Expected(bytes=0)), 404, b"x") == "its status is 404, not 204"
    )


def test_headers_of_the_moment_are_not_kept_and_no_difference() -> None:
    headers = [("Date", "now"), ("Set-Cookie", "id=1"), ("X-Mode", "host")]
    found = record_answer(Request(), 200, headers, b"")

    assert found.headers == {"x-mode": "host"}


def test_arms_that_answer_otherwise_are_told_by_status_length_and_header() -> None:
    request = Request(path="/a")
    answers = {
        "host": [record_answer(request, 200, [("X-Mode", "host")], b"long")],
        "bridge": [record_answer(request, 302, [], b"")],
        "proxy": [record_answer(request, 200, [("X-Mode", "host")], b"rest")],
    }

    [line] = find_differing(answers, "host")
    assert line == (
        "GET /a is answered otherwise by host and bridge: status 200 and 302; bytes 4 and 0;"
        " header x-mode 'host' and 'absent'"
    )
