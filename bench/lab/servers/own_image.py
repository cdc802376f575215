"""A person's image, for the engines of the lab: of their own Docker, an archive, or built from a Dockerfile.

Their Docker is read only: one image is looked at and saved. What comes of it is kept under CACHE by the
image's own digest, so that a run goes on with the same one.
"""

import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.images import Image as DockerImage
from requests.exceptions import RequestException

from bench.errors import EnvironmentLacks, InputError
from bench.lab.hosts.journal import noted
from bench.lab.servers.docker_client import connect
from bench.lab.servers.environment import digest_of_tree
from bench.lab.servers.image import Image, load_archive, save_image
from bench.lab.servers.image_archive import Archive, read_archive, with_manifest
from bench.paths import CACHE
from bench.procfs import available_memory
from bench.scenario.service import Container

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le"}
"""As the kernel says it -> as images say it (GOARCH)."""
SAVING_S = 600
KEPT = 10
"""Images of a person's own in the cache."""
COPIES = 2.5
"""Of an image, that an engine has in memory at most while it takes it: seen with one of 2 GB."""
FROM = re.compile(r"^\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Own:
    """Where the things of a person's own are that a run needs."""

    files: Path
    """Folder with the small ones: what is mounted, and bodies of requests."""
    sources: Path | None = None
    """Folder with archives and Dockerfiles, as the scenario names them; None: what they came to is cached."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Source of an image -> its id, of a run that goes on."""


def provide_own_image(client: docker.DockerClient, asked: Container, own: Own) -> Image:
    """Have the image of `asked` in the engine of `client`.

    Raises InputError where there is no such image, or it is none for this machine; EnvironmentLacks where
    it cannot be had for another reason.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    doing = f"Loading the image {asked.source}"
    archive = _find_known(own.known.get(asked.source)) or _find_archive(client, asked, own)
    _require_memory(doing, archive.stat().st_size)
    archive.touch()
    _forget_oldest()
    try:
        identity = load_archive(client, archive)
    except (APIError, ImageNotFound, RequestException) as fault:
        archive.with_suffix(".ids").unlink(missing_ok=True)
        said = getattr(fault, "explanation", None) or fault
        raise EnvironmentLacks(
            doing,
            f"the lab's engine does not take it: {said}",
            "The lab's engines keep images in memory: see that there is enough, and that the image is whole.",
        ) from fault
    found = client.images.get(identity)
    _require_architecture(doing, str(found.attrs["Architecture"]), str(found.attrs.get("Os", "linux")))
    return Image(identity, source=asked.source, architecture=str(found.attrs["Architecture"]))


def require_source(asked: Container, sources: Path | None) -> None:
    """Raise as `provide_own_image` does where there is no such image, archive or Dockerfile: before anything
    is begun. `sources`: the scenario's own folder."""
    if asked.image:
        with _own_docker(asked.image) as own:
            _look_at(own, asked.image)
    elif asked.archive and sources:
        _require_archive(sources / asked.archive)
    elif asked.build and sources:
        _require_dockerfile(sources / asked.build)


def _forget_oldest() -> None:
    """Keep the images that were used last."""
    archives = sorted(CACHE.glob("service-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[KEPT:]:
        archive.unlink()
        archive.with_suffix(".ids").unlink(missing_ok=True)


def _find_known(identity: str | None) -> Path | None:
    """The cached archive of an image that some engine once gave this id."""
    for names in CACHE.glob("service-*.ids"):
        if identity in names.read_text().split() and names.with_suffix(".tar").exists():
            return names.with_suffix(".tar")
    return None


def _find_archive(client: docker.DockerClient, asked: Container, own: Own) -> Path:
    if asked.image:
        return _save_from_own_docker(asked.image)
    if own.sources is None:
        raise EnvironmentLacks(
            f"Taking the image {asked.source}",
            "it is not in the cache any more, and a run that goes on does not know its folder",
            "Begin a new one.",
        )
    if asked.archive:
        return _take_archive(own.sources / asked.archive)
    assert asked.build
    return _build(client, own.sources / asked.build)


def this_architecture() -> str:
    """Of this machine, as images say it."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def _require_architecture(doing: str, architecture: str, system: str) -> None:
    if (architecture, system) != (this_architecture(), "linux"):
        raise InputError(
            doing,
            f"it is made for {system} on {architecture}, and this machine is linux on {this_architecture()}",
            f"Take it for this machine (`docker pull --platform linux/{this_architecture()} ...`): emulated,"
            " it would be the emulation that is measured.",
        )


@contextmanager
def _own_docker(name: str) -> Iterator[docker.DockerClient]:
    """That of the person who wants the image `name` of it."""
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        # Of a socket here, by the client whose waits can be interrupted.
        path = where.removeprefix("unix://")
        client = connect(Path(path)) if path != where else docker.DockerClient(where, timeout=SAVING_S)
        client.ping()
    except (DockerException, RequestException) as fault:
        is_there = path == where or Path(path).exists()
        why = f"{fault!s:.200}" if is_there else "there is no such socket"
        raise EnvironmentLacks(
            f"Taking the image {name} from your own Docker",
            f"it does not answer at {where} ({why})",
            "Start it, name it by DOCKER_HOST, or give the image as an archive (`docker save IMAGE -o FILE`;"
            ' archive = "FILE").',
        ) from fault
    try:
        yield client
    finally:
        client.close()


def _look_at(own: docker.DockerClient, name: str) -> DockerImage:
    """The image `name`, for this machine."""
    doing = f"Taking the image {name} from your own Docker"
    try:
        image = own.images.get(name)
    except ImageNotFound as fault:
        raise InputError(
            doing,
            "it has no such image",
            f"`docker pull {name}`, or `docker build -t {name} .`, and try again: bench pulls nothing.",
        ) from fault
    _require_architecture(doing, str(image.attrs["Architecture"]), str(image.attrs.get("Os", "linux")))
    return image


def _save_from_own_docker(name: str) -> Path:
    """The image `name` as an archive in the cache, under its digest."""
    doing = f"Taking the image {name} from your own Docker"
    with _own_docker(name) as own:
        image = _look_at(own, name)
        archive = CACHE / f"service-{str(image.id).removeprefix('sha256:')[:24]}.tar"
        if not archive.exists():
            _require_room(doing, int(image.attrs.get("Size") or 0))
            save_image(image, archive, named=False)
    return archive


def _require_archive(given: Path) -> Archive:
    """What the archive holds, for this machine."""
    doing = f"Loading the image {given.name}"
    if not given.is_file():
        raise InputError(doing, f"there is no file {given.name} in the scenario's folder", "See its name.")
    found = read_archive(given, this_architecture())
    _require_architecture(doing, found.architecture, found.system)
    return found


def _require_dockerfile(folder: Path) -> None:
    if not (folder / "Dockerfile").is_file():
        doing = f"Building the image in {folder.name}"
        raise InputError(doing, "there is no Dockerfile in it", "Name the folder that has one.")


def _take_archive(given: Path) -> Path:
    """In the cache, under the image's digest: the given archive or, of one in the OCI layout, its like that
    every engine loads."""
    doing = f"Loading the image {given.name}"
    found = _require_archive(given)
    key = found.digest[:24]
    archive = CACHE / f"service-{key}.tar"
    if not archive.exists():
        _require_room(doing, given.stat().st_size)
        partial = archive.with_name(f"{archive.name}.partial")
        with noted(partial):
            if found.is_oci:
                with_manifest(given, found, f"bench-service:{key}", partial)
            else:
                shutil.copyfile(given, partial)
            partial.replace(archive)
    return archive


def _build(client: docker.DockerClient, folder: Path) -> Path:
    """The image of the Dockerfile in `folder`, built in the lab's engine, as an archive in the cache."""
    doing = f"Building the image in {folder.name}"
    _require_dockerfile(folder)
    key = digest_of_tree(folder)[:24]
    archive = CACHE / f"service-{key}.tar"
    if archive.exists():
        return archive
    _require_memory(doing, sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    _bring_bases(client, (folder / "Dockerfile").read_text())
    tag = f"bench-service:{key}"
    try:
        image, _ = client.images.build(path=str(folder), tag=tag, rm=True, network_mode="none")
    except (BuildError, APIError) as fault:
        said = "".join(part.get("stream", "") for part in getattr(fault, "build_log", ()))
        raise InputError(
            doing,
            f"{fault!s:.500}\n{said.strip()[-1500:]}",
            "The lab has no network. Build what needs one with your own Docker, and give it as `image`.",
        ) from fault
    _require_room(doing, int(image.attrs.get("Size") or 0))
    save_image(image, archive)
    return archive


def _bring_bases(client: docker.DockerClient, dockerfile: str) -> None:
    """Have the images that a Dockerfile builds on in the lab's engine, from the person's own Docker."""
    stages: set[str] = set()
    for base, stage in FROM.findall(dockerfile):
        if base != "scratch" and base.lower() not in stages:
            with suppress(ImageNotFound):
                client.images.get(base)
                continue
            archive = _save_from_own_docker(base)
            with archive.open("rb") as stream:
                for image in client.images.load(stream):
                    image.tag(*base.rsplit(":", 1)) if ":" in base else image.tag(base)
        stages.add(stage.lower())


def _require_memory(doing: str, size: int) -> None:
    """For a moment an image is there as it came and unpacked, and engines have their data in memory."""
    available = available_memory(Path("/proc/meminfo").read_text())
    if available < COPIES * size:
        raise EnvironmentLacks(
            doing,
            f"it has {size / 1e9:.1f} GB; the lab's engine needs {COPIES:g} times as much in memory, and"
            f" {available / 1e9:.1f} GB are available",
            "Take a smaller image, or a machine with more memory: on a disk its writing would disturb what is"
            " measured.",
        )


def _require_room(doing: str, size: int) -> None:
    free = shutil.disk_usage(CACHE).free
    if free < 2 * size:
        raise EnvironmentLacks(
            doing,
            f"it has {size / 1e9:.1f} GB, and {CACHE} has {free / 1e9:.1f} GB left",
            "Make room, or take a smaller image.",
        )
