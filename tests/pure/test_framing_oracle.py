"""Where an answer ends: what the loops read, held against h11, which was written by others."""

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.generator.answer import Answer
from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.heads import Framing

from .servers import MISCHUNKED, chunked, response

METHODS = ("GET", "HEAD")
STARTS = (b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 No", b"HTTP/1.1 404 No")
FIELDS = (
    b"Content-Length: 4",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Server: unit",
)
BODIES = (
    b"",
    b"0\r\n\r\n",
    b"body",
    chunked(b"a", b"bc" * 20, trailers="A: b\r\n").partition(b"\r\n\r\n")[2],
    chunked(b"abc", extension=";x=y").partition(b"\r\n\r\n")[2],
    *(body for body in MISCHUNKED.values() if len(body) < 100),
)
STRICTER = ("a size of 16 digits", "a line feed for an end", "a line feed in a trailer")
"""What h11 lets pass, for the sake of others' servers."""


def read(answer: bytes, method: str) -> tuple[int, int, bool] | None:
    """Status, length of the body and whether the connection ends; None: refused, or not all here."""
    found = Answer()
    [asked] = Mix((Ask(method=method, path="/"),)).prepare("127.0.0.1", 80)
    try:
        found.take(answer, asked)
    except Framing:
        return None
    return (found.status, found.length, found.closes) if found.is_done else None


def read_with_h11(answer: bytes, method: str) -> tuple[int, int, bool] | None:
    """The same of h11's."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answer)
    status = length = 0
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                length += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    left, _ = connection.trailing_data
    closes = connection.their_state is h11.MUST_CLOSE
    return None if left else (status, length, closes)


def end_is_stated(answer: bytes, method: str) -> bool:
    """Whether the answer is of those that both are to understand: h11 also reads until the end."""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    stated = head.count(b"content-length:") + head.count(b"transfer-encoding:")
    return (stated == 1 and b"gzip" not in head) or (
        stated == 0 and (method == "HEAD" or b" 204 " in head or b" 304 " in head)
    )


@settings(max_examples=1500)
@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(FIELDS), max_size=3, unique=True),
    st.sampled_from(BODIES),
    st.sampled_from(METHODS),
)
@example(STARTS[0], [FIELDS[2]], MISCHUNKED["no size"], "GET")
def test_what_is_read_of_an_answer_is_what_h11_reads_of_it(
    start: bytes, fields: list[bytes], body: bytes, method: str
) -> None:
    answer = b"\r\n".join([start, *fields, b"", body])
    found, other = read(answer, method), read_with_h11(answer, method)

    if not end_is_stated(answer, method):
        assert found is None
    elif start == STARTS[1] and set(fields) & {FIELDS[0], FIELDS[2]}:
        assert found is None, "no content has no length: h11 does not mind"
    elif body not in [MISCHUNKED[name] for name in STRICTER]:
        assert found == other
    else:
        assert found in (None, other)


def test_a_long_answer_is_counted_as_h11_counts_it() -> None:
    for answer in (response(b"x" * 100_000), chunked(*[b"y" * 4_096] * 30)):
        assert read(answer, "GET") == read_with_h11(answer, "GET") is not None
