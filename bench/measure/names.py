"""A window of lookups judged: their gates, and what is kept of them beside their records."""

from bench.measure.deployment import Deployment
from bench.measure.window import Window
from bench.slots.gates.gate import Gate
from bench.slots.gates.names import STRAY_PACKETS, check_lookups, check_queries
from bench.slots.gates.path import check_path
from bench.slots.metrics import RequestMetrics


def check_names(deployment: Deployment, window: Window, metrics: RequestMetrics) -> list[Gate]:
    """Gates on lookups, and on the path of their questions."""
    assert window.lookups
    names, found = window.lookups, metrics.requests - metrics.errors
    upstream = deployment.condition.load.lookup == "upstream"
    return [
        check_lookups(metrics.requests, metrics.errors, window.trouble),
        check_queries(found, names.queries.received, upstream=upstream),
        *check_path(
            deployment.network.path_of_names if upstream else {},
            window.counted.path,
            0,  # A question is no connection: what counts those must stand still.
            found,
            forwarding_rules=deployment.site.engine.writes_rules,
            stray_packets=STRAY_PACKETS,
        ),
    ]


def list_names(window: Window) -> dict[str, str]:
    """Of lookups, with what connection tracking dropped of their questions."""
    assert window.lookups
    dropped = f"{window.counted.losses.conntrack_drops}"
    return {**window.lookups.evidence, "packets that connection tracking dropped": dropped}
