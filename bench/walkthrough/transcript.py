"""What was done and seen, kept as a person would type and read it."""

from collections.abc import Callable, Sequence

from bench.lab.hosts.host import Host
from bench.lab.hosts.waiting import wait_until
from bench.records.findings import Evidence

PATIENCE_S = 5.0
"""How long something that must come is waited for: Apache's answer, a container's end."""
MAX_LINES, MAX_CHARACTERS = 60, 6000


class Notes:
    """Evidence of one statement, in the order in which it was found."""

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []

    def note(self, host: Host, typed: str, output: str, status: int = 0) -> None:
        """Keep something that was done as evidence."""
        trimmed = trim(output)
        self.evidence.append(Evidence(host=host.name, command=typed, output=trimmed, status=status))


def wait(condition: Callable[[], bool], wait_s: float = PATIENCE_S) -> bool:
    """Wait until `condition`; whether it came true within `wait_s`."""
    return wait_until(condition, wait_s, step_s=0.02)


def trim(output: str, lines: int = MAX_LINES, characters: int = MAX_CHARACTERS) -> str:
    """`output` without its trailing white space, its middle left out where it is long."""
    kept: Sequence[str] = [line.rstrip()[:characters] for line in output.rstrip().splitlines()]
    if len(kept) > lines:
        head, tail = lines * 2 // 3, lines // 3
        kept = [*kept[:head], f"... ({len(kept) - head - tail} lines left out)", *kept[-tail:]]
    text = "\n".join(kept)
    if len(text) > characters:
        text = text[: characters * 2 // 3] + "\n... (left out)\n" + text[-characters // 3 :]
    return text
