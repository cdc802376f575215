"""What `make distributions` says of a suite, what pip is given inside, and that no wait is for ever."""

import os
import signal
from pathlib import Path

import pytest

from bench import paths
from tests.distributions import __main__ as main
from tests.distributions import root
from tests.distributions.__main__ import additions, exit_code, reason, verdict

MEASURED = """.venv/bin/bench run scenarios/quick.toml
slot 1/40  block 1  host: INVALID (new processes: 87.9, limit 25.0)  1:02 left
metric       ratio [95 %]          difference [95 %]              word
p50 latency  1.175 [1.151, 1.200]  +8.58 us [7.50, 9.77]          BETTER
p99 latency  1.105 [1.036, 1.178]  +11.1 us [2.84, 18.7]          BETTER

claim article: SUPPORTED
"""
LACKING = """.venv/bin/bench run scenarios/quick.toml
Checking what a run needs of this machine: mount: not found. To mend it: apt-get install mount.
make: *** [Makefile:16: quick] Error 3
"""
NO_PACKAGE = """ERROR: Ignored the following versions that require a different python version: 13.1
ERROR: No matching distribution found for pymdown-extensions==13.1.2
make: *** [Makefile:82: .venv/installed] Error 1
"""
NO_MIRROR = """I: automatically chosen mode: root
E: Failed to fetch http://mirror.example/debian/InRelease  404  Not Found
E: apt-get update failed
"""


def test_a_verdict_is_the_line_of_p50_and_the_word_of_the_claim() -> None:
    assert exit_code(MEASURED, 0) == 0
    assert verdict(MEASURED) == (
        "p50 latency 1.175 [1.151, 1.200] +8.58 us [7.50, 9.77] BETTER; claim article: SUPPORTED"
    )


def test_what_failed_is_said_with_the_exit_code_of_bench_and_without_addresses() -> None:
    assert exit_code(LACKING, 2) == 3
    assert reason(LACKING).startswith("Checking what a run needs of this machine: mount: not found")
    assert reason(NO_MIRROR) == "E: Failed to fetch 404  Not Found"
    assert reason(NO_PACKAGE) == "ERROR: No matching distribution found for pymdown-extensions==13.1.2"
    assert exit_code(NO_PACKAGE, 2) == 1
    assert exit_code("", None) is None


def test_only_what_came_is_said_to_be_left() -> None:
    before, after = {"mounts": ["a", "gone"], "links": []}, {"mounts": ["a", "b"], "links": []}
    assert additions(before, after) == ["mounts: b"]


def test_pip_reads_inside_what_it_reads_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "index/simple").mkdir(parents=True)
    (tmp_path / "roots.pem").touch()
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\ntimeout = 7\nindex-url = https://index.example/simple\n"
        f"extra-index-url = file://{tmp_path}/index/simple\n    https://more.example/simple\n"
        f"find-links = {tmp_path}/nowhere\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "roots.pem"))
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    found, read = root.pip_settings()
    assert found["PIP_INDEX_URL"] == "https://index.example/simple"
    assert found["PIP_EXTRA_INDEX_URL"].split() == [
        f"file:///machine{tmp_path}/index/simple",
        "https://more.example/simple",
    ]
    assert found["PIP_CERT"] == f"/machine{tmp_path}/roots.pem"
    assert found["PIP_TIMEOUT"] == "9"
    assert {f"{tmp_path}/index", f"{tmp_path}/roots.pem"} <= set(read)
    assert f"{tmp_path}/nowhere" not in read


def test_the_folder_is_of_one_at_a_time_and_whoever_is_refused_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path / "bench")
    monkeypatch.setattr(main, "FOLDER", tmp_path / "roots")
    (tmp_path / "roots/of-a-killed-one/usr").mkdir(parents=True)
    with main.own_folder() as folder:
        assert list(folder.iterdir()) == []
        (folder / "root").mkdir()
        with pytest.raises(SystemExit, match="Another one"), main.own_folder():
            pass
        assert (folder / "root").is_dir()
    assert not folder.exists()


STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 60; done"


def test_what_has_no_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "ENDING_S", 0.2)
    monkeypatch.chdir(tmp_path)
    assert root.run_bounded(["sh", "-c", STUBBORN], os.environ, tmp_path / "log", 1.0) is None
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIG_DFL)
    assert root.run_bounded(["sh", "-c", "echo said; exit 7"], os.environ, tmp_path / "log", 60.0) == 7
    assert (tmp_path / "log").read_text().endswith("said\n")
