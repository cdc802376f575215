"""Sameness: what ran is what every arm runs."""

from collections.abc import Sequence

from bench.slots.gates.gate import Demand, Gate, GateKind


def check_control(
    links: Sequence[str], status_inside: str, answered: bool, expected_status: str = "200"
) -> list[Gate]:
    """Gates that a control is what it must be: alive, and out of everybody's reach."""
    return [
        Gate(
            name=GateKind.CONTROL_LINKS,
            passed=list(links) == ["lo"],
            seen=", ".join(links),
            limit="lo",
            unit="links of the container, exactly",
            demand=Demand.EXACTLY,
        ),
        Gate(
            name=GateKind.CONTROL_ALIVE,
            passed=status_inside == expected_status,
            seen=status_inside,
            limit=expected_status,
            unit="HTTP status on its own loopback",
        ),
        Gate(
            name=GateKind.CONTROL_UNREACHABLE,
            passed=not answered,
            seen="an answer" if answered else "no answer",
            limit="no answer",
            unit="at the Docker host's address, from the client",
        ),
    ]


def check_identity(
    image_id: str, expected_image_id: str, cpus: Sequence[int], expected_cpus: Sequence[int]
) -> list[Gate]:
    """Gates that the arm ran what every arm runs, where every arm runs."""
    return [
        Gate(
            name=GateKind.IMAGE,
            passed=image_id == expected_image_id,
            seen=image_id,
            limit=expected_image_id,
            unit="image id, exactly",
            demand=Demand.EXACTLY,
        ),
        Gate(
            name=GateKind.CPUSET,
            passed=cpus == expected_cpus,
            seen=",".join(map(str, cpus)),
            limit=",".join(map(str, expected_cpus)),
            unit="cores that the server may run on, exactly",
            demand=Demand.EXACTLY,
        ),
    ]
