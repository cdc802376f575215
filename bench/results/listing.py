"""What lies below a results folder: what each is of, how far it came, and its word."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.results import files, sums

UNREADABLE = "unreadable"
FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a file ends in that holds something else than it should."""


@dataclass(frozen=True)
class Shelved:
    """A stored run, suite, capacity measurement or walkthrough, by what its files say; nothing is judged."""

    path: Path
    kind: str
    """`run`, `suite`, `capacity measurement` or `walkthrough`; `folder` where not even that can be told."""
    name: str
    status: str
    """As its record says; `unreadable` where there is none to be read."""
    started_at: str
    word: str
    """Of its claims, each once, or where there is none of its p50 comparisons; empty if unjudged."""
    report: Path
    reason: str = ""
    """Why it is unreadable."""
    changed: bool = False
    """Whether its record, or the verdict that its word is of, has another sum than when it was written. The
    rest is not read: `bench verify` does."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "path": str(self.path), "report": str(self.report)}


def list_shelf(results: Path) -> list[Shelved]:
    """All that lies in `results/<scenario>/<id>/`, the newest first; what cannot be read says so itself."""
    found = list(_find(results))
    return sorted(found, key=lambda shelved: (shelved.path.name, str(shelved.path)), reverse=True)


def describe_age(started_at: str, now: datetime) -> str:
    """`5 min ago`, `3 h ago`, `2 d ago`; empty for what is no time."""
    try:
        minutes = (now - datetime.fromisoformat(started_at).astimezone(UTC)).total_seconds() / 60
    except (ValueError, OverflowError):
        return ""
    if minutes < 60:
        return f"{max(minutes, 0):.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} d ago"


def _find(results: Path) -> Iterator[Shelved]:
    readers: dict[str, tuple[str, str, Callable[[Path, dict[str, Any]], str]]] = {
        files.SUITE_FILE: ("suite", "index.html", _count_scenarios),
        files.CAPACITY_FILE: ("capacity measurement", "report.html", _count_probes),
        files.RUN_FILE: ("run", "report.html", _find_words),
        files.WALKTHROUGH_FILE: ("walkthrough", files.WALKTHROUGH_PAGE, _count_engines),
    }
    for folder in results.glob("*/*/"):
        try:
            file = next((file for file in readers if (folder / file).exists()), None)
        except OSError as fault:
            closed = Shelved(folder, "folder", folder.parent.name, UNREADABLE, "", "", folder / "report.html")
            yield _refuse(closed, files.describe_fault(fault))
            continue
        if file:
            yield _read_one(folder, file, *readers[file])


def _read_one(
    folder: Path, file: str, kind: str, report: str, find_word: Callable[[Path, dict[str, Any]], str]
) -> Shelved:
    shelved = Shelved(folder, kind, folder.parent.name, UNREADABLE, "", "", folder / report)
    try:
        said = _read(folder / file)
        name = said["name"] if "name" in said else said.get("scenario", {}).get("name", folder.parent.name)
        status = said["status"] if kind != "walkthrough" else "complete" if said["finished_at"] else ""
        told = (name, status, said.get("started_at", ""), find_word(folder, said))
        if not all(isinstance(each, str) for each in told):
            return _refuse(shelved, f"{file} holds something else than a {kind}")
    except OSError as fault:
        return _refuse(shelved, f"{file}: {files.describe_fault(fault)}")
    except FAULTS as fault:
        damaged = isinstance(fault, json.JSONDecodeError | UnicodeDecodeError | RecursionError)
        return _refuse(
            shelved, f"{file} {'is damaged' if damaged else f'holds something else than a {kind}'}"
        )
    return Shelved(folder, kind, *told, folder / report, changed=_is_changed(folder, file, status))


def _is_changed(folder: Path, file: str, status: str) -> bool:
    """By the sums that it has from its end on; a walkthrough has none."""
    if status == "running" or file == files.WALKTHROUGH_FILE:
        return False
    known = sums.read_sums(folder)
    judged = [files.VERDICT_FILE] if files.VERDICT_FILE in known else []
    try:
        return any(known.get(name) != sums.digest_file(folder / name) for name in (file, *judged))
    except OSError:
        return True


def _refuse(shelved: Shelved, reason: str) -> Shelved:
    return Shelved(**{**vars(shelved), "reason": reason})


def _find_words(folder: Path, _: dict[str, Any]) -> str:
    """By its verdict.json; a verdict that is not there, or not to be read, is none."""
    try:
        verdict = _read(folder / files.VERDICT_FILE)
        words = [claim["word"] for claim in verdict.get("claims", ())] or [
            comparison["word"]
            for comparison in verdict.get("comparisons", ())
            if comparison["kind"] == "arms" and comparison["metric"] == "p50_latency_us"
        ]
        return ", ".join(dict.fromkeys(words))
    except (OSError, *FAULTS):
        return ""


def _count_scenarios(_: Path, said: dict[str, Any]) -> str:
    entries = said["entries"]
    begun = sum(entry["exit_code"] is not None for entry in entries)
    return f"{begun} of {len(entries)} scenarios"


def _count_probes(_: Path, said: dict[str, Any]) -> str:
    return f"{len(said['probes'])} probes"


def _count_engines(_: Path, said: dict[str, Any]) -> str:
    engines = said["walks"]
    return f"{len(engines)} engine{'' if len(engines) == 1 else 's'}"


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file holds. Raises OSError where it cannot be read, one of FAULTS where it is no object."""
    said = json.loads(files.read_stored(path).decode())
    if not isinstance(said, dict):
        raise TypeError(path)
    return said
