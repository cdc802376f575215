"""The one image that every arm runs, and the one that hosts run of bench: built once, cached by content.
And that of bench as a whole, which has the first in its cache.

mmdebstrap makes a base from the machine's own package mirror, so no registry is asked; Docker
builds a stage of Dockerfile.bench on it. Both results are kept under CACHE, named by what went into them.
"""

import gzip
import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import docker
from docker.errors import BuildError, ImageNotFound
from docker.models.images import Image as DockerImage

from bench.errors import EnvironmentLacks
from bench.lab.hosts.compiler import compile_once
from bench.lab.hosts.journal import noted
from bench.lab.servers.debian_root import NOT_CURRENT, building_folder, make_archive
from bench.lab.servers.environment import (
    BENCH,
    PACKAGE,
    digest_environment,
    digest_of_tree,
    put_environment,
    require_same_python,
)
from bench.lab.servers.null_server import compile_null_server
from bench.paths import CACHE
from bench.records.environment import ImageFacts

GZIP_LEVEL = 1
"""A third of the size in a quarter of a minute; the usual level takes a minute for a tenth less."""
PAGE_SIZES = (1024, 65536, 1048576)
BASE_PACKAGES = ("apache2-bin", "iproute2", "iptables")
"""Apache, and the tools with which a container can look at (and try to change) its own network."""
HOST_PACKAGES = (
    *("python3", "libstdc++6", "iproute2", "iptables", "tcpdump", "ethtool", "curl", "wrk"),
    *("util-linux", "mount", "procps"),
)
"""Python, with a library of numpy's, and what generator, instruments and settings of a host start."""
BENCH_PACKAGES = (*HOST_PACKAGES, "docker.io", "tini", "dnsmasq-base")
"""And a Docker Engine. There is no mmdebstrap and no compiler: what they make is in the cache."""
BASE_OPTIONS = (
    "--variant=essential",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
FORGET = '--customize-hook=cd "$1/etc" && rm -f hostname resolv.conf apt/sources.list'
"""Where an image was made is nobody's business who is given it."""
WITHOUT = tuple(
    f"--dpkgopt=path-exclude=/usr/{program}"
    for program in ("bin/docker", "bin/ctr", "bin/dnet", "sbin/ovrouter", "bin/containerd-stress")
)
"""Programs beside the engine that nobody starts: 100 MB."""
IN_IMAGE = {
    "busy_wait.c": ("busy_wait.so", ("-O2", "-shared", "-fPIC")),
    "look_up.c": ("look_up", ("-O2",)),
}
"""Programs of bench's own that the built-in image has: source -> name there, how it is compiled."""


@dataclass(frozen=True)
class Image:
    """An image in an engine, and what it was made from."""

    id: str
    """Docker's image id, the digest of its configuration, or manifest: equal ids are equal images."""
    suite: str | None = None
    """Of the built-in one, as the next two."""
    base_sha256: str | None = None
    recipe_sha256: str | None = None
    """Of Dockerfile, httpd.conf and pages."""
    source: str | None = None
    """Of a person's own: where it came from, as the scenario says it; and for what."""
    architecture: str | None = None

    def describe(self) -> ImageFacts:
        """As it is stored."""
        return ImageFacts(
            id=self.id,
            suite=self.suite,
            base_sha256=self.base_sha256,
            recipe_sha256=self.recipe_sha256,
            source=self.source,
            architecture=self.architecture,
        )


def provide_image(client: docker.DockerClient) -> Image:
    """Have Apache's image in the engine of `client`, making it first where the cache has none."""
    suite, base, base_sha256 = _begin(BASE_PACKAGES)
    with _build_context() as context:
        recipe_sha256 = digest_of_tree(context)
        archive = _archive(base_sha256, recipe_sha256)
        if not archive.exists():
            _build(client, base, context, f"bench:{archive.stem}", archive)
    return Image(load_archive(client, archive), suite, base_sha256, recipe_sha256)


def provide_host_image(client: docker.DockerClient) -> str:
    """Id of the image of what a host runs of bench, in the engine of `client`; made where the cache has none.

    Raises EnvironmentLacks where this Python environment is none that Debian's own python3 could use.
    """
    _, base, base_sha256 = _begin(HOST_PACKAGES)
    _, stage, _ = _stages()
    key = _key(base_sha256, stage, digest_environment())
    archive = CACHE / f"host-{key}.tar"
    if not archive.exists():
        require_same_python(base)
        with building_folder() as context:
            (context / "Dockerfile").write_text(stage)
            put_environment(context)
            _build(client, base, context, f"bench-host:{key}", archive)
        for other in CACHE.glob("host-*"):
            if other.stem != archive.stem:
                other.unlink()  # Of other code: a third of a gigabyte for every change of it.
    return load_archive(client, archive)


def write_bench_image(client: docker.DockerClient, archive: Path) -> None:
    """Write the image of bench itself to `archive`, made in the engine of `client`.

    Raises EnvironmentLacks as `provide_host_image` does.
    """
    apache = provide_image(client)
    assert apache.suite
    assert apache.base_sha256
    assert apache.recipe_sha256
    _, base, _ = _begin(BENCH_PACKAGES, *WITHOUT)
    require_same_python(base)
    with building_folder() as context:
        *_, stage = _stages()
        (context / "Dockerfile").write_text(stage)
        put_environment(context, [BENCH])
        if not (PACKAGE / "scenarios").exists():  # In a checkout they lie above the package.
            shutil.copy(dockerfile(), context / "own")
            shutil.copytree(PACKAGE.parent / "scenarios", context / "own" / "scenarios")
        with _asset("enter.sh") as script:
            shutil.copy(script, context)
            (context / script.name).chmod(0o755)
        cache = context / "cache"
        shutil.copy(_archive(apache.base_sha256, apache.recipe_sha256), cache)
        shutil.copy(_provide_base(apache.suite).with_suffix(".sha256"), cache)
        for program, (_, flags) in IN_IMAGE.items():
            with _asset(program) as source:
                shutil.copy2(compile_once(source, flags, CACHE), cache)
        compile_null_server(cache)
        _build(client, base, context, "bench:latest", archive)


def is_cached() -> bool:
    """Whether some image is in the cache, so that a run need not build one."""
    return any(CACHE.glob("image-*.tar"))


def _debian_suite() -> str:
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        # The machine's mirror serves its own distribution only.
        raise EnvironmentLacks(
            "Making an image from this machine's packages",
            f"this is {release.get('PRETTY_NAME', release['ID'])}, not Debian",
            "Images can be made on Debian only, so far.",
        )
    return release["VERSION_CODENAME"]


def _begin(packages: Sequence[str], *options: str) -> tuple[str, Path, str]:
    """Debian's suite, a base of its `packages` made with `options`, and that one's digest."""
    CACHE.mkdir(parents=True, exist_ok=True)
    suite = _debian_suite()
    base = _provide_base(suite, packages, *options)
    return suite, base, base.with_suffix(".sha256").read_text()


def provide_packages(packages: Sequence[str]) -> Path:
    """A root file system of Debian's `packages`, as an archive in the cache."""
    _, base, _ = _begin(packages)
    return base


def _provide_base(suite: str, packages: Sequence[str] = BASE_PACKAGES, *more: str) -> Path:
    options = [*BASE_OPTIONS, FORGET, *NOT_CURRENT.get(suite, ()), *more]
    base = CACHE / f"base-{_key(suite, platform.machine(), *packages, *options)}.tar"
    if not base.with_suffix(".sha256").exists():
        included = f"--include={','.join(packages)}"
        digest = make_archive("Making the image's base", [*options, included, suite], base)
        # Last, so that its presence says that the base is whole.
        base.with_suffix(".sha256").write_text(digest)
    return base


@contextmanager
def _build_context() -> Iterator[Path]:
    with building_folder() as context:
        apache, _, _ = _stages()
        (context / "Dockerfile").write_text(apache)
        with _asset("httpd.conf") as configuration:
            shutil.copy(configuration, context / "httpd.conf")
        for program, (name, flags) in IN_IMAGE.items():
            with _asset(program) as source:
                shutil.copy(compile_once(source, flags, CACHE), context / name)
                (context / name).chmod(0o755)
        (context / "pages").mkdir()
        for size in PAGE_SIZES:
            (context / "pages" / str(size)).write_bytes(b"bench" * (size // 5) + b"." * (size % 5))
        yield context


def _asset(name: str) -> AbstractContextManager[Path]:
    return resources.as_file(resources.files("bench") / "image" / name)


def _archive(base_sha256: str, recipe_sha256: str) -> Path:
    return CACHE / f"image-{_key(base_sha256, recipe_sha256)}.tar"


def dockerfile() -> Path:
    """Dockerfile.bench: at the top of a checkout, beside httpd.conf in an installed package."""
    installed = PACKAGE / "image" / "Dockerfile.bench"
    return installed if installed.exists() else PACKAGE.parent / "Dockerfile.bench"


def _stages() -> tuple[str, str, str]:
    """Apache's, the host's and bench's: each is built alone, and none is another when another changes."""
    apache, host, bench = dockerfile().read_text().split("\n\n")
    return f"{apache}\n", f"{host}\n", bench


def _build(client: docker.DockerClient, base: Path, context: Path, tag: str, archive: Path) -> None:
    base_tag = f"bench-base:{base.stem}"
    client.api.import_image_from_file(str(base), repository="bench-base", tag=base.stem)
    try:
        image, _ = client.images.build(
            path=str(context), buildargs={"BASE": base_tag}, tag=tag, rm=True, network_mode="none"
        )
    except BuildError as fault:
        said = "".join(part.get("stream", "") for part in fault.build_log)
        raise EnvironmentLacks(
            f"Building {tag}", said.strip()[-2000:], "This is a bug of bench: report it."
        ) from fault
    save_image(image, archive)


def save_image(image: DockerImage, archive: Path, *, named: bool = True) -> None:
    """Write `image` to `archive`, whole or not at all, as `docker save` does: `named`, with its tags."""
    partial = archive.with_name(f"{archive.name}.partial")
    with noted(partial):
        with (
            gzip.open(partial, "wb", GZIP_LEVEL) if archive.suffix == ".gz" else partial.open("wb") as stream
        ):
            for chunk in image.save(named=named):
                stream.write(chunk)
        partial.replace(archive)


def load_archive(client: docker.DockerClient, archive: Path) -> str:
    """Id of the image in `archive`, which is sent only where the engine has not got it: it may be far.

    An id is a digest, but not every engine's is of the same: containerd's store takes the manifest's and
    not the configuration's. So each that an engine ever gave the image is kept beside the archive.
    """
    names = archive.with_suffix(".ids")
    known = names.read_text().split() if names.exists() else []
    for name in known:
        with suppress(ImageNotFound):
            return str(client.images.get(name).id)
    with archive.open("rb") as stream:
        [image] = client.images.load(stream)
    if image.id not in known:
        with names.open("a") as lines:
            lines.write(f"{image.id}\n")
    return str(image.id)


def _key(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
