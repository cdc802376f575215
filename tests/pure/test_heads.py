"""Heads of responses: what is read of them, and what is refused; by Python, and by the compiled loop."""

import ctypes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.generator.compiled_loop import ResponseHead, provide_library
from bench.generator.heads import CHUNKED, Framing, Head, parse_head

from .servers import UNFRAMED


@pytest.mark.parametrize(
    ("head", "status", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n", 200, 1024),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, 0),
        (b"HTTP/1.1 404 Not Found\r\nA: b\r\nCONTENT-LENGTH:\t 7 \t\r\nC: d\r\n\r\n", 404, 7),
        (b"HTTP/1.1 503 \r\nContent-Length: 1048576\r\n\r\n", 503, 1_048_576),
        (b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 200, 6),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 6\r\n\r\n", 200, 6),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 200, CHUNKED),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1024\r\n\r\n", 304, 0),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, 0),
    ],
)
def test_a_head_gives_its_status_and_the_length_of_its_body(head: bytes, status: int, length: int) -> None:
    assert parse_head(head) == Head(status, length, closes=False)


@pytest.mark.parametrize(
    ("said", "length"), [(b"", 0), (b"Content-Length: 9\r\n", 0), (b"Transfer-Encoding: chunked\r\n", 0)]
)
def test_an_answer_to_head_has_no_body_whatever_its_head_says(said: bytes, length: int) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + said + b"\r\n"
    assert parse_head(head, to_head=True) == Head(200, length, closes=False)


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", True),
        (b"HTTP/1.1 200 OK\r\nCONNECTION:\tClose\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: upgrade , close\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nConnection: close\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: closed, enclose\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX-Connection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n", True),
    ],
)
def test_a_head_says_whether_the_connection_ends(head: bytes, closes: bool) -> None:
    assert parse_head(head + b"Content-Length: 5\r\n\r\n") == Head(200, 5, closes=closes)


@pytest.mark.parametrize("answer", UNFRAMED.values(), ids=UNFRAMED)
def test_a_head_that_does_not_state_its_end_once_is_refused(answer: bytes) -> None:
    with pytest.raises(Framing):
        parse_head(answer[: answer.index(b"\r\n\r\n") + 4])


# The same in C.

PIECES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 404 ",
    b"HTTP/1.1 204 No",
    b"HTTP/1.1 304 No",
    b"HTTP/1.1 100 Go",
    b"HTTP/1.0 200 OK",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b",",
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
    b"Transfer-Encoding: ",
    b"Connection: ",
    b"close",
    b"CLOSE-not",
    b"keep-alive",
    b"X: y",
]
LINES = [
    b"Content-Length: 0",
    b"Content-Length: 12",
    b"Content-Length: 12 ",
    b"Content-Length: ",
    b"transfer-encoding: chunked",
    b"Transfer-Encoding:\tCHUNKED\t",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Connection: Keep-Alive",
    b"connection:a,, close ,",
    b"X: y",
    b":",
    b"X\xe4: y",
]
STARTS = [piece for piece in PIECES if piece.startswith(b"HTTP/")]


@given(
    st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join),
        st.tuples(st.sampled_from(STARTS), st.lists(st.sampled_from(LINES), max_size=4)).map(
            lambda parts: b"\r\n".join([parts[0], *parts[1]])
        ),
    ),
    st.booleans(),
)
@settings(max_examples=2000)
@example(b"HTTP/1.1 200 OK", False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1", True)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\rx\r\nContent-Length: 6", False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n", False)
@example(b"HTTP/1.1 200 \r\nConnection:", True)
def test_the_compiled_loop_reads_heads_as_python_does(start: bytes, to_head: bool) -> None:
    head = start.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"
    try:
        expected = parse_head(head, to_head=to_head)
    except Framing:
        expected = None
    functions = provide_library().functions
    assert functions
    read = ResponseHead()
    framed = functions.parse_head(head, len(head), to_head, ctypes.addressof(read))

    found = Head(read.status, read.length, closes=bool(read.closes))
    assert (found if framed else None) == expected
