"""What a load was, with its requests: of one server, and of several that took turns."""

from dataclasses import dataclass

import numpy as np
from pydantic import ConfigDict

from bench.generator.protocol import Driven, DrivenCells
from bench.lab.hosts.host import Endpoint, Host


class LoadResult(Driven):
    """What one load was, as the generator saw it, with its requests."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    records: np.ndarray
    """RECORD_DTYPE, warm-up included, in the order in which the requests ended; read-only."""


class CellsResult(DrivenCells):
    """What the turns of a set were, as the generator saw them, with the requests of each target."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    records: list[np.ndarray]
    """RECORD_DTYPE each, warm-up included, in the order in which the requests ended; read-only."""


@dataclass(frozen=True)
class Server:
    """One of those that take turns."""

    name: str
    endpoint: Endpoint
    sender: Host
    """Where the load on it comes from."""
