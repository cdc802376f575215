"""A scenario's requests, as the generator is asked to send them."""

from bench.generator.ask import Ask
from bench.lab.servers.own_image import Own
from bench.scenario.requests import Request
from bench.scenario.scenario import Scenario

FILLING = b"bench"
"""What a body of so many bytes is made of, again and again."""


def list_asks(scenario: Scenario, own: Own | None) -> tuple[Ask, ...]:
    """Of a service of a person's own; none of the built-in one, which has a page for each load."""
    return tuple(ask_of(request, own) for request in scenario.asked)


def ask_of(request: Request, own: Own | None) -> Ask:
    """`own`: where a body that is a file is."""
    body = None
    if request.body is not None:
        body = request.body.encode()
    elif request.body_bytes is not None:
        body = (FILLING * (request.body_bytes // len(FILLING) + 1))[: request.body_bytes]
    elif request.body_file is not None:
        assert own
        body = (own.files / request.body_file).read_bytes()
    return Ask(
        method=request.method,
        path=request.path,
        headers=tuple(request.headers.items()),
        body=body,
        status=request.status,
        weight=request.weight,
    )
