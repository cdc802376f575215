"""A scenario from a Compose file: text in, text out, and what of it was left out."""

from bench.scenario.compose.conversion import Converted, convert
from bench.scenario.compose.given import Surroundings

__all__ = ["Converted", "Surroundings", "convert"]
