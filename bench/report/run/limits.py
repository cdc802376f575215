"""What a run does not tell, as its report says it."""

from bench.records.environment import REMOTE, UNKNOWN
from bench.results.run import Run
from bench.scenario.served import describe_requests, name_served


def describe_limits(run: Run) -> list[str]:
    """What the run does not tell."""
    capacity = "With one connection, throughput is the inverse of mean latency: it says nothing of capacity."
    steps = (
        "A step is the difference between two whole paths, measured as they stand. What it adds need not"
        " be one part's own cost: a part may also change what the parts beside it cost."
    )
    engines = "lab.engine" in run.record.scenario.factors
    load, tried = run.record.scenario.load, run.walkthrough is not None
    one_connection = (
        not load.is_open and not load.is_lookup and any(c.load.connections == 1 for c in run.conditions)
    )
    connections = load.describe_connections(run.record.scenario.factors)
    asked = _describe_asked(run) + (f", over {connections}" if connections else "")
    if load.by_locustfile:
        asked = f"what the locustfile {load.locustfile} asks for, by {load.describe_connections()}"
    if load.is_lookup:
        asked = f"about {describe_requests(run.record.scenario)}"
        asked += f" ({connections})" if connections else ""
    other = "how much could be served at most" if load.is_open else "a fixed arrival rate"
    vantage = run.record.lab.vantage or UNKNOWN
    place = (
        f"Client and server share a machine and a kernel ({vantage}), so no network card and no wire is in"
        " the path. Where a request takes longer, the ratio is nearer to 1; the difference in microseconds"
        " travels better than the ratio."
    )
    if vantage == REMOTE:
        place = (
            "Between client and server are these machines' network cards, and this wire and these switches:"
            " over another network the ratio is another. The difference in microseconds travels better."
        )
    if load.is_start:
        return _describe_limits_of_starts(engines=engines)
    return [
        place,
        (
            "The intervals hold for this machine in this hour, not for other machines, kernels or"
            f" {'engines than those named' if engines else 'versions'}."
        ),
        *([capacity] if one_connection else []),
        (
            f"It is {asked}, in a {load.describe_loop(run.record.scenario.factors)}:"
            f" {_list_other_questions(run)} and {other} are other questions."
        ),
        (
            "What a mode gives up besides speed (ports, replicas, firewall, who can reach it) stands on the"
            " decision card by what Docker and the kernel are known to do; of it this run measured the"
            f" start alone, and proved the path{', beside what its walkthrough tried' * tried}."
        ),
        *([steps] if run.record.scenario.ladder else []),
    ]


def _describe_limits_of_starts(*, engines: bool) -> list[str]:
    return [
        (
            "Docker's client is bench's own, over the engine's socket, and its images lie in memory: what"
            " `docker run` adds of itself, and what a disk or a registry takes, is not in these times."
        ),
        (
            "Client and Docker host share a machine of few cores: how starts hinder one another is these"
            " cores' and this engine's."
        ),
        (
            "The intervals hold for this machine in this hour, not for other machines, kernels or"
            f" {'engines than those named' if engines else 'versions'}."
        ),
        "Behind the ports that are published besides nothing listens, and nothing is sent to them.",
        "What a container serves once it is up, and how fast, is another question.",
    ]


def _describe_asked(run: Run) -> str:
    scenario = run.record.scenario
    if scenario.served.is_built_in and not scenario.asked:
        return "one static page from Apache"
    return f"{describe_requests(scenario)} from {name_served(scenario)}"


def _list_other_questions(run: Run) -> str:
    """What another service would be asked, or this one by other requests."""
    if run.record.scenario.served.is_built_in:
        if run.record.scenario.load.is_lookup:
            return "a farther server, a cache in between, another C library (musl asks all servers at once)"
        return "TLS, other applications"
    return "other requests, another configuration of it"
