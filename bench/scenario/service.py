"""What serves, in every arm the same: a container as `docker run` takes it.

The built-in Apache is an entry in the same words (APACHE); a scenario's `[service]` is another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bench.scenario.load import Load
from bench.scenario.model import Frozen, Name

FIELD = re.compile(r"\{([a-z]+)\}")
MOVING = frozenset({"port", "listen"})
"""Fields by which a service can be told to listen elsewhere."""


def _inside(path: str) -> str:
    """A path in the scenario's folder: what a run needs goes along with it."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"{path!r:.80} should be in the scenario's own folder: relative, without ..")
    return path


def _absolute(path: str) -> str:
    if not PurePosixPath(path).is_absolute() or ":" in path:
        raise ValueError(f"{path!r:.80} should be an absolute path inside the container")
    return path


def _known_fields(text: str) -> str:
    strange = set(FIELD.findall(text)) - set(FIELDS)
    if strange:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ValueError(f"{{{min(strange)}}} stands for nothing (there are {known})")
    return text


def require_expression(name: str, text: str) -> None:
    """Raise ValueError where `text`, the value of `name`, is no regular expression."""
    try:
        re.compile(text)
    except re.error as fault:
        raise ValueError(f"{name}: {text!r:.80} is no regular expression: {fault}") from None


FIELDS: Mapping[str, str] = {
    "address": "at which it shall listen: in host mode the one that is asked, else all",
    "port": "on which it shall listen: in host mode the arm's, else the service's",
    "listen": "`{address}:{port}` in host mode, else `{port}`: as Apache's Listen and nginx' listen take it",
    "threads": "connections that it must have room for, and one more; 128 at least",
    "workers": "twice as many",
    "backlog": "connections that may wait to be accepted; 511 at least",
    "word": "an unguessable word, another for each container: what bench's own Apache is known by",
}
"""What a `{name}` in a command or in the environment stands for."""
InsidePath = Annotated[str, AfterValidator(_inside)]
"""Of a file in the scenario's folder."""
ContainerPath = Annotated[str, AfterValidator(_absolute)]
Template = Annotated[str, AfterValidator(_known_fields)]
"""In which `{port}`, `{listen}`, ... may stand."""
Variable = Annotated[str, Field(pattern=r"^[^=\x00]+$")]
Path = Annotated[str, Field(pattern=r"^/[\x21-\x7e]*$", max_length=8000)]
"""Of a URL, with its query: as it is sent, so percent-encoded."""
Capability = Annotated[str, Field(pattern=r"^[A-Z_]+$")]


class Ready(Frozen):
    """How it is known that a container serves."""

    path: Path | None = None
    """That is asked for until three answers in a row are right; absent: the first request's own."""
    status: int = Field(default=200, ge=200, le=599)
    """Of the right answer to `path`."""
    timeout_s: float = Field(default=15.0, gt=0, le=600)
    """From its start."""
    log: str | None = Field(default=None, min_length=1, max_length=500)
    """A regular expression for a line of its log, which is waited for before anything is asked."""

    @model_validator(mode="after")
    def _log_is_an_expression(self) -> Self:
        if self.log is not None:
            require_expression("log", self.log)
        return self


