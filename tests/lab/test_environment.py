"""A machine that lacks something is told so in one paragraph, with exit code 3."""

import os
import socket
import subprocess
from pathlib import Path

from tests.lab.conftest import PATIENCE_S, bench, bench_argv, write_scenario

ONE_CORE = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
WITHOUT_DOCKERD = 'mount --bind /dev/null "$(command -v dockerd)" && exec "$@"'


def run_wrapped(wrapper: list[str], *options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*wrapper, *bench_argv(*options)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def assert_lacks(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert done.returncode == 3, done.stderr
    said = done.stderr.replace("\n", " ")
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_one_core_is_too_few(tmp_path: Path) -> None:
    done = run_wrapped(ONE_CORE, "run", write_scenario(tmp_path), "--results", tmp_path / "r")
    assert_lacks(done, "cores: 1 usable")
    assert not (tmp_path / "r").exists()


def test_a_machine_without_dockerd_is_told_what_to_install(tmp_path: Path) -> None:
    wrapper = ["unshare", "--mount", "sh", "-c", WITHOUT_DOCKERD, "sh"]
    done = run_wrapped(wrapper, "run", write_scenario(tmp_path), "--results", tmp_path / "r")
    assert_lacks(done, "dockerd: not found", "apt-get install docker.io")


def test_a_user_who_is_not_root_is_told_so(tmp_path: Path) -> None:
    wrapper = ["unshare", "--user"]  # A user namespace in which this process is nobody.
    done = run_wrapped(wrapper, "run", write_scenario(tmp_path), "--results", tmp_path / "r")
    assert_lacks(done, "root: user id 65534", "sudo")


def test_a_results_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bench("run", write_scenario(tmp_path), "--results", tmp_path / "file")
    assert_lacks(done, str(tmp_path / "file"), "--results")


def test_a_web_ui_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = bench("run", write_scenario(tmp_path), "--results", tmp_path / "r", "--web-ui", port)
    assert_lacks(done, f"port {port}", "in use")


def test_doctor_names_each_requirement_and_exits_with_3_where_one_is_missing() -> None:
    done = run_wrapped(ONE_CORE, "doctor")
    assert done.returncode == 3
    assert "MISSING cores" in done.stdout
    assert bench("doctor").returncode == 0
