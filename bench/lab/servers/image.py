"""The one image that every arm runs: built once from Debian's packages, cached by content.

mmdebstrap makes the base from the machine's own package mirror, so no registry is asked; Docker
builds Dockerfile.bench on it. Both results are kept under CACHE, named by what went into them.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import docker

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.servers.debian_root import NOT_CURRENT, building_folder, make_archive
from bench.paths import CACHE
from bench.records.environment import ImageFacts

PAGE_SIZES = (1024, 65536, 1048576)
BASE_PACKAGES = ("apache2-bin", "iproute2", "iptables")
"""Apache, and the tools with which a container can look at (and try to change) its own network."""
BASE_OPTIONS = (
    "--variant=essential",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True)
class Image:
    """An image in an engine, and what it was made from."""

    id: str
    """Docker's image id, the digest of its configuration: equal ids are equal images."""
    suite: str
    base_sha256: str
    recipe_sha256: str
    """Of Dockerfile, httpd.conf and pages."""

    def describe(self) -> ImageFacts:
        """As it is stored."""
        return ImageFacts(
            id=self.id,
            suite=self.suite,
            base_sha256=self.base_sha256,
            recipe_sha256=self.recipe_sha256,
        )


def provide_image(client: docker.DockerClient) -> Image:
    """Load the image into the engine of `client`, making it first where the cache has none."""
    CACHE.mkdir(parents=True, exist_ok=True)
    suite = _debian_suite()
    base = _provide_base(suite)
    base_sha256 = base.with_suffix(".sha256").read_text()
    with _build_context() as context:
        recipe_sha256 = _digest_of_tree(context)
        archive = CACHE / f"image-{_key(base_sha256, recipe_sha256)}.tar"
        if not archive.exists():
            _build(client, base, context, archive)
    with archive.open("rb") as stream:
        [image] = client.images.load(stream)
    return Image(str(image.id), suite, base_sha256, recipe_sha256)


def is_cached() -> bool:
    """Whether some image is in the cache, so that a run need not build one."""
    return any(CACHE.glob("image-*.tar"))


def _debian_suite() -> str:
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        # The machine's mirror serves its own distribution only.
        raise EnvironmentLacks(
            "Making the Apache image from this machine's packages",
            f"this is {release.get('PRETTY_NAME', release['ID'])}, not Debian",
            "The image can be made on Debian only, so far.",
        )
    return release["VERSION_CODENAME"]


def _provide_base(suite: str) -> Path:
    options = [*BASE_OPTIONS, *NOT_CURRENT.get(suite, ())]
    base = CACHE / f"base-{_key(suite, platform.machine(), *BASE_PACKAGES, *options)}.tar"
    if not base.with_suffix(".sha256").exists():
        packages = f"--include={','.join(BASE_PACKAGES)}"
        make_archive("Making the image's base", [*options, packages, suite], base)
        with base.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        # Last, so that its presence says that the base is whole.
        base.with_suffix(".sha256").write_text(digest)
    return base


@contextmanager
def _build_context() -> Iterator[Path]:
    with building_folder() as context:
        shutil.copy(dockerfile(), context / "Dockerfile")
        with resources.as_file(resources.files("bench") / "image" / "httpd.conf") as configuration:
            shutil.copy(configuration, context / "httpd.conf")
        with resources.as_file(resources.files("bench") / "image" / "busy_wait.c") as source:
            command.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(context / "busy_wait.so"), str(source)])
        (context / "pages").mkdir()
        for size in PAGE_SIZES:
            (context / "pages" / str(size)).write_bytes(b"bench" * (size // 5) + b"." * (size % 5))
        yield context


def dockerfile() -> Path:
    """Dockerfile.bench: at the top of a checkout, beside httpd.conf in an installed package."""
    package = Path(__file__).parents[2]
    installed = package / "image" / "Dockerfile.bench"
    return installed if installed.exists() else package.parent / "Dockerfile.bench"


def _build(client: docker.DockerClient, base: Path, context: Path, archive: Path) -> None:
    tag = base.stem
    client.api.import_image_from_file(str(base), repository="bench-base", tag=tag)
    image, _ = client.images.build(
        path=str(context), buildargs={"BASE": f"bench-base:{tag}"}, tag=f"bench:{archive.stem}", rm=True
    )
    partial = archive.with_suffix(".partial")
    with partial.open("wb") as stream:
        for chunk in image.save(named=True):
            stream.write(chunk)
    partial.replace(archive)


def _digest_of_tree(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _key(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
