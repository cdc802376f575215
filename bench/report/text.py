"""Numbers and findings as plain text, the same in the terminal, in HTML and in Markdown. No markup here."""

from collections.abc import Callable, Sequence
from datetime import datetime

from bench.judgement.comparison import Comparison

Interval = tuple[float, float]

ABSENT = "–"
"""Stands where there is no number."""


def format_number(value: float) -> str:
    """Three or four digits that mean something: 7.89, 44.9, 113.8, 19,413."""
    size = abs(value)
    decimals = 2 if size < 10 else 1 if size < 1_000 else 0
    return f"{value:,.{decimals}f}"


def format_value(value: float | None, unit: str) -> str:
    """A value with its unit."""
    return ABSENT if value is None else f"{format_number(value)} {unit}"


def format_ratio(ratio: float | None, interval: Interval | None) -> str:
    """`1.176 [1.156, 1.195]`, with a fourth decimal where the interval is narrow enough to need it."""
    if ratio is None:
        return ABSENT
    if interval is None:
        return f"{ratio:.3f}"
    decimals = 3 if interval[1] - interval[0] > 0.004 else 4
    return f"{ratio:.{decimals}f} {format_interval(interval, lambda end: f'{end:.{decimals}f}')}"


def format_interval(interval: Interval | None, format_end: Callable[[float], str] = format_number) -> str:
    """`[low, high]`."""
    return ABSENT if interval is None else f"[{format_end(interval[0])}, {format_end(interval[1])}]"


def format_percent(ratio: float, interval: Interval, *, signed: bool) -> str:
    """A ratio as what it adds to 1: `17.6 % [15.6, 19.5]`, or `+11.3 % [-15.7, +46.8]`."""
    decimals = 1 if interval[1] - interval[0] > 0.004 else 2
    sign = "+" if signed else ""
    low, middle, high = (f"{(end - 1) * 100:{sign}.{decimals}f}" for end in (interval[0], ratio, interval[1]))
    return f"{middle} % [{low}, {high}]"


def format_difference(comparison: Comparison) -> str:
    """Candidate minus baseline with its 95 % interval."""
    return format_change(comparison.difference, comparison.difference_ci95, comparison.unit)


def format_change(difference: float | None, interval: Interval | None, unit: str) -> str:
    """A signed difference with its 95 % interval: `+7.89 us [7.09, 8.70]`."""
    if difference is None:
        return ABSENT
    sign = "+" if difference > 0 else ""
    return f"{sign}{format_number(difference)} {unit} {format_interval(interval)}"


def format_share(fraction: float) -> str:
    """A fraction as percent without idle zeros: `5 %`."""
    return f"{fraction * 100:.4g} %"


def format_p_value(p_value: float | None) -> str:
    """Two digits; a p-value has no more to say."""
    return ABSENT if p_value is None else f"{p_value:.2g}"


def format_time(iso: str | None) -> str:
    """`2026-11-24 20:49:02 UTC`."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else ABSENT


def count(number: int, noun: str) -> str:
    """`1 slot`, `2 slots`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def name_condition(condition: str, what: str) -> str:
    """`what`, after the condition under which it holds, if there are several."""
    return f"{condition}: {what}" if condition else what


def join_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
