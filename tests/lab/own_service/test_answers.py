"""What a service answers is seen whole, and held against what was expected and between arms."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure.testbed import Bed
from bench.scenario.requests import Expected, Request
from bench.slots.answers import find_differing

from .conftest import measure, told, why


@contextmanager
def expecting(bed: Bed, **expected: object) -> Iterator[None]:
    before = bed.scenario
    request = Request(expect=Expected.model_validate(expected))
    bed.scenario = before.model_copy(update={"requests": (request,)})
    try:
        yield
    finally:
        bed.scenario = before


def test_an_answer_that_is_as_expected_is_recorded_whole(bed: Bed, tmp_path: Path) -> None:
    with expecting(bed, text="small\n", bytes=6, pattern="^sm"):
        [answer] = measure(bed, "bridge", tmp_path).answers

    assert (answer.request, answer.status, answer.bytes) == ("GET /", 200, 6)
    assert answer.headers == {"content-length": "6", "x-mode": "same"}


def test_an_answer_that_is_not_as_expected_gets_no_load(bed: Bed, tmp_path: Path) -> None:
    with expecting(bed, text="large\n"):
        record = measure(bed, "bridge", tmp_path)

    assert record.requests == 0
    assert "its body is 'small\\n', not 'large\\n'" in why(record)


def test_a_service_that_answers_otherwise_in_one_mode_is_told_with_both_answers(
    bed: Bed, tmp_path: Path
) -> None:
    with told(bed, ODD_IN_HOST="1"):
        answers = {arm: measure(bed, arm, tmp_path).answers for arm in ("host", "bridge")}

    [line] = find_differing(answers, "host")
    assert "GET / is answered otherwise by host and bridge" in line
    assert "bytes 7 and 6" in line
    assert "header x-mode 'host' and 'same'" in line
