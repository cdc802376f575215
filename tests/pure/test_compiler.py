"""bench's own C: compiled once, wherever that can be; and what is done where it cannot."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.errors import EnvironmentLacks
from bench.generator.compiled_loop import provide_library
from bench.lab.hosts import command
from bench.lab.hosts.compiler import compile_once


def write_program(folder: Path, says: str = "one") -> Path:
    source = folder / "a_program.c"
    source.write_text(f'#include <stdio.h>\nint main(void) {{ puts("{says}"); }}\n')
    return source


def test_a_program_is_compiled_once_and_again_where_source_or_flags_change(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = compile_once(write_program(tmp_path), ["-O1"], cache)
    made_ns = first.stat().st_mtime_ns
    again = compile_once(write_program(tmp_path), ["-O1"], cache)
    other_flags = compile_once(write_program(tmp_path), ["-O2"], cache)
    other_source = compile_once(write_program(tmp_path, "two"), ["-O1"], cache)

    assert (again, again.stat().st_mtime_ns) == (first, made_ns)
    assert len({first, other_flags, other_source}) == 3
    assert first.parent == cache
    assert [command.run([str(made)]).strip() for made in (first, other_source)] == ["one", "two"]


def test_several_may_compile_the_same_at_once(tmp_path: Path) -> None:
    source = write_program(tmp_path)
    cache = tmp_path / "cache"
    program = (
        "import sys; from pathlib import Path; from bench.lab.hosts.compiler import compile_once;"
        f"print(compile_once(Path({str(source)!r}), ['-O1'], Path({str(cache)!r})))"
    )
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: command.run([sys.executable, "-c", program]).strip(), range(3)))

    assert len(set(made)) == 1
    assert [path.name for path in cache.iterdir()] == [Path(made[0]).name]
    assert command.run([made[0]]) == "one\n"


def test_a_program_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int main(void) { return }")

    with pytest.raises(EnvironmentLacks, match="expected"):
        compile_once(source, [], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_cannot_be_written_is_replaced_by_a_folder_that_ends_with_the_process(
    tmp_path: Path,
) -> None:
    in_the_way, temporary = tmp_path / "a file", tmp_path / "tmp"
    in_the_way.touch()
    temporary.mkdir()
    source, cache = write_program(tmp_path), in_the_way / "cache"
    program = (
        "import subprocess; from pathlib import Path; from bench.lab.hosts.compiler import compile_once;"
        f"made = compile_once(Path({str(source)!r}), [], Path({str(cache)!r}));"
        "subprocess.run([made], check=True); print(made)"
    )
    said = command.run(["env", f"TMPDIR={temporary}", sys.executable, "-c", program]).split()

    assert said[0] == "one"
    assert temporary in Path(said[1]).parents
    assert not list(temporary.iterdir())


def test_without_a_cache_the_loop_is_compiled_all_the_same_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "a file"
    in_the_way.touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)

    assert provide_library(in_the_way / "cache").functions
    assert not list((tmp_path / "tmp").iterdir())


def test_without_a_compiler_there_is_no_compiled_loop_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = provide_library(tmp_path / "never made")

    assert found.functions is None
    assert found.lacks == "cc: it is not installed"


def test_a_machine_of_another_byte_order_has_no_compiled_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")

    assert "little-endian" in provide_library(tmp_path / "big").lacks
