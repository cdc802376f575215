"""What a reader must know before the numbers: how the run ended, what is void, what to doubt."""

from collections import Counter
from collections.abc import Iterable
from statistics import median

from bench.errors import InputError
from bench.judgement.across_runs.locustfiles import list_locustfiles
from bench.judgement.comparison import Comparison, Size, Word
from bench.judgement.samples import describe_loss, describe_shortage
from bench.records.run import Status
from bench.report.run import hosts
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.noise import describe_splits
from bench.report.table import NOT_AVAILABLE
from bench.report.text import count, join_words
from bench.results.run import Run
from bench.scenario.metric import Metric, Voids
from bench.scenario.model import USUAL_STEAL
from bench.slots.gates.gate import GateKind

LINK_BOUND_SHARE = 0.85
"""Of a link's rate in pages alone, above which the link is full: headers, acknowledgements and the moments
between two requests take the rest."""
SLOW_CORE = 0.8
"""Of the cores' best speed in the run, below which a slot's surroundings were slow. Measured on a virtual
machine whose neighbours share its physical cores: two speeds, 1 and 0.56, some seconds each."""
SLOW_SLOTS = 0.1
"""Share of the slots that is worth a caution."""
OPEN = "{}"
"""In place of a number that is not the same in all notes that are alike."""
MOST_PLACES = 4
"""Where more places than these have the same fault, the tables tell which."""

ENDINGS = {
    Status.RUNNING: "The run did not end: it is still going on, or it was killed and can be resumed.",
    Status.BUDGET_SPENT: "The run ended at a block's end because its time budget was spent.",
    Status.INTERRUPTED: "The run was interrupted, and can be resumed.",
    Status.FAILED: "The run failed before its end.",
}


def find_cautions(run: Run) -> list[str]:
    """Every caution of `run`, the weightiest first; empty where there is none."""
    return [
        *_cautions_of_faults(run),
        *_cautions_of_ending(run),
        *_cautions_of_gaps(run),
        *hosts.find_cautions(run),
        *_cautions_of_locustfile(run),
        *run.verdict.warnings,
        *_cautions_of_steal(run),
        *_cautions_of_slots(run),
        *_cautions_of_cores(run),
        *_cautions_of_link(run),
        *_cautions_of_comparisons(run),
        *describe_splits(run),
    ]


def _cautions_of_faults(run: Run) -> Iterable[str]:
    """What is not as it was written: then nothing that follows is to be believed."""
    for fault in run.faults[:MOST_PLACES]:
        yield f"This run is not as it was measured: {fault}."
    if len(run.faults) > MOST_PLACES:
        yield f"So are {len(run.faults) - MOST_PLACES} more of its files: `bench verify` names them all."


def _cautions_of_ending(run: Run) -> Iterable[str]:
    record = run.record
    done, planned = len(record.slots), len(record.planned)
    if record.status in ENDINGS:
        yield f"{ENDINGS[record.status]} {done} of {count(planned, 'planned slot')} were measured."
    elif record.status is Status.COMPLETE and record.remaining():
        yield f"{done} of {count(planned, 'planned slot')} were measured."


def _cautions_of_gaps(run: Run) -> Iterable[str]:
    """What the scenario asked for and this machine cannot give: nothing is concluded about it."""
    scenario = run.record.scenario
    for arm, reason in run.verdict.unavailable.items():
        yield f"{arm} ({scenario.arm(arm).mode} mode) is {NOT_AVAILABLE} here: {_as_clause(reason)}."
    for condition, reason in run.verdict.unavailable_conditions.items():
        name = condition or "The only condition"
        yield f"{name} is {NOT_AVAILABLE} here: {_as_clause(reason)}."
    for condition, reasons in run.verdict.unavailable_under.items():
        for arm, reason in reasons.items():
            yield f"{arm} is {NOT_AVAILABLE} here under {condition}: {_as_clause(reason)}."
    record, planned = run.record, run.record.planned
    lost = sum(
        slot.arm in record.unavailable
        or slot.condition in record.unavailable_conditions
        or slot.arm in record.unavailable_under.get(slot.condition, {})
        for slot in planned
    )
    if lost:
        yield f"So {lost} of {count(len(planned), 'planned slot')} could not be measured."


def _cautions_of_locustfile(run: Run) -> Iterable[str]:
    """Of a load that is a person's own: whose latencies these are, and what they may be held against."""
    load = run.record.scenario.load
    if not load.by_locustfile:
        return
    yield (
        "Latencies are Locust's clients' own: the time that Python takes for a request is in them, and what"
        f" is asked for and when is {load.locustfile}'s, a locustfile of the person's own. They compare with"
        " no other engine's; how small a difference can be seen through such clients, the A/A pairs say."
    )
    texts = list_locustfiles(run.record)
    if len(texts) > 1:
        yield f"The locustfile changed while the run lasted: {join_words(texts)}."


def _cautions_of_steal(run: Run) -> Iterable[str]:
    """Of a run that lets more steal pass than is usual: how much of it there was."""
    seen = [
        float(gate.seen)
        for record in run.record.slots
        if record.valid
        for gate in record.gates
        if gate.name is GateKind.STEAL
    ]
    more = sum(share > USUAL_STEAL for share in seen)
    if more:
        yield (
            f"The hypervisor took cores away: more than {USUAL_STEAL:.0%} of their time in {more} of"
            f" {count(len(seen), 'slot')} that count, {max(seen):.1%} at most: this scenario lets"
            f" {run.record.scenario.schedule.max_steal:.0%} pass. That scatters what is measured, two"
            " containers of one arm among them, and intervals are wider for it."
        )


