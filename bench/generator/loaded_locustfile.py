"""A person's own locustfile, loaded for one load and forgotten after it: its users, and where its code fails.

Imported by locustfile.py alone, after the load path: importing locust patches select and socket.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import locust
from locust import User
from locust.event import Events
from locust.util.load_locustfile import is_shape_class, is_user_class

DIGITS = 16
"""Of a SHA-256, enough to tell two files apart."""


class LocustfileError(Exception):
    """The file cannot be a load: one line, that names it and the place in it."""


@dataclass(frozen=True)
class Loaded:
    """What a locustfile is."""

    path: Path
    user_classes: tuple[type[User], ...]
    events: Events
    """What its listeners are registered with."""
    sha256: str
    """Of the file and of what it imported from its folder."""

    @property
    def label(self) -> str:
        """As it is told of the requests."""
        return f"Locust's clients, by {self.path.name} (SHA-256 {self.sha256[:DIGITS]})"


@contextmanager
def loaded(path: Path) -> Iterator[Loaded]:
    """The locustfile at `path`, loaded; on the way out its modules are gone. Raises LocustfileError."""
    folder = path.parent.resolve()
    known, search, wrote, own_events = (
        dict(sys.modules),
        list(sys.path),
        sys.dont_write_bytecode,
        locust.events,
    )
    events = Events()  # type: ignore[no-untyped-call]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True  # The folder is the person's.
    locust.events = events
    try:
        module = _run(path, "locustfile" if path.stem in known else path.stem)
        yield Loaded(path, _find_users(path, module), events, _digest(path, known))
    finally:
        locust.events, sys.dont_write_bytecode, sys.path[:] = own_events, wrote, search
        for name in _siblings(folder, known):
            del sys.modules[name]


def _run(path: Path, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - that is the task.
    except (Exception, SystemExit) as fault:
        raise LocustfileError(describe_fault(fault, path)) from fault
    return module


def _find_users(path: Path, module: ModuleType) -> tuple[type[User], ...]:
    """Classes that Locust would run, in the order of the file."""
    found = dict.fromkeys(value for value in vars(module).values() if is_user_class(value))
    if not found:
        raise LocustfileError(f"{path.name}: it has no user class (a subclass of User that is not abstract)")
    for name, value in vars(module).items():
        if is_shape_class(value):
            raise LocustfileError(
                f"{path.name}: {name} is a load shape, and the number of users is load.connections"
            )
    return tuple(found)


def _siblings(folder: Path, known: dict[str, ModuleType]) -> dict[str, Path]:
    """Modules that are in `folder` and were not `known`, by name; none of a virtual environment there."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if known.get(name) is not module and file:
            place = Path(file).resolve()
            if place.is_relative_to(folder) and not place.is_relative_to(Path(sys.prefix).resolve()):
                found[name] = place
    return found


def _digest(path: Path, known: dict[str, ModuleType]) -> str:
    folder = path.parent.resolve()
    digest = sha256()
    for place in sorted({path.resolve(), *_siblings(folder, known).values()}):
        text = place.read_bytes()
        digest.update(f"{place.name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def describe_fault(fault: BaseException, path: Path) -> str:
    """`users.py, line 12: KeyError: 'token'`: the innermost line of the person's own files."""
    folder = path.parent.resolve()
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(fault.__traceback__)]
    said = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    if isinstance(fault, SyntaxError) and fault.filename:
        places.append((fault.filename, fault.lineno))
        said = fault.msg
    own = [(place, line) for name, line in places if (place := Path(name).resolve()).is_relative_to(folder)]
    own = [(place, line) for place, line in own if not place.is_relative_to(Path(sys.prefix).resolve())]
    name, line = (str(own[-1][0].relative_to(folder)), own[-1][1]) if own else (path.name, None)
    where = f"{name}, line {line}" if line else name
    first = next(iter(said.splitlines()), "")
    return f"{where}: {type(fault).__name__}{f': {first}' if first else ''}"
