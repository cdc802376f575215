"""How an outcome is told, and what brings it about: a file that is another, a command as it is typed."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import typer

from bench.cli.app import app
from bench.errors import BenchError, ExitCode

REFUSED, SAME, ANOTHER, WARNED = "refused", "accepted, same", "accepted, another", "warned of"
ANSWERS = (None, *ExitCode)
"""What a command may exit with; what is a bug raises here."""


@contextmanager
def refusing() -> Iterator[list[str]]:
    """A known failure is an outcome: `[REFUSED]` behind the block. Anything else is a failure."""
    outcome: list[str] = []
    try:
        yield outcome
    except BenchError as fault:
        said = str(fault)
        outcome.append(REFUSED)
    else:
        return
    assert 0 < len(said.strip()) < 20_000, "a refusal that nobody reads"


@contextmanager
def replaced(path: Path, put: Callable[[Path], object]) -> Iterator[None]:
    """With something else at `path`, which is put there; the file is as it was behind the block."""
    original = path.read_bytes()
    path.unlink()
    try:
        put(path)
        yield
    finally:
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(original)


def command(*words: object) -> str:
    """What a command of bench prints; raises what it refuses."""
    return printed(lambda: app([str(word) for word in words], prog_name="bench", standalone_mode=False))


def printed(say: Callable[[], object]) -> str:
    """What is printed, with an exit code of the contract; and nothing in it commands a terminal."""
    with redirect_stdout(io.StringIO()) as text, redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code = say()
        except typer.Exit as end:
            code = end.exit_code
    assert code in ANSWERS, f"exit code {code}"
    assert "\x1b" not in text.getvalue(), "a terminal is commanded"
    return text.getvalue()
