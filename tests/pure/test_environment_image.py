"""What of this Python environment travels to hosts, and when it must travel anew."""

import io
import os
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.servers import debian_root, environment, image


def install(site: Path, name: str, *requirements: str, record: str = "") -> None:
    folder = site / f"{name.replace('-', '_')}-1.dist-info"
    folder.mkdir(exist_ok=True)
    needs = "".join(f"Requires-Dist: {each}\n" for each in requirements)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}")
    (folder / "RECORD").write_text(record)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def names(*roots: str) -> list[str]:
    return [found.name for found in environment.distributions(roots)]


def test_what_is_needed_is_followed_by_its_markers_and_extras(site: Path) -> None:
    install(site, "bench-top", "bench-middle[wings]", "bench-none; sys_platform == 'win32'")
    install(site, "bench-middle", "bench-top", "bench-wing; extra == 'wings'", "bench-none; extra == 'tail'")
    install(site, "bench-wing", "bench_low>=1")
    install(site, "bench-low")
    assert names("bench-top") == ["bench-low", "bench-middle", "bench-top", "bench-wing"]
    assert names("bench-middle") == ["bench-low", "bench-middle", "bench-top", "bench-wing"]


def test_an_extra_that_is_asked_for_later_is_followed_too(site: Path) -> None:
    install(site, "bench-top", "bench-asks", "bench-middle")
    install(site, "bench-asks", "bench-middle[wings]")
    install(site, "bench-middle", "bench-wing; extra == 'wings'")
    install(site, "bench-wing")
    assert "bench-wing" in names("bench-top")


def test_what_only_a_report_needs_stays_here() -> None:
    assert not {"pandas", "pyarrow", "scipy", "matplotlib", "scapy"} & set(names(*environment.ROOTS))


def test_a_package_that_is_not_installed_is_named(site: Path) -> None:
    install(site, "bench-top", "bench-none")
    with pytest.raises(EnvironmentLacks, match="bench-none is not installed"):
        names("bench-top")


def test_programs_and_bytecode_are_not_copied(site: Path) -> None:
    lines = ["../../bin/top,,", "top/__pycache__/top.cpython-311.pyc,,", "top/top.py,sha256=abc,1"]
    install(site, "bench-top", record="\n".join(lines))
    [found] = environment.distributions(["bench-top"])
    assert [str(file) for file in environment._files(found)] == ["top/top.py"]


def test_any_change_of_code_is_another_environment(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = site / "own"
    (own / "__pycache__").mkdir(parents=True)
    monkeypatch.setattr(environment, "PACKAGE", own)
    monkeypatch.setattr(environment, "ROOTS", ("bench-top",))
    install(site, "bench-top", record="top/top.py,sha256=abc,1")
    seen = [environment.digest_environment()]
    (own / "__pycache__" / "own.pyc").write_text("bytecode")
    assert environment.digest_environment() == seen[0]
    (own / "own.py").write_text("1")
    seen.append(environment.digest_environment())
    (own / "own.py").write_text("2")
    seen.append(environment.digest_environment())
    install(site, "bench-top", record="top/top.py,sha256=abd,1")
    seen.append(environment.digest_environment())
    assert len(set(seen)) == 4


def archive_of(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    member.size = len(content)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return path


def test_another_python_than_debians_is_refused(tmp_path: Path) -> None:
    def base_of(version: str) -> Path:
        link = tarfile.TarInfo("./usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, f"python{version}"
        return archive_of(tmp_path / "base.tar", link)

    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment.require_same_python(base_of(ours))
    with pytest.raises(EnvironmentLacks, match=rf"of Python {ours}, .* by Python {ours}9,"):
        environment.require_same_python(base_of(f"{ours}9"))


def test_each_images_recipe_has_nothing_of_anothers() -> None:
    apache, host, bench = image._stages()
    assert image.dockerfile().read_text() == f"{apache}\n{host}\n{bench}"
    assert apache.count("FROM") == host.count("FROM") == bench.count("FROM") == 1
    assert "httpd.conf" in apache
    assert "FROM ${BASE} AS host" in host
    assert "FROM ${BASE} AS bench" in bench


class _Images:
    """Of an engine that has nothing yet, and names the image `name`."""

    def __init__(self, name: str) -> None:
        self.name, self.sent = name, 0

    def get(self, name: str) -> Any:
        if not self.sent or name != self.name:
            raise ImageNotFound("no such image")
        return SimpleNamespace(id=name)

    def load(self, stream: Any) -> list[Any]:
        self.sent += 1
        return [SimpleNamespace(id=self.name)]


def test_an_engine_is_sent_an_image_once_whatever_it_calls_it(tmp_path: Path) -> None:
    archive = tmp_path / "image-1.tar"
    archive.touch()
    engines = [_Images("sha256:configuration"), _Images("sha256:manifest"), _Images("sha256:configuration")]
    for _ in range(2):
        for images in engines:
            assert image.load_archive(SimpleNamespace(images=images), archive) == images.name  # type: ignore[arg-type]
    assert [images.sent for images in engines] == [1, 1, 1]
    assert archive.with_suffix(".ids").read_text().split() == ["sha256:configuration", "sha256:manifest"]


def test_who_is_not_root_is_told_what_a_base_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(command, "find", lambda program: None)
    with pytest.raises(EnvironmentLacks, match="no newuidmap"):
        debian_root.make_archive("Making it", [], tmp_path / "base.tar")
