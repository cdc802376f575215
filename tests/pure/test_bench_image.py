"""What bench needs in its own image, where what is made elsewhere on first use is in the cache already."""

import re
from pathlib import Path

import pytest

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command, requirements
from bench.lab.hosts.compiler import compile_once
from bench.lab.servers import environment, image

NO_RIGHTS = 0
ALL_BUT_SYS_ADMIN = ~(1 << 21)


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    monkeypatch.setattr(command, "SYSTEM", ())


def test_where_there_is_no_compiler_what_any_compiled_serves_if_source_and_flags_are_the_same(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source, cache = tmp_path / "a_program.c", tmp_path / "cache"
    source.write_text("int main(void) { return 0; }\n")
    made = compile_once(source, ["-O1"], cache)
    made.with_name(f"{made.name}.1.partial").touch()
    other_compilers = made.rename(made.with_name(f"{made.name[:-4]}0000"))
    assert compile_once(source, ["-O1"], cache) != other_compilers
    made.unlink()

    request.getfixturevalue("no_programs")
    assert compile_once(source, ["-O1"], cache) == other_compilers
    with pytest.raises(EnvironmentLacks, match="not installed"):
        compile_once(source, ["-O2"], cache)


@pytest.mark.usefixtures("no_programs")
def test_what_only_makes_things_is_needed_until_all_of_them_are_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needed() -> set[str]:
        return {need.name for need in requirements.requirements() if need.keeps_from_running}

    monkeypatch.setattr(requirements, "CACHE", tmp_path)
    assert {"cc", "mmdebstrap", "dockerd"} <= needed()
    for name in ("image-00.tar", "loop-0-0", "busy-wait-0-0", "look-up-0-0"):
        (tmp_path / name).touch()
    assert "cc" in needed()
    assert "mmdebstrap" not in needed()
    (tmp_path / "null-server-0-0").touch()
    assert "cc" not in needed()
    assert "dockerd" in needed()


@pytest.mark.parametrize(
    ("user", "rights", "remedy"),
    [
        (1000, NO_RIGHTS, "sudo"),
        (0, NO_RIGHTS, "--privileged"),
        (0, ALL_BUT_SYS_ADMIN, "--privileged"),
        (0, -1, None),
    ],
)
def test_root_without_roots_rights_is_none(
    user: int, rights: int, remedy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(requirements, "_effective_rights", lambda: rights)
    [root] = [need for need in requirements.requirements() if need.name == "root"]
    assert root.met is (remedy is None)
    assert remedy is None or remedy in root.remedy


def test_the_image_has_what_commands_import_and_not_what_only_tests_do() -> None:
    names = {found.name.lower() for found in environment.distributions([environment.BENCH])}
    assert {"pandas", "pyarrow", "scipy", "matplotlib", "scapy", "typer", "locust"} <= names
    assert not {"mypy", "playwright", "mkdocs"} & names


def test_no_image_says_where_it_was_made() -> None:
    assert re.search(r"rm .*hostname .*resolv.conf .*sources.list", image.FORGET)
