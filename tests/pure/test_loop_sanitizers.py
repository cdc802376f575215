"""The compiled loop under the address and undefined-behaviour sanitizers, against the scripted server."""

import os
import sys
from pathlib import Path

import pytest

from bench.generator.compiled_loop import FLAGS, SOURCE
from bench.lab.hosts import command
from bench.lab.hosts.compiler import compile_once

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SANITIZED = (
    *FLAGS,
    "-g",
    "-O1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
PROGRAM = """
import sys
from pathlib import Path
from bench.generator.compiled_loop import load_library
from tests.pure.scripts import ROOM_BYTES, Actor, compiled, make_script, play
from tests.pure.servers import serving

factories = compiled(functions=load_library(Path(sys.argv[1])))
actor = Actor()
with serving(actor.handle, room_bytes=ROOM_BYTES) as port:
    records = sum(len(play(make_script(seed), actor, port, factories)) - 3 for seed in range(1000, 1120))
print("records", records)
"""


def play_sanitized(source: Path, folder: Path) -> command.Done:
    """Random scripts, played by the loop of `source`; what a sanitizer finds ends the program."""
    library = compile_once(source, SANITIZED, folder)
    runtimes = [
        command.run(["cc", f"-print-file-name={name}"]).strip() for name in ("libasan.so", "libubsan.so")
    ]
    # The interpreter's own memory at its end is not the loop's.
    settings = {"LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(ROOT)}
    return command.attempt(
        [sys.executable, "-c", PROGRAM, str(library)], timeout_s=300, environment={**os.environ, **settings}
    )


def test_no_sanitizer_finds_anything(tmp_path: Path) -> None:
    done = play_sanitized(SOURCE, tmp_path)

    assert done.status == 0, done.output[-3000:]
    assert int(done.output.split()[-1]) > 100


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        (
            "realloc(c->head, size)",
            "realloc(c->head, size / 2 + 1)",
            "AddressSanitizer: heap-buffer-overflow",
        ),
        (
            "(content[9] - '0') * 100 +",
            "(content[9] - '0') * 2000000000 +",
            "runtime error: signed integer overflow",
        ),
    ],
    ids=["an overflow of a buffer", "an overflow of a number"],
)
def test_a_fault_is_found(right: str, wrong: str, finding: str, tmp_path: Path) -> None:
    text = SOURCE.read_text()
    assert text.count(right) == 1
    faulty = tmp_path / "loop.c"
    faulty.write_text(text.replace(right, wrong))
    done = play_sanitized(faulty, tmp_path)

    assert done.status != 0
    assert finding in done.output
