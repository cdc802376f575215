"""Where a person's image comes from: their own Docker, an archive of either form, a Dockerfile."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from bench.errors import BenchError, EnvironmentLacks, InputError
from bench.lab.servers.own_image import Own, provide_own_image, this_architecture
from bench.measure.testbed import Bed
from bench.scenario.service import Service

NAME = "persons-own:1"


@pytest.fixture
def client(bed: Bed) -> docker.DockerClient:
    """An engine of the lab's, which has the small service's image."""
    [engine] = bed.engines.values()
    return engine.client


@pytest.fixture
def saved(bed: Bed, client: docker.DockerClient, tmp_path: Path) -> Path:
    """The small service's image as `docker save` writes it."""
    archive = tmp_path / "saved.tar"
    with archive.open("wb") as stream:
        for chunk in client.images.get(bed.image.id).save():
            stream.write(chunk)
    return archive


def rewrite(archive: Path, change: Callable[[str, bytes], bytes | None], name: str) -> Path:
    """The archive beside it, with the content of every file changed, or left out."""
    target = archive.with_name(name)
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            if content is None:
                new.addfile(member)
                continue
            changed = change(member.name, content.read())
            if changed is not None:
                member.size = len(changed)
                new.addfile(member, io.BytesIO(changed))
    return target


def as_oci(archive: Path) -> Path:
    """The same image in the OCI layout, and in that alone."""
    with tarfile.open(archive) as old:

        def content(name: str) -> bytes:
            stream = old.extractfile(name)
            assert stream
            return stream.read()

        [manifest] = json.loads(content("manifest.json"))
        blobs = [content(name) for name in (manifest["Config"], *manifest["Layers"])]
    described = [
        {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob), "mediaType": kind}
        for blob, kind in zip(
            blobs,
            ["application/vnd.oci.image.config.v1+json"]
            + ["application/vnd.oci.image.layer.v1.tar"] * (len(blobs) - 1),
            strict=True,
        )
    ]
    listing = json.dumps({"schemaVersion": 2, "config": described[0], "layers": described[1:]}).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [{"digest": f"sha256:{hashlib.sha256(listing).hexdigest()}", "size": len(listing)}],
    }
    files = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (*blobs, listing)}
    files |= {"index.json": json.dumps(index).encode(), "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    target = archive.with_name("oci.tar")
    with tarfile.open(target, "w") as new:
        for name, blob in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(blob)
            new.addfile(header, io.BytesIO(blob))
    return target


@pytest.mark.parametrize("form", [lambda path: path, as_oci], ids=["docker save", "OCI layout"])
def test_an_archive_of_either_form_is_the_same_image(
    bed: Bed, client: docker.DockerClient, saved: Path, form: Callable[[Path], Path]
) -> None:
    archive = form(saved)

    found = provide_own_image(client, Service(archive=archive.name), Own(archive.parent, archive.parent))

    assert found.id == bed.image.id
    assert found.architecture == this_architecture()


def test_an_image_of_ones_own_docker_is_read_and_nothing_there_is_changed(
    bed: Bed, client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [host] = bed.lab.docker.values()
    client.images.get(bed.image.id).tag("persons-own", "1")
    before = sorted(image.id or "" for image in client.images.list())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{host.local_socket(f'{host.scratch}/docker.sock')}")

    found = provide_own_image(client, Service(image=NAME), Own(tmp_path))

    assert found.id == bed.image.id
    assert sorted(image.id or "" for image in client.images.list()) == before
    with pytest.raises(InputError, match="it has no such image"):
        provide_own_image(client, Service(image="no-such:9"), Own(tmp_path))


def refusal(client: docker.DockerClient, service: Service, folder: Path) -> str:
    with pytest.raises(BenchError) as caught:
        provide_own_image(client, service, Own(folder, folder))
    assert isinstance(caught.value, InputError | EnvironmentLacks)
    return str(caught.value)


def test_an_image_for_another_architecture_is_refused_before_it_is_loaded(
    client: docker.DockerClient, saved: Path
) -> None:
    def for_riscv(name: str, content: bytes) -> bytes:
        if not name.endswith(".json") or b'"architecture"' not in content:
            return content
        said = json.loads(content)
        return json.dumps({**said, "architecture": "riscv64"}).encode() if "rootfs" in said else content

    archive = rewrite(saved, for_riscv, "riscv.tar")

    said = refusal(client, Service(archive=archive.name), archive.parent)
    assert f"made for linux on riscv64, and this machine is linux on {this_architecture()}" in said


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"no archive at all", "it is no archive of an image"), (None, "there is no file missing.tar")],
)
def test_what_is_no_archive_is_refused_in_a_paragraph(
    client: docker.DockerClient, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    if content:
        (tmp_path / "missing.tar").write_bytes(content)

    assert expected in refusal(client, Service(archive="missing.tar"), tmp_path)


def test_an_archive_that_was_cut_off_is_refused_in_a_paragraph(
    client: docker.DockerClient, saved: Path
) -> None:
    cut = saved.with_name("cut.tar")
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])

    assert "Loading the image" in (said := refusal(client, Service(archive=cut.name), cut.parent)) or (
        "Reading the image archive" in said
    )


def test_a_dockerfile_that_cannot_be_built_is_refused_with_what_its_build_said(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")

    said = refusal(client, Service(build="broken"), tmp_path)
    assert "Building the image in broken" in said
    assert "nothing" in said


def test_an_image_is_wanted_of_a_docker_that_does_not_answer(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")

    said = refusal(client, Service(image=NAME), tmp_path)
    assert "from your own Docker: it does not answer" in said
    assert "there is no such socket" in said
    assert "docker save" in said
