"""Text of others, without what a terminal obeys and no page can show."""

import re

NOT_SHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def replace_controls(text: str) -> str:
    """`text` without what no page can show: control characters, halves of characters, turned directions.

    XML 1.0 has no way to write most of them, HTML forbids them, a terminal obeys them, and those that
    turn the direction of writing make a text look like another one. Tab and newline stay.
    """
    return NOT_SHOWN.sub("\ufffd", text)
