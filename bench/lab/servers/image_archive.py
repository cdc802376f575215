"""Image archives, as `docker save` and OCI tools write them: what is in one, before an engine gets it."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import InputError

MANIFEST, INDEX = "manifest.json", "index.json"
"""Of `docker save` (and of OCI tools that please Docker); of the OCI image layout 1.0."""
LARGEST_JSON = 16 * 1024 * 1024
NO_IMAGE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading its JSON ends in where that says something else than it should."""


@dataclass(frozen=True)
class Archive:
    """What an archive holds: one image."""

    architecture: str
    """In Go's words, as Docker has them: `amd64`, `arm64`."""
    system: str
    layers: tuple[str, ...]
    """Names of files in it."""
    config: str
    """Its configuration is the file of that name; its digest is the image's id in most engines."""
    digest: str
    is_oci: bool
    """Of the OCI layout alone, which engines before Docker 25 do not load."""


def read_archive(path: Path, wanted_architecture: str) -> Archive:
    """What `path` holds. Raises InputError where it is no archive of one image.

    `wanted_architecture`: of the several images that an OCI archive may hold, one for each.
    """
    doing = f"Reading the image archive {path.name}"
    advice = "Write one with `docker save IMAGE -o FILE`, of one image."
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./"): name for name in archive.getnames()}
            if MANIFEST in names:
                found = _json(archive, names[MANIFEST])
                if len(found) != 1:
                    raise InputError(doing, f"it holds {len(found)} images", advice)
                config, layers, is_oci = found[0]["Config"], found[0]["Layers"], False
            elif INDEX in names:
                manifest = _find_oci(archive, names, wanted_architecture)
                config = _blob(manifest["config"])
                layers, is_oci = [_blob(layer) for layer in manifest["layers"]], True
            else:
                raise InputError(doing, f"it has neither {MANIFEST} nor {INDEX}", advice)
            missing = [name for name in (config, *layers) if name not in names]
            if missing:
                raise InputError(doing, f"{missing[0]:.200}, which it speaks of, is not in it", advice)
            content = _read(archive, names[config])
            said = json.loads(content)
        digest = hashlib.sha256(content).hexdigest()
        system = str(said.get("os", "linux"))
        return Archive(str(said["architecture"]), system, tuple(layers), config, digest, is_oci)
    except (OSError, tarfile.TarError, EOFError, *NO_IMAGE) as fault:
        raise InputError(doing, f"it is no archive of an image ({fault!r:.200})", advice) from fault


def with_manifest(path: Path, found: Archive, tag: str, target: Path) -> None:
    """Write to `target` what `path` holds, with the manifest by which every engine loads it."""
    manifest = [{"Config": found.config, "RepoTags": [tag], "Layers": list(found.layers)}]
    content = json.dumps(manifest).encode()
    with tarfile.open(path) as archive, tarfile.open(target, "w") as made:
        for member in archive:
            if member.name.removeprefix("./") != MANIFEST:
                member.name = member.name.removeprefix("./")
                made.addfile(member, archive.extractfile(member) if member.isreg() else None)
        header = tarfile.TarInfo(MANIFEST)
        header.size = len(content)
        made.addfile(header, io.BytesIO(content))


def _find_oci(archive: tarfile.TarFile, names: dict[str, str], architecture: str) -> Any:
    """The manifest of the one image, or of the one for `architecture`; an index may point to another."""
    described = _json(archive, names[INDEX])["manifests"]
    for _ in names:  # More indexes than it has files are a circle.
        fitting = [
            entry for entry in described if entry.get("platform", {}).get("architecture") == architecture
        ]
        content = _json(archive, names[_blob((fitting or described)[0])])
        if "manifests" not in content:
            return content
        described = content["manifests"]
    raise ValueError("its index leads to no image")


def _blob(descriptor: Any) -> str:
    algorithm, _, digest = str(descriptor["digest"]).partition(":")
    return f"blobs/{algorithm}/{digest}"


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.loads(_read(archive, name))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file")
    return stream.read(LARGEST_JSON)
