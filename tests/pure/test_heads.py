"""Heads of responses: what is read of them, and what is refused; by Python, and by the compiled loop."""

import pytest

from bench.generator.heads import Framing, parse_head

from .servers import UNFRAMED


@pytest.mark.parametrize(
    ("head", "parsed"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n", (200, 1024)),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", (200, 0)),
        (b"HTTP/1.1 404 Not Found\r\nA: b\r\nCONTENT-LENGTH:\t 7 \t\r\nC: d\r\n\r\n", (404, 7)),
        (b"HTTP/1.1 503 \r\nContent-Length: 1048576\r\n\r\n", (503, 1_048_576)),
        (b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\nContent-Length: 6\r\n\r\n", (200, 6)),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 6\r\n\r\n", (200, 6)),
    ],
)
def test_a_head_gives_its_status_and_the_length_of_its_body(head: bytes, parsed: tuple[int, int]) -> None:
    assert parse_head(head) == parsed


@pytest.mark.parametrize("answer", UNFRAMED.values(), ids=UNFRAMED)
def test_a_head_without_one_stated_length_is_refused(answer: bytes) -> None:
    with pytest.raises(Framing):
        parse_head(answer[: answer.index(b"\r\n\r\n") + 4])
