"""What a run makes on a person's engine carries its label: made and written down in one act.

So the engine itself is the journal there, and it is complete: whatever carries the label is the run's, and
nothing else is touched.
"""

from collections.abc import Iterator
from contextlib import suppress

from docker import DockerClient
from docker.errors import APIError, NotFound

RUN, AGENT = "bench.run", "bench.agent"
"""Of all that a run makes there, with its id; and of the agent's own container."""


def remove_labelled(client: DockerClient, run_id: str | None, *, agents: bool = False) -> list[str]:
    """Remove containers and networks of a run, or of any; returns a line for each.

    With `agents` the agents' own containers too. One that is being removed already needs no removing.
    """
    return list(_remove(client, f"{RUN}={run_id}" if run_id else RUN, agents))


def _remove(client: DockerClient, label: str, agents: bool) -> Iterator[str]:
    for found in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        if agents or AGENT not in found.labels:
            with suppress(NotFound, APIError):
                found.remove(force=True, v=True)
                yield f"container {found.name}"
    for network in client.networks.list(filters={"label": label}):
        with suppress(NotFound):
            network.remove()
            yield f"network {network.name}"
