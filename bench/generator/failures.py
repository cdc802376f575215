"""What keeps the controller from asking the load generator for more."""

from bench.errors import MeasurementInvalid


class GeneratorDied(MeasurementInvalid):
    """The Locust process ended: no further slot of this run can be measured."""


class NotOurs(MeasurementInvalid):
    """Somebody else's server has the address: it is asked nothing more."""


def lost(why: str) -> MeasurementInvalid:
    """Of whoever should have asked a server."""
    return MeasurementInvalid("Asking a server, before its load", why, "The slot is INVALID.")
