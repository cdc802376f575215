"""What is served and what it is asked for, in a person's words."""

from bench.scenario.scenario import Scenario

MOST_NAMED = 5
"""Requests that a sentence names; of more, the most frequent ones."""


def name_served(scenario: Scenario) -> str:
    """What serves: `Apache`, which is the built-in service, or what the person calls theirs."""
    return "Apache" if scenario.served.is_built_in else scenario.served.called


def describe_requests(scenario: Scenario) -> str:
    """What is asked for: `GET of 1,024 bytes`, `GET /`, `2 requests: GET / (70 %), POST /upload (30 %)`."""
    asked = scenario.asked
    if not asked:
        return scenario.load.describe_requests()
    if len(asked) == 1:
        return asked[0].called
    shares = share_of_requests(scenario)
    frequent = sorted(range(len(asked)), key=lambda place: -asked[place].weight)[:MOST_NAMED]
    named = [f"{asked[place].called} ({shares[place]})" for place in sorted(frequent)]
    rest = len(asked) - len(named)
    return f"{len(asked)} requests: {', '.join(named)}{f', and {rest} more' if rest else ''}"


def share_of_requests(scenario: Scenario) -> list[str]:
    """How often each request is sent, of all: `70 %`."""
    total = sum(request.weight for request in scenario.asked)
    return [f"{100 * request.weight / total:.3g} %" for request in scenario.asked]


def describe_workload(scenario: Scenario) -> str:
    """Requests, and who serves them where it is a service of the person's own."""
    requests = describe_requests(scenario)
    return requests if scenario.served.is_built_in else f"{requests}, served by {name_served(scenario)}"


def describe_subject(scenario: Scenario, what: str) -> list[str]:
    """Whose `what` (`Costs`) a table holds, in a sentence; none of the built-in service."""
    if scenario.served.is_built_in:
        return []
    several = len(scenario.asked) > 1
    over = "over its requests, as they are mixed" if several else "when it is asked"
    return [f"{what} are those of {name_served(scenario)} {over}: {describe_requests(scenario)}."]
