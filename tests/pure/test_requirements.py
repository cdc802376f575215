"""What a run needs of the machine: named, looked for in one place, asked for before the first slot."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from bench.errors import EnvironmentLacks, ExitCode
from bench.lab.hosts import command, requirements
from bench.lab.servers import engine_root
from bench.measure.doctor import Examination, examine_ingress_mesh
from bench.scenario.load import Load

from .conftest import make_scenario

ROOT = Path(__file__).parents[2]


def test_a_program_of_root_is_found_without_sbin_in_path_and_so_are_those_that_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, line in (("outer-probe", "inner-probe"), ("inner-probe", "echo found")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert command.find("outer-probe") is None
    with pytest.raises(command.CommandFailed, match="not installed"):
        command.run(["outer-probe"])
    monkeypatch.setattr(command, "SYSTEM", (str(tmp_path),))
    assert command.find("outer-probe") == str(tmp_path / "outer-probe")
    assert command.run(["outer-probe"]) == "found\n"


def test_every_program_that_is_looked_for_is_looked_for_where_it_is_started() -> None:
    assert {"/usr/sbin", "/sbin"} <= set(command.search_path().split(os.pathsep))


@pytest.mark.parametrize(
    ("load", "asked"), [(Load(), False), (Load(wrk_witness_s=2), True)], ids=["no witness", "a witness"]
)
def test_wrk_is_asked_for_before_the_first_slot_where_a_slot_has_a_witness(
    load: Load, *, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(command, "SYSTEM", ())
    with pytest.raises(EnvironmentLacks) as caught:
        requirements.require_all(make_scenario(load=load))
    for name in ("taskset", "mount", "setpriv", "dockerd"):
        assert f"{name}: not found" in caught.value.seen
    assert ("wrk: not found" in caught.value.seen) is asked
    assert (" wrk" in caught.value.advice) is asked


def test_a_tool_that_not_every_run_needs_keeps_none_from_running() -> None:
    absent = [
        requirements.Requirement(
            tool.name, met=tool.always, seen="", remedy="", purpose="", always=tool.always
        )
        for tool in requirements.TOOLS
    ]
    assert Examination(absent, [], [], lab="").can_run
    assert not all(need.met for need in absent)


def test_no_run_can_be_made_where_no_lab_could_be() -> None:
    assert not Examination([], [], [], lab="its namespaces were not ready").can_run


def test_a_cached_engine_that_cannot_be_asked_for_its_version_is_a_row_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_root, "CACHE", tmp_path)
    (tmp_path / "root-trixie-00ff").mkdir()
    (tmp_path / "root-trixie-00ff.sha256").write_text("00ff")
    found = engine_root.cached_suites()
    assert list(found) == ["trixie"]
    assert "cannot be asked for" in found["trixie"]


UNPRIVILEGED = (
    "setpriv --reuid 65534 --regid 65534 --clear-groups"
    " --inh-caps +dac_read_search --ambient-caps +dac_read_search"
)
"""Nobody, who may read this checkout wherever it lies, and nothing else."""


def _as_unprivileged(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    become = UNPRIVILEGED.split() if os.geteuid() == 0 else []
    return subprocess.run(
        [*become, sys.executable, "-m", "bench", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home)},
    )


def test_an_unprivileged_person_is_told_what_is_missing_in_a_table(tmp_path: Path) -> None:
    done = _as_unprivileged(tmp_path, "doctor", "--json")
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    found = json.loads(done.stdout)
    assert [need["name"] for need in found["requirements"] if not need["met"]][:1] == ["root"]
    assert {mode["reason"] for mode in found["modes"]} == {"not tried, since what a run needs is missing"}
    assert found["engines"]


CLAIM = next((ROOT / "results" / "example-claim").iterdir())
WITHOUT_A_LAB = {
    "list": ("list", "--results", ROOT / "results"),
    "report": ("report", CLAIM, "--format", "md"),
    "check": ("check", CLAIM),
    "history": ("history", ROOT / "results", "--csv", "history.csv"),
    "map": ("map", CLAIM),
    "verify": ("verify", CLAIM, "--deep"),
    "plan": ("plan", "quick"),
    "scenario": ("scenario", "check", "quick"),
}


@pytest.mark.parametrize("command", WITHOUT_A_LAB)
def test_an_unprivileged_person_can_do_all_that_needs_no_lab(command: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = _as_unprivileged(tmp_path, *WITHOUT_A_LAB[command])

    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert len(done.stdout) > 20


def test_an_unprivileged_person_who_asks_for_a_lab_is_told_what_is_missing(tmp_path: Path) -> None:
    done = _as_unprivileged(tmp_path, "quick", "--results", "results")

    assert done.returncode == ExitCode.ENVIRONMENT
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr


def test_make_setup_installs_every_package_whose_programs_a_run_looks_for() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [installed] = [line for line in makefile.splitlines() if line.startswith("PACKAGES := ")]
    assert {tool.package for tool in requirements.TOOLS} <= set(installed.split())


DISTRIBUTIONS = {
    "fedora": (
        {"ID": "fedora"},
        (
            "dnf install moby-engine tini iproute iproute-tc iptables-nft util-linux mmdebstrap ethtool"
            " tcpdump curl gcc slirp4netns passt shadow-utils openssl dnsmasq, and from source, where it has"
            " no package: rootlesskit, wrk."
        ),
    ),
    "rocky": ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install moby-engine tini"),
    "arch": (
        {"ID": "arch"},
        (
            "pacman -S docker iproute2 iptables util-linux ethtool tcpdump curl gcc rootlesskit"
            " slirp4netns passt shadow openssl dnsmasq, and from source, where it has no package: tini,"
            " mmdebstrap, wrk."
        ),
    ),
    "manjaro": ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S docker"),
    "opensuse": (
        {"ID": "opensuse-tumbleweed", "ID_LIKE": "opensuse suse"},
        (
            "zypper install docker iproute2 iptables util-linux ethtool tcpdump curl gcc rootlesskit"
            " slirp4netns passt shadow openssl dnsmasq wrk, and from source, where it has no package: tini,"
            " mmdebstrap."
        ),
    ),
    "ubuntu": ({"ID": "ubuntu", "ID_LIKE": "debian"}, "apt-get install docker.io tini iproute2"),
    "debian": ({"ID": "debian"}, "apt-get install docker.io tini iproute2"),
    "another": ({"ID": "gentoo"}, "install what Debian calls docker.io tini iproute2"),
}
PYTHON_THERE = """#!{python}
import platform, runpy, sys
platform.freedesktop_os_release = lambda: {release}
sys.path.insert(0, {here!r})
from bench.lab.hosts import command
command.SYSTEM = ()
runpy.run_module(sys.argv[2], run_name="__main__")
"""


@pytest.mark.parametrize(("release", "advice"), DISTRIBUTIONS.values(), ids=list(DISTRIBUTIONS))
def test_make_setup_names_the_packages_of_a_distribution_without_apt(
    release: dict[str, str], advice: str, tmp_path: Path
) -> None:
    here = ROOT
    python = tmp_path / "python"
    python.write_text(PYTHON_THERE.format(python=sys.executable, release=release, here=str(here)))
    python.chmod(0o755)
    done = subprocess.run(
        [str(shutil.which("make")), "--silent", "system", f"BIN={tmp_path}"],
        cwd=here,
        env={"PATH": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    [said, of_make] = done.stderr.strip().splitlines()
    assert of_make.endswith(f"Error {ExitCode.ENVIRONMENT}")
    assert said.startswith("Checking what a run needs of this machine: dockerd: not found")
    assert f"To mend it: {advice}" in said
    assert ("on Debian only" in said) is (release["ID"] != "debian")


def test_every_locked_package_takes_the_python_of_debian_12() -> None:
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    asked = {name: ",".join(metadata(name).get_all("Requires-Python") or []) for name in locked}
    assert len(asked) > 100
    assert [name for name, versions in asked.items() if not SpecifierSet(versions).contains("3.11.2")] == []


@pytest.mark.parametrize(("has_ipvs", "reason"), [(False, "no IPVS"), (True, "no mode for it")])
def test_the_ingress_mesh_is_not_available_and_the_reason_is_the_kernel_s_where_it_lacks_ipvs(
    has_ipvs: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.doctor.IPVS", tmp_path if has_ipvs else tmp_path / "vs")
    found = examine_ingress_mesh()

    assert not found.available
    assert reason in found.reason
