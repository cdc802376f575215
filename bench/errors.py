"""Every way that a command of bench can fail knowingly, with the exit code of each.

A known failure is one paragraph for a person: what was being done, what was seen, what to do.
Anything else that escapes is a bug, and the only thing that may print a traceback.
"""

import errno
from enum import IntEnum

LONGEST_LINE = 1500
"""Characters of a line of what was seen: it may quote a text of somebody's that has no end."""
ITS_END = 400
"""Of these, its last: a fault's own words often follow what it quotes."""


class ExitCode(IntEnum):
    """Exit codes of the `bench` command (a contract: scripts depend on them)."""

    DONE = 0
    INTERNAL_ERROR = 1
    BAD_INPUT = 2
    ENVIRONMENT = 3
    INVALID_MEASUREMENT = 4
    GATE_FAILED = 10
    INTERRUPTED = 130


class BenchError(Exception):
    """A known failure. `doing`, `seen` and `advice` are each a sentence or part of one.

    Of a line of `seen` that is longer than LONGEST_LINE the middle is left out.
    """

    exit_code = ExitCode.INTERNAL_ERROR

    def __init__(self, doing: str, seen: str, advice: str) -> None:
        seen = "\n".join(map(_cut, seen.split("\n")))
        # What was seen is a sentence, a question, or a list that ends with its last line.
        end = "" if seen.endswith("\n") else " " if seen.endswith("?") else ". "
        super().__init__(f"{doing}: {seen.rstrip('.')}{end}{advice}")
        self.doing, self.seen, self.advice = doing, seen, advice

    def as_dict(self) -> dict[str, str | int]:
        """For JSON: what a script is given where there is no result."""
        return {
            "doing": self.doing,
            "seen": self.seen.strip(),
            "to_do": self.advice,
            "exit_code": int(self.exit_code),
        }


def _cut(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE - ITS_END]} … {line[-ITS_END:]}"


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP. No Exception, as KeyboardInterrupt is none: nothing may swallow it."""


class InputError(BenchError):
    """What the person gave (a scenario, an option, a run's path) cannot be used."""

    exit_code = ExitCode.BAD_INPUT


class EnvironmentLacks(BenchError):
    """This machine lacks a right, a tool or a resource that the command needs."""

    exit_code = ExitCode.ENVIRONMENT


class MeasurementInvalid(BenchError):
    """The measurement was made, or begun, and cannot be trusted."""

    exit_code = ExitCode.INVALID_MEASUREMENT


_ROOM = "Make room there, and try again; what was measured before is kept."
_LIMIT = "Raise that limit of this process (`ulimit -a`), and try again; what was measured before is kept."
_RIGHT = "Give this user the right to it, or run it as one who has it; what was measured before is kept."
SCARCE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "Make it writable, and try again; what was measured before is kept.",
    errno.EFBIG: _LIMIT,
    errno.EMFILE: _LIMIT,
    errno.ENFILE: _LIMIT,
    errno.EAGAIN: _LIMIT,
    errno.ENOMEM: _LIMIT,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EIO: "The disk failed: `dmesg` tells more; what was measured before may be kept.",
}
"""What the machine has too little of, wherever that shows, and no bug; with what to do."""


def explain_scarcity(fault: Exception) -> EnvironmentLacks | None:
    """The want of the machine's that an exception tells of; None where it tells of none."""
    if not isinstance(fault, OSError) or fault.errno not in SCARCE:
        return None
    where = f"{fault.filename}: " if fault.filename else ""
    return EnvironmentLacks("Running bench", f"{where}{fault.strerror}", SCARCE[fault.errno])
