"""What a server answered to each request, seen whole before a slot's load and after it.

Arms that differ in their network alone answer alike; where they do not, something else is measured.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from bench.scenario.requests import Request
from bench.stored import Count, Stored

OF_THE_MOMENT = frozenset(
    {
        "date",
        "age",
        "expires",
        "last-modified",
        "etag",
        "set-cookie",
        "x-request-id",
        "x-runtime",
        "traceparent",
    }
)
"""Headers that are another at each answer, or at each start, of many servers."""
SHOWN = 80


class AnswerRecord(Stored):
    """One request's answer."""

    request: str
    """As `Request.called`."""
    status: Count
    bytes: Count
    """Of the body, decoded."""
    sha256: str
    """Of the body."""
    headers: Mapping[str, str]
    """By name, lower case; without those of the moment."""

    def differs_from(self, other: "AnswerRecord") -> list[str]:
        """What is not the same, each with both values; bodies that are equally long may differ."""
        found = [
            f"{name} {getattr(self, name)} and {getattr(other, name)}"
            for name in ("status", "bytes")
            if getattr(self, name) != getattr(other, name)
        ]
        names = sorted(self.headers.keys() | other.headers.keys())
        return found + [
            f"header {name} {ours!r:.80} and {theirs!r:.80}"
            for name in names
            if (ours := self.headers.get(name, "absent")) != (theirs := other.headers.get(name, "absent"))
        ]


def record_answer(
    request: Request, status: int, headers: Sequence[tuple[str, str]], body: bytes
) -> AnswerRecord:
    """Of one whole answer."""
    kept = {name.lower(): value for name, value in headers if name.lower() not in OF_THE_MOMENT}
    return AnswerRecord(
        request=request.called,
        status=status,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        headers=kept,
    )


def find_fault(request: Request, status: int, body: bytes) -> str:
    """Why it is not the answer that `request` expects; empty where it is."""
    expected = request.expect
    text = body.decode(errors="replace")
    shown, digest = repr(text[:SHOWN]), hashlib.sha256(body).hexdigest()
    checks = (
        (status == request.status, f"its status is {status}, not {request.status}"),
        (expected.text in (None, text), f"its body is {shown}, not {(expected.text or '')[:SHOWN]!r}"),
        (expected.bytes in (None, len(body)), f"its body has {len(body):,} bytes, not {expected.bytes}"),
        (expected.sha256 in (None, digest), f"its body's SHA-256 is {digest}, not {expected.sha256}"),
        (
            expected.same_json is None or _is_same_json(text, expected.same_json),
            f"its body is {shown}, which is not the same JSON as {expected.same_json!r:.80}",
        ),
        (
            expected.pattern is None or re.search(expected.pattern, text) is not None,
            f"its body is {shown}, in which nothing matches {expected.pattern!r:.80}",
        ),
    )
    return next((fault for is_met, fault in checks if not is_met), "")


def _is_same_json(text: str, wanted: str) -> bool:
    try:
        return bool(json.loads(text) == json.loads(wanted))
    except (ValueError, RecursionError):
        return False


def find_differing(answers: Mapping[str, Sequence[AnswerRecord]], baseline: str) -> list[str]:
    """A line for each request that an arm answers otherwise than the `baseline` does.

    `answers`: by arm, of one of its slots.
    """
    lines = []
    for arm, theirs in answers.items():
        for ours, other in zip(answers.get(baseline, ()), theirs, strict=False):
            if arm != baseline and (found := ours.differs_from(other)):
                lines.append(
                    f"{ours.request} is answered otherwise by {baseline} and {arm}: {'; '.join(found)}"
                )
    return lines
