"""Waits until a server that was started answers, and says why where it does not."""

import time
from ipaddress import ip_address

from bench.errors import MeasurementInvalid
from bench.generator.asks import authority
from bench.lab.hosts import waiting
from bench.lab.servers.containers import has_said
from bench.lab.servers.listening import describe_listeners, read_listeners
from bench.lab.servers.server import Server
from bench.lab.servers.site import Site
from bench.measure.testbed import Bed
from bench.scenario.conditions import Condition
from bench.scenario.model import Arm

FIRST_SLICE_S = 1.0
"""Of asking, before it is looked whether it still lives; each is twice as long as the last, for a server
may be slow to answer."""
LOOK_S = 0.02
UNREACHED = frozenset({7, 28})
"""Of curl: could not connect, and nothing came in time."""
ASK_S = "3"
"""Curl's patience with one answer, where the load's own probe got none that was right."""


def await_answer(
    bed: Bed, site: Site, server: Server, arm: Arm, condition: Condition, patience_s: float
) -> int:
    """CLOCK_MONOTONIC ns, at the client, of the first of three right answers in a row.

    Raises MeasurementInvalid where none comes within `patience_s`, or sooner where the server ends: with
    what is known of why.
    """
    deadline_s = time.monotonic() + patience_s
    host, pattern = site.engine.host, site.provided.service.ready.log
    if pattern and (container := server.container):
        waiting.wait_until(
            lambda: has_said(container, pattern) or not _lives(server, site), patience_s, step_s=LOOK_S
        )
        if _lives(server, site) and not has_said(container, pattern):
            raise MeasurementInvalid(
                _doing(arm, server),
                f"no line of its log is like {pattern!r} after {patience_s:g} s; its last words:"
                f" {server.last_words() or 'none'}",
                "See service.ready.",
            )
    slice_s = FIRST_SLICE_S
    while (left_s := deadline_s - time.monotonic()) > 0 and _lives(server, site):
        probed = bed.probe(server, condition, min(slice_s, left_s))
        slice_s *= 2
        if probed is not None:
            return probed
        bed.generator.refuse_stranger(server.endpoint, server.secret)  # That is the better reason.
    lives = server.state(host) == "running"
    raise MeasurementInvalid(
        _doing(arm, server),
        f"{_explain(bed, site, server, condition) if lives else f'it is {server.state(host)}'}; its last"
        f" words: {server.last_words() or 'none'}",
        "The slot is INVALID.",
    )


def _doing(arm: Arm, server: Server) -> str:
    return f"Waiting for {arm.name} at {authority(server.endpoint.address, server.endpoint.port)}"


def _lives(server: Server, site: Site) -> bool:
    return site.engine.host.has(f"/proc/{server.pid}/ns/net")


def _explain(bed: Bed, site: Site, server: Server, condition: Condition) -> str:
    """Why a server that lives gives no right answer: by its sockets, and by asking once more."""
    port = int(server.filled["port"])
    listening = read_listeners(site.engine.host, server.pid)
    here = [(address, number) for address, number in listening if number == port]
    if not here:
        said = describe_listeners(listening)
        return f"nothing listens on its port {port} (in its network {said} is listened on): see `port`"
    if all(ip_address(address).is_loopback for address, _ in here):
        return (
            f"it listens on {describe_listeners(here)} alone, which nobody reaches from outside of its"
            " network: have it listen on 0.0.0.0"
        )
    return f"it listens on {describe_listeners(here)}, and {_ask_once(bed, site, server, condition)}"


def _ask_once(bed: Bed, site: Site, server: Server, condition: Condition) -> str:
    ready = bed.ready(condition)
    scheme = "https" if site.provided.service.tls else "http"
    url = f"{scheme}://{authority(server.endpoint.address, server.endpoint.port)}{ready.path}"
    method = ["--head"] if ready.method == "HEAD" else ["--request", ready.method]
    ask = ("curl", "-sS", "-k", "--max-time", ASK_S, "-o", "/dev/null", "-w", "%{http_code}", *method)
    done = server.sender.attempt([*ask, url], timeout_s=2 * float(ASK_S), environment={})
    answer = done.output.strip()
    if done.status == 0:
        return (
            f"{ready.called} is answered with {answer}, and {ready.status} is waited for: see service.ready"
        )
    said = answer.partition("\n")[0][:200]
    if done.status in UNREACHED:
        sender = server.sender.name
        return f"no connection comes through from {sender} ({said}){bed.explain_silence(server.endpoint)}"
    return f"it takes connections, and answers {ready.called} with nothing in {scheme.upper()} ({said})"
