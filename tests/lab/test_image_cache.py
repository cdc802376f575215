"""The cache of images when its disk is full, and when what fills it first is interrupted or killed.

The cache of these runs is a folder or a disk of the test's own, which they alone see in its place.
"""

import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.debian_root import BUILDING
from bench.lab.servers.image import BASE_PACKAGES, provide_packages
from bench.paths import CACHE, STATE
from tests.lab.conftest import PATIENCE_S, bench_argv, wait_until, write_scenario
from tests.lab.test_scarcity import PROGRESS
from tests.lab.world import snapshot

MIB = 2**20
UNPACK = (
    "import sys; from pathlib import Path; from bench.lab.servers.engine_root import _unpack;"
    "from bench.errors import EnvironmentLacks\n"
    "try: _unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    "except EnvironmentLacks as lack: sys.exit(str(lack))"
)


def with_cache(mount: str, argv: list[str]) -> list[str]:
    """`argv`, before whose eyes `mount` has put something in the cache's place."""
    return ["unshare", "--mount", "bash", "-c", f'set -e; {mount}; exec "$@"', "cached", *argv]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def start(cache: Path, tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """A run whose cache is `cache`; whatever is still running at the end of the test is ended."""
    argv = bench_argv("run", write_scenario(tmp_path), "--results", tmp_path / "results")
    started: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            with_cache(f"mount --bind {cache} {CACHE}", argv),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def copy_base(cache: Path) -> None:
    """Have the image's base, as if only what is built on it were not there."""
    with machine_lock("tests of the cache"):
        base = provide_packages(BASE_PACKAGES)
    for path in (base, base.with_suffix(".sha256")):
        shutil.copy(path, cache)


def wait_or_skip(process: "subprocess.Popen[str]", happened: Callable[[], bool], what: str) -> None:
    wait_until(lambda: happened() or process.poll() is not None, what)
    if process.poll() == 3:
        assert process.stderr
        said = process.stderr.read()
        if "mirror" in said:
            pytest.skip(f"no image can be made here: {said}")
    assert process.poll() is None, f"it ended before {what}"


def is_unpacking() -> bool:
    """Whether a base is made, and so far that there is much to be removed."""
    return any((STATE / BUILDING).glob("mmdebstrap.*/usr/bin/dpkg"))


def is_saving(cache: Path) -> bool:
    return any(path.stat().st_size > MIB for path in cache.glob("image-*.partial"))


def unwhole(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if "partial" in path.name or path.name.startswith("image-")]


def test_a_first_build_that_is_interrupted_leaves_nothing(
    start: Callable[[], "subprocess.Popen[str]"], cache: Path
) -> None:
    before = snapshot()
    process = start()
    wait_or_skip(process, is_unpacking, "a base's packages")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert unwhole(cache) == []
    assert not any(path.name.startswith("base-") for path in cache.iterdir())
    assert snapshot() == before


@pytest.mark.parametrize("moment", ["its packages are unpacked", "the image is saved"])
def test_bench_clean_removes_what_a_first_build_that_was_killed_leaves(
    moment: str, start: Callable[[], "subprocess.Popen[str]"], cache: Path
) -> None:
    saves = moment == "the image is saved"
    if saves:
        copy_base(cache)
    before = snapshot()
    process = start()
    wait_or_skip(process, (lambda: is_saving(cache)) if saves else is_unpacking, moment)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    wait_until(lambda: snapshot()["processes"] == before["processes"], "the end of all that it started")
    done = subprocess.run(
        with_cache(f"mount --bind {cache} {CACHE}", bench_argv("clean")),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "removed " in done.stdout
    assert unwhole(cache) == []
    assert snapshot() == before


@pytest.mark.parametrize("full_at", ["the base", "the image"])
def test_a_cache_whose_disk_is_full_is_told_in_one_paragraph_and_keeps_no_half(
    full_at: str, cache: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if full_at == "the image":
        copy_base(cache)
    size = sum(path.stat().st_size for path in cache.iterdir()) + 20 * MIB
    mount = f"mount -t tmpfs -o size={size} none {disk}; cp -r {cache}/. {disk}; mount --bind {disk} {CACHE}"
    before = snapshot()
    done = subprocess.run(
        # What is in the cache at the end is printed, since nobody else sees it.
        with_cache(
            mount,
            [
                *("bash", "-c", f'"$@"; status=$?; ls -A {CACHE}; exit $status', "listed"),
                *bench_argv("run", write_scenario(tmp_path), "--results", tmp_path / "results"),
            ],
        ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not PROGRESS.match(line)]
    if "mirror answers" in done.stderr:
        pytest.skip(f"no image can be made here: {said}")
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in " ".join(said)
    assert len(said) == 1, said
    assert "Traceback" not in done.stderr
    assert "partial" not in done.stdout
    assert "image-" not in done.stdout
    assert ("base-" in done.stdout) == (full_at == "the image")
    assert snapshot() == before


def test_a_root_that_finds_no_room_is_told_in_one_paragraph_and_keeps_no_half(tmp_path: Path) -> None:
    disk, archive, page = tmp_path / "disk", tmp_path / "root.tar", tmp_path / "page"
    disk.mkdir()
    page.write_bytes(bytes(MIB))
    with tarfile.open(archive, "w") as whole:
        for number in range(100):
            whole.add(page, f"./{number}")
    mount = f"mount -t tmpfs -o size={4 * MIB} none {disk}"
    unpack = [sys.executable, "-c", UNPACK, str(archive), f"{disk}/root-bookworm-0"]
    listed = ["bash", "-c", f'"$@"; status=$?; ls -A {disk}; exit $status', "listed", *unpack]
    done = subprocess.run(with_cache(mount, listed), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