class Container(Frozen):
    """A container, in the words of `docker run`; where its image comes from is one of the first three."""

    image: str | None = Field(default=None, min_length=1, max_length=500, pattern=r"^[^\s-][^\s]*$")
    """Name or id of an image of your own Docker, which is read and not changed (`docker save`)."""
    archive: InsidePath | None = None
    """Or a file that holds one, as `docker save` or an OCI tool writes it."""
    build: InsidePath | None = None
    """Or a folder with a Dockerfile; it is built without a network."""
    port: int = Field(default=80, ge=1, le=65535)
    """On which it listens inside."""
    entrypoint: tuple[Template, ...] | None = None
    """In place of the image's own."""
    command: tuple[Template, ...] | None = None
    """In place of the image's own."""
    environment: Mapping[Variable, Template] = {}
    """Variables beside those of the image."""
    mounts: Mapping[ContainerPath, InsidePath] = {}
    """Path inside the container -> file or folder of the scenario's folder; read-only."""
    working_dir: ContainerPath | None = None
    """In which it starts; absent: the image's own."""
    user: str | None = Field(default=None, pattern=r"^[\w.:-]+$")
    """As whom it runs: name or id, with a group after a colon; absent: as the image says."""
    memory_mb: int | None = Field(default=None, ge=6, le=10_000_000)
    """Limit in MiB."""
    open_files: int | None = Field(default=None, ge=16, le=1_048_576)
    """Limit of its file descriptors; absent: the engine's."""
    cap_add: tuple[Capability, ...] = ()
    """Capabilities beside Docker's usual ones, as `NET_BIND_SERVICE`."""
    cap_drop: tuple[Capability, ...] = ()
    """Of Docker's usual ones, those that it has not; `ALL`: none."""
    read_only: bool = False
    """Whether its root file system cannot be written."""
    tmpfs: tuple[ContainerPath, ...] = ()
    """Folders in memory."""
    shm_mb: int | None = Field(default=None, ge=1, le=1_000_000)
    """Of /dev/shm, in MiB."""
    ready: Ready = Ready()
    """When it serves."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(source is not None for source in (self.image, self.archive, self.build)) != 1:
            raise ValueError("give one of image, archive and build: where its image comes from")
        return self

    @property
    def source(self) -> str:
        """Where its image comes from, for a person."""
        return self.image or self.archive or self.build or "built in"

    @property
    def words(self) -> tuple[str, ...]:
        """All in which fields may stand."""
        return *(self.entrypoint or ()), *(self.command or ()), *self.environment.values()

    @property
    def fields(self) -> frozenset[str]:
        """Fields that stand in it."""
        return frozenset(name for word in self.words for name in FIELD.findall(word))


def fill(word: str, values: Mapping[str, object]) -> str:
    """`word` with its fields filled in; anything else in braces stays as it is."""
    return FIELD.sub(lambda found: str(values.get(found[1], found[0])), word)


class Tls(Frozen):
    """Of a service that is asked by https."""

    server_name: str = Field(default="bench.test", pattern=r"^[A-Za-z0-9.-]+$", max_length=200)
    """That is asked for, and that its certificate must have."""
    certificate_at: ContainerPath | None = None
    """A file inside the container, to which the run writes a certificate that it makes."""
    key_at: ContainerPath | None = None
    """Another, for its key."""
    trust: InsidePath | None = None
    """Or, of a service with a certificate of its own: the PEM file by which it is checked."""
    resume: bool = True
    """Whether a new connection takes up the session of an earlier one."""
    plain_port: int | None = Field(default=None, ge=1, le=65535)
    """Where the same service is asked by http, for loads with `tls` off."""

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        made = {self.certificate_at is not None, self.key_at is not None}
        if made == {True, False} or (self.trust is None) is (made == {False}):
            raise ValueError("give certificate_at and key_at, for one that is made, or trust, for its own")
        return self


class Service(Container):
    """The container that is measured."""

    name: Name | None = None
    """That the reports call it by; absent: where its image comes from."""
    tls: Tls | None = None
    """Absent: http."""
    rate_rps: float | None = Field(default=None, gt=0, le=10_000_000)
    """Requests a second of your own: what a mode's microseconds come to is told for it, too."""

    @property
    def is_built_in(self) -> bool:
        """Whether it is bench's own."""
        return self is APACHE

    @property
    def word_path(self) -> str | None:
        """Where it says the word by which it is known for this run's; None of one that says none."""
        return APACHE_WORD if self.is_built_in else None

    def asked_by(self, load: Load) -> Self:
        """What it is to `load`: to one without TLS a service on another port."""
        if load.tls or self.tls is None:
            return self
        return self.model_copy(update={"port": self.tls.plain_port, "tls": None})

    @property
    def called(self) -> str:
        """For reports."""
        return self.name or PurePosixPath(self.source).name

    @property
    def moves(self) -> bool:
        """Whether it can be told where to listen; if not, one alone can have its port in host mode."""
        return bool(self.fields & MOVING)


class Companion(Container):
    """A container that the service needs: its database, its cache. Reached by its name, in every mode."""

    name: Name
    """In host mode its name stands for 127.0.0.1, for it is in host mode as well. It serves
    once its port takes connections and, where there is one, a line matches `ready.log`."""

    @model_validator(mode="after")
    def _is_not_asked(self) -> Self:
        if self.ready.path is not None:
            raise ValueError("ready.path: nobody asks a companion by HTTP; give ready.log, or nothing")
        return self


@dataclass(frozen=True)
class Secret:
    """An unguessable word, and where a server says it."""

    path: str
    word: str


APACHE_WORD = "/bench-word"
"""That Apache does not have, and answers with its word (image/httpd.conf: ErrorDocument)."""
APACHE = Service.model_construct(
    name="apache",
    port=80,
    environment={
        "BENCH_LISTEN": "{listen}",
        "BENCH_WORD": "{word}",
        "BENCH_THREADS": "{threads}",
        "BENCH_WORKERS": "{workers}",
        "BENCH_BACKLOG": "{backlog}",
    },
    ready=Ready(timeout_s=4.0),
)
"""The built-in service, of Dockerfile.bench: it has the one image source that nobody can name."""
