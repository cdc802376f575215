"""The compiled loop against the Python loops: the same records of the same server, whatever it does.

`make differential` runs more: DIFFERENTIAL_SCRIPTS sets how many random scripts are played.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.generator.compiled_loop import FLAGS, SOURCE, load_library
from bench.lab.hosts.compiler import compile_once

from .acts import Act
from .scripts import PYTHON, ROOM_BYTES, Actor, Factory, Kind, Script, compiled, make_script, play
from .servers import CHUNKED, MISCHUNKED, UNFRAMED, chunked, response, serving

pytestmark = pytest.mark.slow

SCRIPTS = int(os.environ.get("DIFFERENTIAL_SCRIPTS", "200"))


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Actor, int]]:
    actor = Actor()
    with serving(actor.handle, room_bytes=ROOM_BYTES) as port:
        yield actor, port


def differs(script: Script, stage: tuple[Actor, int], factories: dict[Kind, Factory]) -> str:
    """What the two loops keep where it is not the same; empty where it is."""
    expected, found = play(script, *stage, PYTHON), play(script, *stage, factories)
    return "" if expected == found else f"\nPython   {expected}\ncompiled {found}\n{_short(script)}"


def _short(script: Script) -> str:
    acts = [(act.name, [part[:80] for part in act.parts[:4]], act.ending) for act in script.acts]
    return f"{script.kind}, {script.count} connections, sleeps {script.sleeps}: {acts}"


def test_random_scripts_leave_the_same_records_outcomes_and_counts(stage: tuple[Actor, int]) -> None:
    kinds: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    for seed in range(SCRIPTS):
        script = make_script(seed)
        difference = differs(script, stage, compiled())
        assert not difference, f"seed {seed}: {difference}"
        kinds[script.kind] += 1
        acts.update(act.name for act in script.acts)
    print(f"\n{SCRIPTS:,} scripts {dict(kinds)}, {acts.total():,} acts of {len(acts)} sorts {dict(acts)}")


@pytest.mark.parametrize("kind", ["rounds", "arrivals", "fresh arrivals"])
@pytest.mark.parametrize("head", ["known", "new"])
def test_an_answer_may_be_cut_at_every_byte(stage: tuple[Actor, int], kind: Kind, head: str) -> None:
    ending = "close" if kind == "fresh arrivals" else "keep"
    acts = []
    for at in range(len(response(b"0123456789")) + 1):
        answer = response(b"0123456789", headers=f"A: {at}\r\n" if head == "new" else "Server: unit\r\n")
        acts.append(Act("cut", (answer[:at], answer[at:]), ending))  # type: ignore[arg-type]

    assert not differs(Script(kind, 1, False, tuple(acts)), stage, compiled())


@pytest.mark.parametrize("name", UNFRAMED)
def test_what_is_refused_may_be_cut_at_every_byte_of_its_head(stage: tuple[Actor, int], name: str) -> None:
    answer = UNFRAMED[name]
    head = answer.index(b"\r\n\r\n") + 4
    acts = tuple(Act(name, (answer[:at], answer[at:])) for at in range(0, head, 3))

    assert not differs(Script("rounds", 1, False, acts), stage, compiled())


@pytest.mark.parametrize("kind", ["rounds", "fresh arrivals"])
def test_chunks_may_be_cut_at_every_byte(stage: tuple[Actor, int], kind: Kind) -> None:
    ending = "close" if kind == "fresh arrivals" else "keep"
    answer = chunked(b"0123456789abcdef", b"x", extension=" ;e=f", trailers="A: b\r\n")
    acts = [Act("cut", (answer[:at], answer[at:]), ending) for at in range(len(answer) + 1)]  # type: ignore[arg-type]

    assert not differs(Script(kind, 1, False, tuple(acts)), stage, compiled())


@pytest.mark.parametrize("name", MISCHUNKED)
def test_chunks_that_are_refused_may_be_cut_anywhere(stage: tuple[Actor, int], name: str) -> None:
    answer = CHUNKED + MISCHUNKED[name]
    # What is behind the answer's end comes with it: else it is a matter of time whose it is.
    cuts = range(len(CHUNKED) - 2, min(len(answer) - 2, len(CHUNKED) + 40))
    acts = tuple(Act(name, (answer[:at], answer[at:])) for at in cuts)

    assert not differs(Script("rounds", 1, False, acts), stage, compiled())


FAULTS = {
    "one byte too many is taken": ("return c->remaining >= 0;", "return c->remaining >= -1;"),
    "a known head is not looked at": (
        "&& !memcmp(l->buffer, ask->known_head, ask->known_head_bytes)",
        "",
    ),
    "a status is kept": ("c->response = (struct head){0};\n    c->head_bytes = 0;", "c->head_bytes = 0;"),
    "a first byte is kept": (
        "c->first_byte_ns = c->remaining = c->decoded = 0;",
        "c->remaining = c->decoded = 0;",
    ),
    "a closed connection is an error of framing": (
        "failure = received <= 0 ? CONNECTION_ERROR",
        "failure = received <= 0 ? FRAMING_ERROR",
    ),
    "a length beside chunks is let pass": ("lengths + codings > 1", "lengths > 1"),
    "two lengths are let pass": ("lengths + codings > 1", "codings > 1"),
    "an answer to HEAD has a body": ("has_none = to_head || ", "has_none = "),
    "a 304 has a body": (" || head->status == 304;", ";"),
    "a 204 may have a length": ("|| (head->status == 204 && head->length))", ")"),
    "an older version keeps its connection": ("options & 1 || (is_old && !(options & 2))", "options & 1"),
    "an end that is said is not made": (
        "closes = c->response.closes || c->unsent",
        "closes = c->unsent != 0",
    ),
    "half a request is followed by another": (
        "closes = c->response.closes || c->unsent",
        "closes = c->response.closes",
    ),
    "any end of a chunk will do": ("return byte == '\\r' ? DATA_LF : -1;", "return DATA_LF;"),
    "chunks of the last answer are counted": ("c->remaining = c->decoded = 0;", "c->remaining = 0;"),
    "a size has a digit more": ("++c->size_digits > SIZE_DIGITS", "++c->size_digits > SIZE_DIGITS + 1"),
    "200 is always good": ("status == ask->status ? OK", "status == 200 ? OK"),
    "the first is asked again and again": ("if (++l->order_at == l->order_length)", "if (1)"),
    "what was not sent is not recorded": ("l->taken < l->arrivals_count", "l->taken < 0"),
    "the arrival after next is sent": ("l->taken++ * l->number_step", "++l->taken * l->number_step"),
    "an unfinished request is not recorded": ("if (c->sent_ns && c->stage != ANSWERED)", "if (0)"),
    "opened are not counted, on fresh ones": ("    l->opened++;\n    if (connect", "    if (connect"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_compiled_loop_is_found(stage: tuple[Actor, int], fault: str, tmp_path: Path) -> None:
    right, wrong = FAULTS[fault]
    text = SOURCE.read_text()
    assert text.count(right) == 1
    faulty = tmp_path / "loop.c"
    faulty.write_text(text.replace(right, wrong))
    functions = load_library(compile_once(faulty, FLAGS, tmp_path))

    assert any(_is_found(make_script(seed), stage, compiled(functions=functions)) for seed in range(600))


def _is_found(script: Script, stage: tuple[Actor, int], factories: dict[Kind, Factory]) -> bool:
    try:
        return bool(differs(script, stage, factories))
    except AssertionError:  # Stamps out of order.
        return True
