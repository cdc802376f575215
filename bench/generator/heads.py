"""The head of an HTTP/1 response, read strictly: the end of its body is stated once, or it is refused.

What stands here is RFC 9112, 6.3, less what cannot be told from a fault: a body that lasts until the
connection ends, and answers before the answer (1xx).
"""

import re
from typing import NamedTuple

CHUNKED = -1
"""In the place of a length: the body says itself where it ends."""

_HEAD = re.compile(rb"HTTP/1\.([01]) ([2-5][0-9]{2}) [^\r\n]*\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n")
_FIELD = re.compile(
    rb"^(content-length|transfer-encoding|connection):[ \t]*([^\r\n]*?)[ \t]*\r\n",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(rb"[0-9]{1,15}")


class Framing(Exception):
    """The bytes are not one response whose end it states."""


class Head(NamedTuple):
    """What a response's head says of what follows."""

    status: int
    length: int
    """Bytes of the body, or CHUNKED; 0 where none follows, whatever length is stated."""
    closes: bool
    """Whether the connection ends behind the response."""


def parse_head(head: bytes, *, to_head: bool = False) -> Head:
    """Read the head of a response, its empty line included; `to_head`: to a request of the method HEAD.

    Raises Framing.
    """
    found = _HEAD.fullmatch(head)
    if not found:
        raise Framing(head[:200])
    is_old, status = found[1] == b"0", int(found[2])
    fields: dict[bytes, list[bytes]] = {b"content-length": [], b"transfer-encoding": [], b"connection": []}
    for name, value in _FIELD.findall(found[3]):
        fields[name.lower()].append(value)
    tokens = {token.strip(b" \t").lower() for value in fields[b"connection"] for token in value.split(b",")}
    closes = b"close" in tokens or (is_old and b"keep-alive" not in tokens)
    length = _read_length(fields[b"content-length"], fields[b"transfer-encoding"], is_old=is_old)
    has_none = to_head or status in (204, 304)
    if (length is None and not has_none) or (status == 204 and length):
        raise Framing(head[:200])
    return Head(status, 0 if has_none or length is None else length, closes)


def _read_length(lengths: list[bytes], codings: list[bytes], *, is_old: bool) -> int | None:
    """The body's length, CHUNKED, or None where none is stated; Framing where it is stated in two ways."""
    if len(lengths) + len(codings) > 1:
        raise Framing(b", ".join([*lengths, *codings])[:200])
    if codings:
        if codings[0].lower() != b"chunked" or is_old:
            raise Framing(codings[0][:200])
        return CHUNKED
    if not lengths:
        return None
    if not _NUMBER.fullmatch(lengths[0]):
        raise Framing(lengths[0][:200])
    return int(lengths[0])
