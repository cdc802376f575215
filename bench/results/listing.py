"""The runs that lie below a results folder: what each is of, how far it came, and its word."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.results import files


@dataclass(frozen=True)
class Shelved:
    """A stored run, suite or walkthrough, by what its files say; nothing is judged anew."""

    path: Path
    kind: str
    """`run`, `suite` or `walkthrough`."""
    name: str
    status: str
    started_at: str
    word: str
    """Of its claims, each once, or where there is none of its p50 comparisons; empty if unjudged."""
    report: Path

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "path": str(self.path), "report": str(self.report)}


def list_shelf(results: Path) -> list[Shelved]:
    """All that lies in `results/<scenario>/<id>/`, the newest first; a file that cannot be read says so."""
    found = list(_find(results))
    return sorted(found, key=lambda shelved: (shelved.path.name, str(shelved.path)), reverse=True)


def describe_age(started_at: str, now: datetime) -> str:
    """`5 min ago`, `3 h ago`, `2 d ago`; empty for what is no time."""
    try:
        minutes = (now - datetime.fromisoformat(started_at).astimezone(UTC)).total_seconds() / 60
    except ValueError:
        return ""
    if minutes < 60:
        return f"{max(minutes, 0):.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} d ago"


def _find(results: Path) -> Iterator[Shelved]:
    for folder in results.glob("*/*/"):
        if (folder / files.SUITE_FILE).exists():
            yield _read_suite(folder)
        elif (folder / files.RUN_FILE).exists():
            yield _read_run(folder)
        elif (folder / files.WALKTHROUGH_FILE).exists():
            yield _read_walkthrough(folder)


def _read_run(folder: Path) -> Shelved:
    said = _read(folder / files.RUN_FILE)
    verdict = _read(folder / files.VERDICT_FILE)
    words = [claim["word"] for claim in verdict.get("claims", ())] or [
        comparison["word"]
        for comparison in verdict.get("comparisons", ())
        if comparison["kind"] == "arms" and comparison["metric"] == "p50_latency_us"
    ]
    return Shelved(
        path=folder,
        kind="run",
        name=said.get("scenario", {}).get("name", folder.parent.name),
        status=said.get("status", "cannot be read"),
        started_at=said.get("started_at", ""),
        word=", ".join(dict.fromkeys(words)),
        report=folder / "report.html",
    )


def _read_suite(folder: Path) -> Shelved:
    said = _read(folder / files.SUITE_FILE)
    entries = said.get("entries", [])
    begun = sum(entry["exit_code"] is not None for entry in entries)
    return Shelved(
        path=folder,
        kind="suite",
        name=said.get("name", folder.parent.name),
        status=said.get("status", "cannot be read"),
        started_at=said.get("started_at", ""),
        word=f"{begun} of {len(entries)} scenarios",
        report=folder / "index.html",
    )


def _read_walkthrough(folder: Path) -> Shelved:
    said = _read(folder / files.WALKTHROUGH_FILE)
    engines = said.get("walks", [])
    return Shelved(
        path=folder,
        kind="walkthrough",
        name="walkthrough",
        status="complete" if said.get("finished_at") else "cannot be read",
        started_at=said.get("started_at", ""),
        word=f"{len(engines)} engine{'' if len(engines) == 1 else 's'}",
        report=folder / files.WALKTHROUGH_PAGE,
    )


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is absent, damaged or of another kind."""
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
