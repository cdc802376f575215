"""Heads of responses: what is read of them, and what is refused; by Python, and by the compiled loop."""

import ctypes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.generator.compiled_loop import provide_library
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


# The same in C.

PIECES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 404 ",
    b"HTTP/1.0 200 OK",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b"\x00",
    b"\xff",
    b"Content-Length:",
    b"content-LENGTH: ",
    b"Content-Length : ",
    b"0",
    b"12",
    b"123456789012345",
    b"1234567890123456",
    b"+1",
    b"Transfer-Encoding: chunked",
    b"Connection: ",
    b"close",
    b"CLOSE-not",
    b"keep-alive",
    b"X: y",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join), st.booleans())
@settings(max_examples=1000)
@example(b"HTTP/1.1 200 OK", False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1", True)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\rx\r\nContent-Length: 6", False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n", False)
def test_the_compiled_loop_reads_heads_as_python_does(start: bytes, may_close: bool) -> None:
    head = start.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"
    try:
        expected = parse_head(head, may_close=may_close)
    except Framing:
        expected = None
    functions = provide_library().functions
    assert functions
    status, length = ctypes.c_int(), ctypes.c_int64()
    framed = functions.parse_head(
        head, len(head), may_close, ctypes.addressof(status), ctypes.addressof(length)
    )

    assert ((status.value, length.value) if framed else None) == expected
