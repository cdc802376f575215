"""What starting takes, stage by stage, and what it leaves on the host: medians over slots."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from bench.report.run.selection import arm_names, present_conditions, slots_of
from bench.report.table import Table
from bench.report.text import ABSENT, format_number
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.slots.starts import ContainerStart, EngineFootprint, StartsRecord

STAGES = (
    (Metric.CREATED_MS, "created"),
    (Metric.STARTED_MS, "started"),
    (Metric.LISTENING_MS, "listening"),
    (Metric.FIRST_ANSWER_MS, "first answer"),
)
"""Each with what comes about in it; a stage begins where the one before it ended."""
Take = Callable[[StartsRecord], float]


def tell_starts(run: Run) -> Mapping[str, Any] | None:
    """The section; None of a run whose subject is another."""
    if not any(record.starts for record in run.record.slots):
        return None
    return {"said": explain_starts(), "tables": [_tabulate_stages(run), _tabulate_footprint(run)]}


def explain_starts() -> list[str]:
    """What the numbers are."""
    return [
        (
            "Times are of the last of a slot's containers, from the moment when the first was asked for;"
            " removal is from its own asking. All are medians of valid slots, which describe: what is"
            " concluded stands in the comparison, with its intervals."
        ),
        (
            "Memory is the proportional resident size (PSS, in which a page that many processes share counts"
            " once): what would be free without them. Public reports add up RSS, which counts the program's"
            " own pages again in every docker-proxy, so it stands beside. MB are 10^6 bytes."
        ),
    ]


def find_values(run: Run, condition: int, arm: str, take: Take) -> list[float]:
    """Of an arm's valid slots."""
    records = slots_of(run, condition, arm)
    return [take(record.starts) for record in records if record.valid and record.starts]


def find_medians(run: Run, condition: int, arm: str) -> dict[Metric, float]:
    """Metric -> the median over an arm's valid slots; empty without any."""
    records = [record for record in slots_of(run, condition, arm) if record.valid and record.starts]
    metrics = [*(metric for metric, _ in STAGES), Metric.REMOVED_MS, Metric.ENGINE_MEMORY_MB]
    values = {metric: [record.values.get(metric) for record in records] for metric in metrics}
    known = {metric: [value for value in found if value is not None] for metric, found in values.items()}
    return {metric: median(found) for metric, found in known.items() if found}


def _tabulate_stages(run: Run) -> Table:
    rows = []
    for condition, arm, label in _list_lines(run):
        found = find_medians(run, condition, arm)
        cells = [_number(found.get(metric)) for metric, _ in STAGES]
        single = find_values(run, condition, arm, _take_single)
        middle = _number(median(single)) if single else ABSENT
        rows.append((*label, *cells, middle, _number(found.get(Metric.REMOVED_MS))))
    return Table(
        caption="Until the last container is so far, ms",
        columns=(
            *_head(run),
            "Created",
            "Started",
            "Listening",
            "First answer",
            "One container: asked for to first answer",
            "Removal",
        ),
        rows=tuple(rows),
    )


def _tabulate_footprint(run: Run) -> Table:
    counts: dict[str, Take] = {
        "Containers": lambda starts: len(starts.containers),
        "Rules written": _of_footprint(lambda found: found.rules_written),
        "docker-proxies": _of_footprint(lambda found: found.proxies),
    }
    takes: dict[str, Take] = {
        "Proxies, MB": _of_footprint(lambda found: found.proxies_mb),
        "Proxies, MB of RSS": _of_footprint(lambda found: found.proxies_rss_mb),
        "dockerd, MB": _of_footprint(lambda found: found.dockerd_mb),
        "Both, MB": _of_footprint(lambda found: found.memory_mb),
    }
    rows = []
    for condition, arm, label in _list_lines(run):
        counted, found = (
            [find_values(run, condition, arm, take) for take in group.values()] for group in (counts, takes)
        )
        cells = [f"{median(values):,.0f}" if values else ABSENT for values in counted]
        cells += [_number(median(values)) if values else ABSENT for values in found]
        rows.append((*label, *cells))
    return Table(
        caption="On the Docker host, while all of them are up",
        columns=(*_head(run), *counts, *takes),
        rows=tuple(rows),
    )


def _list_lines(run: Run) -> list[tuple[int, str, tuple[str, ...]]]:
    """Condition, arm, and the cells that name them."""
    several = len(run.conditions) > 1
    return [
        (condition, arm, (arm, run.conditions[condition].label) if several else (arm,))
        for condition in present_conditions(run)
        for arm in arm_names(run)
    ]


def _head(run: Run) -> tuple[str, ...]:
    return ("Arm", "Condition") if len(run.conditions) > 1 else ("Arm",)


def _of_footprint(take: Callable[[EngineFootprint], float]) -> Take:
    return lambda starts: take(starts.footprint)


def _take_single(starts: StartsRecord) -> float:
    """ms of a slot's median container, from its own asking."""

    def own_ms(container: ContainerStart) -> float:
        return (container.first_answer_ns - container.create_asked_ns) / 1e6

    return median(own_ms(container) for container in starts.containers)


def _number(value: float | None) -> str:
    return ABSENT if value is None else format_number(value)
