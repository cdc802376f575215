"""What a person sees on standard error while a run goes on: a bar on a terminal, lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.controls import replace_controls
from bench.measure.progress import Progress
from bench.records.run import SlotRecord
from bench.scenario.metric import Metric
from bench.slots.gates.gate import Gate

OF_STARTS = (Metric.FIRST_ANSWER_MS, Metric.REMOVED_MS)


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    """A live bar where `console` is a terminal; one line a stage and a slot where it is not."""
    if not console.is_terminal:
        yield Lines(console)
        return
    # Drawn when a slot ends and never by a timer: nothing of ours runs inside a measured window.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Bar(live)


class Lines:
    """Progress as plain lines."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def stage(self, what: str) -> None:
        """Say that a part begins."""
        self._console.print(what, highlight=False, soft_wrap=True)

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """Say what a slot showed."""
        line = f"slot {done}/{planned}  {describe_slot(record)}  {clock(seconds_left)} left"
        self._console.print(line, highlight=False, soft_wrap=True)


class Bar:
    """Progress as a bar with the last slot beside it; INVALID slots stay as lines above."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def stage(self, what: str) -> None:
        """Show the part that begins."""
        self._live.update(Text(replace_controls(what), style="dim"), refresh=True)

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """Move the bar."""
        said = replace_controls(describe_slot(record))
        if not record.valid:
            self._live.console.print(Text(f"slot {done}  {said}", style="yellow"))
        row = Table.grid(padding=(0, 2))
        row.add_row(
            ProgressBar(total=planned, completed=done, width=30),
            Text(f"{done}/{planned} slots"),
            Text(f"{clock(seconds_left)} left", style="bold"),
            Text(said, style="dim"),
        )
        self._live.update(row, refresh=True)


def describe_slot(record: SlotRecord) -> str:
    """A slot in a few words: its arm, p50 and rate, or the gates that it failed."""
    what = f"block {record.slot.block + 1} {record.slot.arm}"
    if not record.valid:
        return f"{what}: INVALID ({'; '.join(_describe_failure(gate) for gate in record.failed_gates)})"
    if not record.values:
        return f"{what}: unreachable, as a control must be"
    if record.starts:
        times = (f"{metric.label} {_number(record.values.get(metric), ',.0f')} ms" for metric in OF_STARTS)
        return f"{what}: {', '.join(times)}"
    rate = record.values.get(Metric.THROUGHPUT_RPS)
    cpu = record.values.get(Metric.CPU_US_PER_REQUEST)
    used = "" if cpu is None else f", {cpu:.1f} us of CPU a request"
    return f"{what}: {_describe_median(record)}, {_number(rate, ',.0f')} req/s{used}"


def _describe_median(record: SlotRecord) -> str:
    """The p50, or the gates that took it, and left the slot."""
    median = Metric.P50_LATENCY_US
    if (p50 := record.values.get(median)) is not None:
        return f"p50 {p50:,.1f} us"
    taken = [gate for gate in record.failed_gates if gate.voids in median.about.voided_by]
    return f"p50 void ({'; '.join(map(_describe_failure, taken))})" if taken else "no p50"


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _describe_failure(gate: Gate) -> str:
    return f"{gate.name}: {gate.seen}, limit {gate.limit}{f' ({gate.detail})' if gate.detail else ''}"


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