def _as_clause(reason: str) -> str:
    """A reason as another program gave it, on one line and without its full stop."""
    return " ".join(reason.split()).rstrip(".")


def _cautions_of_slots(run: Run) -> Iterable[str]:
    slots = run.record.slots
    invalid = [record for record in slots if not record.valid]
    if invalid:
        reasons = Counter(
            gate.name for record in invalid for gate in record.failed_gates if gate.voids is Voids.SLOT
        )
        arms = Counter(record.slot.arm for record in invalid)
        yield (
            f"{len(invalid)} of {count(len(slots), 'slot')} are INVALID and count for nothing: gate"
            f" {join_words([f'{name} ({number})' for name, number in reasons.most_common()])};"
            f" by arm: {join_words([f'{arm} {number}' for arm, number in arms.most_common()])}."
        )
    others = {
        Voids.THROUGHPUT: "latency is not",
        Voids.LATENCY: "what else they measured is not",
        Voids.TAIL: "the p50 is not",
        Voids.CPU: "latency is not",
    }
    for voids, other in others.items():
        partly = [
            found
            for record in slots
            if record.valid and (found := [gate.name for gate in record.failed_gates if gate.voids is voids])
        ]
        if partly:
            reasons = Counter(name for names in partly for name in names)
            yield (
                f"{voids[0].upper()}{voids[1:]} is void in {count(len(partly), 'slot')}, {other}: gate"
                f" {join_words([f'{name} ({number})' for name, number in reasons.most_common()])}."
            )


def _cautions_of_cores(run: Run) -> Iterable[str]:
    """Where the cores themselves were not always as fast."""
    times_us = [record.fixed_work_us for record in run.record.slots if record.fixed_work_us]
    speeds = [min(times_us) / time_us for time_us in times_us]
    slow = [speed for speed in speeds if speed < SLOW_CORE]
    if len(slow) > SLOW_SLOTS * len(speeds):
        yield (
            f"Before or after {len(slow)} of {count(len(speeds), 'slot')} a core was at {median(slow):.0%} of"
            " its best speed: its frequency, throttling, or a neighbour on the same physical core. It"
            " falls on every arm by chance, and makes intervals wider."
        )


def _cautions_of_link(run: Run) -> Iterable[str]:
    """Where the client's link has a limit and is full, whoever is at its other end."""
    what = "bodies" if run.record.scenario.asked else "pages"
    for index, condition in enumerate(run.conditions):
        load, limit_bps = condition.load, condition.lab.link_mbit * 1e6
        rates = [
            rate
            for record in run.record.slots
            if record.valid and record.slot.condition == index
            if (rate := record.values.get(Metric.THROUGHPUT_RPS))
        ]
        if not limit_bps or not rates or load.by_locustfile:
            continue  # What a locustfile's answers weigh is not of the scenario.
        received_bytes = _mean_bytes(run, index) if run.record.scenario.asked else load.page_bytes
        share = median(rates) * received_bytes * 8 / limit_bps
        if share >= LINK_BOUND_SHARE:
            yield (
                f"{condition.label or 'The load'} is link-bound: {what} alone fill {share:.0%} of the link's"
                f" {condition.lab.link_mbit:,} Mbit/s; its rates are the link's, whatever a mode could do."
            )


def _mean_bytes(run: Run, condition: int) -> float:
    """Of a body, as they were received in the first valid slot; 0 where its requests cannot be read."""
    for record in run.record.slots:
        if record.valid and record.requests and record.slot.condition == condition:
            try:
                return float(run.requests(record.slot.index)["bytes"].mean())
            except InputError:
                break
    return 0.0


def _cautions_of_comparisons(run: Run) -> Iterable[str]:
    """What is said of several comparisons is said once, with the places where it holds, or their number.

    Notes that differ only in how many blocks they count are one, with the range of that number.
    """
    said: dict[str, list[tuple[Comparison, int | None]]] = {}
    for comparison in comparisons_of_arms(run):
        # How large a resolved effect is belongs to its word, and stands in the table only.
        notes = [_open_count(comparison, note) for note in comparison.notes if note not in set(Size)]
        if comparison.word is Word.INVALID:
            counted = next((number for _, number in notes if number is not None), None)
            notes = [(f"INVALID: {'; '.join(note for note, _ in notes)}", counted)]
        for note, number in notes:
            said.setdefault(note, []).append((comparison, number))
    for note, found in said.items():
        counts = sorted({number for _, number in found if number is not None})
        ends = " to ".join(map(str, counts[:1] + counts[1:][-1:]))
        yield f"{_name_places([comparison for comparison, _ in found])}: {note.replace(OPEN, ends)}."


def _open_count(comparison: Comparison, note: str) -> tuple[str, int | None]:
    """A note, and of one that counts blocks the number, in whose place it has `OPEN`."""
    begun = comparison.blocks_begun
    counts = ((describe_shortage, comparison.blocks), (describe_loss, begun - comparison.blocks))
    for describe, number in counts:
        if note == describe(number, begun):
            return describe(OPEN, begun), number
    return note, None


def _name_places(found: list[Comparison]) -> str:
    """The comparisons by name, or of many their number, arms and metrics."""
    if len(found) <= MOST_PLACES:
        return join_words([_name_place(f"{c.metric.label} of {c.candidate}", c.condition) for c in found])
    arms = list(dict.fromkeys(c.candidate for c in found))
    metrics = list(dict.fromkeys(c.metric.label for c in found))
    return f"{len(found)} comparisons, of {join_words(arms)} at {join_words(metrics)}"


def _name_place(what: str, condition: str) -> str:
    return f"{what} ({condition})" if condition else what
