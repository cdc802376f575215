"""Image archives are read before an engine gets them: what one holds, or why it is none."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.lab.servers.image_archive import read_archive, with_manifest

CONFIG = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
SAVED: Mapping[str, bytes] = {
    "manifest.json": json.dumps([{"Config": "c.json", "Layers": ["l.tar"]}]).encode(),
    "c.json": CONFIG,
    "l.tar": b"",
}

DEEP = b"[" * 100_000
ITSELF = b'{"manifests": [{"digest": "sha256:0"}]}'
"""An index of one index, which is this one."""


def pack(folder: Path, files: Mapping[str, bytes], prefix: str = "") -> Path:
    target = folder / "image.tar"
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(prefix + name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return target


def oci(*architectures: str) -> dict[str, bytes]:
    """An OCI archive with an image for each."""
    files, listed = dict[str, bytes](), []
    for number, architecture in enumerate(architectures):
        config, manifest = f"{number}" * 64, f"{number + 5}" * 64
        files[f"blobs/sha256/{config}"] = json.dumps({"architecture": architecture, "os": "linux"}).encode()
        content: dict[str, Any] = {"config": {"digest": f"sha256:{config}"}, "layers": []}
        files[f"blobs/sha256/{manifest}"] = json.dumps(content).encode()
        listed.append({"digest": f"sha256:{manifest}", "platform": {"architecture": architecture}})
    return {**files, "index.json": json.dumps({"manifests": listed}).encode()}


@pytest.mark.parametrize("prefix", ["", "./"])
def test_what_docker_saved_is_told_by_its_manifest(tmp_path: Path, prefix: str) -> None:
    found = read_archive(pack(tmp_path, SAVED, prefix), "amd64")

    assert (found.architecture, found.system, found.layers, found.is_oci) == (
        "amd64",
        "linux",
        ("l.tar",),
        False,
    )


def test_of_an_archive_for_several_machines_the_wanted_image_is_taken(tmp_path: Path) -> None:
    archive = pack(tmp_path, oci("arm64", "amd64"))

    assert read_archive(archive, "amd64").architecture == "amd64"
    assert read_archive(archive, "arm64").architecture == "arm64"
    assert read_archive(archive, "riscv64").architecture == "arm64"  # It is refused by whoever wants another.


def test_an_archive_of_the_other_form_gets_the_manifest_that_every_engine_reads(tmp_path: Path) -> None:
    archive = pack(tmp_path, oci("amd64"))
    found = read_archive(archive, "amd64")
    with_manifest(archive, found, "shop:1", tmp_path / "made.tar")

    again = read_archive(tmp_path / "made.tar", "amd64")
    assert (again.digest, again.is_oci) == (found.digest, False)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "neither manifest.json nor index.json"),
        ({**SAVED, "manifest.json": b"[]"}, "it holds 0 images"),
        ({**SAVED, "manifest.json": b"{"}, "it is no archive of an image"),
        ({**SAVED, "manifest.json": b"[1]"}, "it is no archive of an image"),
        (
            {"manifest.json": SAVED["manifest.json"], "c.json": CONFIG},
            "l.tar, which it speaks of, is not in it",
        ),
        (
            {**SAVED, "manifest.json": json.dumps([{"Config": "c" * 50_000, "Layers": []}]).encode()},
            f"{'c' * 99}, which it speaks of, is not in it",
        ),
        ({**SAVED, "c.json": b"{}"}, "it is no archive of an image"),
        ({**SAVED, "c.json": b"[]"}, "it is no archive of an image"),
        ({**SAVED, "manifest.json": DEEP}, "it is no archive of an image"),
        ({"index.json": b'{"manifests": []}'}, "it is no archive of an image"),
        ({"index.json": b'{"manifests": ["x"]}'}, "it is no archive of an image"),
        ({"index.json": ITSELF, "blobs/sha256/0": ITSELF}, "its index leads to no image"),
    ],
)
def test_what_is_no_image_is_refused_in_words(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(InputError, match="Write one with `docker save") as caught:
        read_archive(pack(tmp_path, files), "amd64")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1_000
