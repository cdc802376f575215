"""What is served, brought to an engine: its image, those of its companions, and the files that they mount."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EnvironmentLacks, InputError
from bench.generator.protocol import Tls
from bench.lab.hosts.host import Host
from bench.lab.servers.certificate import Certificate, make_certificate
from bench.lab.servers.engine import Engine
from bench.lab.servers.image import Image, provide_image
from bench.lab.servers.own_image import Own, provide_own_image, require_source
from bench.lab.servers.site import Provided
from bench.scenario.scenario import Scenario
from bench.scenario.service import APACHE, Service

FOLDER = "own"
CERTIFICATE, KEY = "tls/certificate.pem", "tls/key.pem"
"""Files of the run's own, beside those of the scenario, by names that no scenario's file has."""
LARGEST_OWN = 64 * 1024 * 1024
"""Bytes of all small files: they are kept with the run."""


@dataclass(frozen=True)
class Images:
    """By which arms are held to be the same."""

    service: Image
    companions: Mapping[str, Image]


@dataclass(frozen=True)
class Supplies:
    """What every engine gets, made ready once."""

    scenario: Scenario
    own: Own | None
    certificate: Certificate | None
    """That the run made for the service."""

    def bring(self, engine: Engine) -> tuple[Images, Provided]:
        """All of it to `engine`. Raises InputError, or EnvironmentLacks, where something cannot be had."""
        apache = provide_image(engine.client)
        service = self.scenario.service
        if service is None:
            return Images(apache, {}), Provided(APACHE, apache.id, apache.id)
        assert self.own
        image = provide_own_image(engine.client, service, self.own)
        images = {
            companion.name: provide_own_image(engine.client, companion, self.own)
            for companion in self.scenario.companions
        }
        companions = tuple((companion, images[companion.name].id) for companion in self.scenario.companions)
        files = self._lay_files(engine.host)
        return Images(image, images), Provided(
            self._with_certificate(service), image.id, apache.id, files, companions
        )

    def tls(self) -> Tls | None:
        """By which the load trusts the service; None where it asks by http."""
        asked = self.scenario.served.tls
        if asked is None:
            return None
        if self.certificate:
            trusted = self.certificate.certificate
        else:
            assert self.own
            assert asked.trust
            trusted = (self.own.files / asked.trust).read_text()
        return Tls(ca=trusted, server_name=asked.server_name, resume=asked.resume)

    def _with_certificate(self, service: Service) -> Service:
        """With what it mounts of the run's own."""
        tls = service.tls
        if not self.certificate or not tls or not tls.certificate_at or not tls.key_at:
            return service
        mounts = {**service.mounts, tls.certificate_at: CERTIFICATE, tls.key_at: KEY}
        return service.model_copy(update={"mounts": mounts})

    def _lay_files(self, host: Host) -> dict[str, str]:
        """Where on `host` each of them is, for whoever the service runs as to read."""
        assert self.own
        folder = f"{host.scratch}/{FOLDER}"
        laid = {}
        for name in list_mounted(self.scenario):
            laid[name] = f"{folder}/{name}"
            _put(host, self.own.files / name, laid[name])
        if self.certificate:
            made = {CERTIFICATE: self.certificate.certificate, KEY: self.certificate.key}
            for name, text in made.items():
                laid[name] = f"{folder}/{name}"
                host.run(["mkdir", "-p", str(Path(laid[name]).parent)])
                host.put(laid[name], [text.encode()])
        if laid:
            host.run(["chmod", "-R", "a+rX", folder])
        return laid


def gather(scenario: Scenario, own: Own | None) -> Supplies:
    """What `scenario` needs of a person's own. Raises EnvironmentLacks where a certificate cannot be made."""
    tls = scenario.service.tls if scenario.service else None
    certificate = make_certificate(tls.server_name) if tls and tls.certificate_at else None
    return Supplies(scenario, own, certificate)


def require_sources(scenario: Scenario, sources: Path | None) -> None:
    """Raise InputError, or EnvironmentLacks, where an image or a file that `scenario` names is not there."""
    list_kept(scenario, sources)
    for container in scenario.own_containers:
        require_source(container, sources)


def list_mounted(scenario: Scenario) -> list[str]:
    """Files and folders that are mounted somewhere, by their names in the scenario's folder."""
    return sorted({file for container in scenario.own_containers for file in container.mounts.values()})


def list_kept(scenario: Scenario, sources: Path | None) -> list[Path]:
    """Files of the scenario's folder `sources` that are kept with its run: all that it names but images.

    Raises InputError where one is not there, or they are larger than what goes along with a run.
    """
    names = _name_kept(scenario)
    doing = f"Reading the files of the scenario {scenario.name}"
    if names and sources is None:
        raise InputError(doing, f"it names {names[0]}, and has no folder", "Give it as a file.")
    found = []
    for name in names:
        assert sources
        if not (sources / name).exists():
            raise InputError(doing, f"there is no {name} in {sources}", "Files are named from its folder.")
        found += list(_files(sources / name))
    if sum(file.stat().st_size for file in found) > LARGEST_OWN:
        raise InputError(
            doing,
            f"they are larger than {LARGEST_OWN // 1024**2} MiB together",
            "They are kept with the run. Put what is large into the image.",
        )
    return found


def _name_kept(scenario: Scenario) -> list[str]:
    tls = scenario.service.tls if scenario.service else None
    bodies = [request.body_file for request in scenario.requests if request.body_file]
    trusted = [tls.trust] if tls and tls.trust else []
    users = [scenario.load.locustfile] if scenario.load.locustfile else []
    return sorted({*list_mounted(scenario), *bodies, *trusted, *users})


def keep(scenario: Scenario, sources: Path | None, kept: Path) -> None:
    """Copy what `scenario` names in its folder `sources` to `kept`, a folder of its run; raises as
    `list_kept`."""
    for file in list_kept(scenario, sources):
        assert sources
        target = kept / file.relative_to(sources)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(found for found in path.rglob("*") if found.is_file())


def _put(host: Host, source: Path, target: str) -> None:
    """A file, or a folder with all that is in it."""
    for file in _files(source):
        place = target if source.is_file() else f"{target}/{file.relative_to(source)}"
        host.run(["mkdir", "-p", str(Path(place).parent)])
        host.put(place, [file.read_bytes()])


def require_same(doing: str, images: list[Images]) -> Images:
    """The images that all engines have. Raises EnvironmentLacks where one has others."""
    first, *others = images
    for other in others:
        theirs = {other.service.id, *(image.id for image in other.companions.values())}
        ours = {first.service.id, *(image.id for image in first.companions.values())}
        if theirs != ours:
            raise EnvironmentLacks(
                doing,
                f"their ids are {', '.join(sorted(ours))} in one and {', '.join(sorted(theirs))} in another",
                "Slots of different images cannot be compared; this is a bug of bench: report it.",
            )
    return first


def describe_images(scenario: Scenario) -> str:
    """The stage at which they are had, for who waits."""
    if scenario.service is None:
        return "image: Apache, from the cache or built anew (about a minute, once)"
    beside = "".join(f", and {companion.source}" for companion in scenario.companions)
    return f"image: {scenario.service.source}{beside}"
