"""What two runs served, and asked for: equal in runs whose answers compare."""

import hashlib
import json
from collections.abc import Iterator, Sequence

from bench.errors import InputError
from bench.judgement.across_runs.disagreement import Disagreement, list_disagreements
from bench.records.run import RunRecord
from bench.scenario.requests import Request
from bench.scenario.served import describe_requests, name_served
from bench.scenario.service import Container

NAMES_ALONE = {"name", "rate_rps", "image", "archive", "build", "environment"}
"""What a service is called, and what is told of it. Which release of an image it was is a circumstance, and
may differ: a service of one's own has a new one every week."""
SHOWN = 12
"""Characters of the digest of what may be secret: messages are passed on."""


def describe_service(record: RunRecord) -> dict[str, str]:
    """Image (of whatever release), words and requests of what a run measured, and of what it needed, by
    dotted field."""
    scenario = record.scenario
    if scenario.served.is_built_in:
        found = {"service": name_served(scenario)}
    else:
        found = {"service": "of one's own", **_describe("service", scenario.served)}
    for companion in scenario.companions:
        found |= _describe(f"companions.{companion.name}", companion)
    return found | {
        f"requests.{place}": _describe_request(request) for place, request in enumerate(scenario.asked, 1)
    }


def _describe(what: str, container: Container) -> dict[str, str]:
    words = container.model_dump(mode="json", exclude_defaults=True, exclude=NAMES_ALONE)
    return {
        f"{what}.image": _name_repository(container.source),
        **{f"{what}.{field}": _show(value) for field, value in words.items()},
        **{f"{what}.environment.{name}": value for name, value in _describe_variables(container)},
    }


def _name_repository(source: str) -> str:
    """`shop` of `registry:5000/team/shop:1.2@sha256:...`: the same from another registry."""
    return source.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _describe_variables(container: Container) -> Iterator[tuple[str, str]]:
    for name, value in container.environment.items():
        yield name, value if "{" in value else _digest(value)


def _describe_request(request: Request) -> str:
    """In words, without what it expects of its answer: that decides what counts, not what is measured."""
    said = [request.called, f"weight {request.weight}", f"status {request.status}"]
    said += [f"header {name} ({_digest(value)})" for name, value in sorted(request.headers.items())]
    if request.body is not None:
        said.append(f"a body of {len(request.body.encode()):,} bytes ({_digest(request.body)})")
    if request.body_bytes is not None:
        said.append(f"a body of {request.body_bytes:,} bytes")
    if request.body_file is not None:
        said.append(f"the body {request.body_file}")
    return ", ".join(said)


def _show(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else json.dumps(value, sort_keys=True)


def _digest(text: str) -> str:
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:SHOWN]}"


def find_faults_of_service(before: RunRecord, after: RunRecord) -> Iterator[Disagreement]:
    """In what the service of two runs, or what it is asked for, differs."""
    first, second = describe_service(before), describe_service(after)
    if first["service"] != second["service"]:  # Then all of their words differ, and need not be told.
        yield Disagreement(field="service", before=_name(before), after=_name(after))
    else:
        yield from list_disagreements(first, second)


def require_same_service(records: Sequence[RunRecord]) -> None:
    """That all of `records` can stand on one map. Raises InputError where two measured other things."""
    for other in records[1:]:
        faults = list(find_faults_of_service(records[0], other))
        first, second = records[0].image.id, other.image.id
        if not faults and not other.scenario.served.is_built_in and first != second:
            faults = [Disagreement(field="image", before=first or "unknown", after=second or "unknown")]
        if faults:
            raise InputError(
                f"Mapping the runs {records[0].id} and {other.id}",
                "they measured other things:\n  " + "\n  ".join(map(str, faults)) + "\n",
                "What a mode costs one service says nothing of another: map runs of one, with its requests.",
            )


def _name(record: RunRecord) -> str:
    return f"{name_served(record.scenario)} ({describe_requests(record.scenario)})"
