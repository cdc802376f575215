"""What is measured of a slot, with its unit and its better direction."""

from enum import StrEnum


class Metric(StrEnum):
    """The endpoints that a comparison is made on; the unit is part of the name."""

    P50_LATENCY_US = "p50_latency_us"
    P99_LATENCY_US = "p99_latency_us"
    THROUGHPUT_RPS = "throughput_rps"
    CPU_US_PER_REQUEST = "cpu_us_per_request"
    """Of all cores together, client and server; only where `Load.measures_cpu`."""

    @property
    def unit(self) -> str:
        """Unit of the value itself (not of its ratio, which has none)."""
        return "req/s" if self is Metric.THROUGHPUT_RPS else "us"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better (throughput) or less (latency, CPU)."""
        return self is Metric.THROUGHPUT_RPS

    @property
    def label(self) -> str:
        """As a person writes it."""
        return {
            "p50_latency_us": "p50 latency",
            "p99_latency_us": "p99 latency",
            "throughput_rps": "throughput",
            "cpu_us_per_request": "CPU per request",
        }[self.value]


PERFORMANCE = (Metric.P50_LATENCY_US, Metric.P99_LATENCY_US, Metric.THROUGHPUT_RPS)
"""What a claim that names no metric is about."""
