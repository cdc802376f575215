"""The head of an HTTP/1.1 response, read strictly: one stated length, or it is refused."""

import re

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [^\r\n]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_NUMBER = re.compile(rb"[0-9]{1,15}")
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Framing(Exception):
    """The bytes are not the head of one response with a stated length."""


def parse_head(head: bytes, *, may_close: bool = False) -> tuple[int, int]:
    """(status, body length) of a response's head, its empty line included.

    Raises Framing, also for a response that ends the connection, unless it `may_close`.
    """
    status_line = _STATUS_LINE.match(head)
    lengths = _LENGTH.findall(head)
    framed = status_line and len(lengths) == 1 and _NUMBER.fullmatch(lengths[0]) and not _CODED.search(head)
    if not status_line or not framed or (_CLOSES.search(head) and not may_close):
        raise Framing(head[:200])
    return int(status_line[1]), int(lengths[0])
