"""What controller and agent say, however a stream cuts it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import EnvironmentLacks, MeasurementInvalid
from bench.lab.hosts.command import CommandFailed
from bench.lab.remote.link import Parser, Streams, raise_fault, say_fault, write_message

Said = tuple[int, dict[str, str], bytes]
MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 2**31), st.dictionaries(st.text(), st.text(), max_size=3), st.binary(max_size=80)
    )
)
CUTS = st.lists(st.integers(1, 40), max_size=60)


def cut(content: bytes, sizes: list[int]) -> list[bytes]:
    parts, begin = [], 0
    for size in sizes:
        parts.append(content[begin : begin + size])
        begin += size
    return [*parts, content[begin:]]


@given(MESSAGES, CUTS)
def test_messages_are_whole_however_they_are_cut(messages: list[Said], sizes: list[int]) -> None:
    reserved = {"number", "body_bytes"}
    messages = [(n, {k: v for k, v in told.items() if k not in reserved}, body) for n, told, body in messages]
    parser, heard = Parser(), []
    for part in cut(b"".join(write_message(*message) for message in messages), sizes):
        parser.feed(part)
        heard += list(parser.messages())
    assert heard == messages


NO_MESSAGES = {
    "words": b"Welcome",
    "deep": b"[" * 100_000,
    "a list": b"[1]",
    "no number": b"{}",
    "a number in words": b'{"number": "one"}',
    "infinity": b'{"number": 1e999}',
    "a size that is none": b'{"number": 1, "body_bytes": ""}',
    "a size below 0": b'{"number": 1, "body_bytes": -34}',
}


@pytest.mark.parametrize("line", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_said_to_be_none(line: bytes) -> None:
    parser = Parser()
    parser.feed(write_message(1, {}) + line + b"\n")
    heard = parser.messages()
    next(heard)
    with pytest.raises(ValueError, match="no message: b'"):
        next(heard)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))), CUTS)
def test_a_container_s_two_streams_are_told_apart(frames: list[tuple[int, bytes]], sizes: list[int]) -> None:
    content = b"".join(struct.pack(">BxxxI", stream, len(part)) + part for stream, part in frames)
    streams, heard = Streams(), b""
    for part in cut(content, sizes):
        heard += streams.feed(part)
    assert heard == b"".join(part for stream, part in frames if stream == 1)
    assert streams.messages == b"".join(part for stream, part in frames if stream == 2)[-2000:]


@pytest.mark.parametrize(
    "fault",
    [
        EnvironmentLacks("Doing", "this was seen", "Do that."),
        MeasurementInvalid("Doing", "this was seen", "Do that."),
        CommandFailed("Doing", "this was seen", "Do that."),
        FileNotFoundError("/proc/9/ns/net"),
        ProcessLookupError("process 9"),
    ],
)
def test_a_failure_there_is_the_same_failure_here(fault: Exception) -> None:
    told = say_fault(fault)
    with pytest.raises(type(fault)) as raised:
        raise_fault(told["fault"], told["told"])
    assert str(raised.value) == str(fault)


def test_a_failure_that_nobody_knows_voids_a_slot_and_ends_no_run() -> None:
    with pytest.raises(MeasurementInvalid, match="KeyError: 'worker-9'"):
        raise_fault(name="KeyError", told=["'worker-9'"])
