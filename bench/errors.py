"""Every way that a command of bench can fail knowingly, with the exit code of each.

A known failure is one paragraph for a person: what was being done, what was seen, what to do.
Anything else that escapes is a bug, and the only thing that may print a traceback.
"""

from enum import IntEnum


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
    """A known failure. `doing`, `seen` and `advice` are each a sentence or part of one."""

    exit_code = ExitCode.INTERNAL_ERROR

    def __init__(self, doing: str, seen: str, advice: str) -> None:
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
