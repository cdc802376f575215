"""Rates become docs/false-verdicts.md and its figure: pure, text in and out; the caller saves."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import lay_lines, make_key
from bench.report.svg import STYLE, render_svg
from bench.report.symbols import MARKERS, PALETTE
from bench.validation.error_rates import TARGETS, Measure, Rate, find_share_interval
from bench.validation.rules import RuleRate

RECORDED_COMMAND = "make rates RUNS='results/<scenario>/<run> ...'"
SIMULATED = (
    Measure.INTERVAL_ALARM,
    Measure.WORD_ALARM,
    Measure.COVERAGE,
    Measure.FALSE_EQUIVALENT,
    Measure.CLAIM_ALARM,
    Measure.INVALID,
    Measure.POWER_2,
    Measure.POWER_5,
)
FAMILY = (Measure.STEP_ALARM, Measure.CHANGE_INTERVAL_ALARM, Measure.CHANGE_ALARM, Measure.CLAIM_ALARM)
RECORDED = (
    Measure.INTERVAL_ALARM,
    Measure.WORD_ALARM,
    Measure.COVERAGE,
    Measure.FALSE_EQUIVALENT,
    Measure.INVALID,
)
DRAWN = SIMULATED[:4]
OPENING = """# False verdicts: how often the words are wrong

Counted, not derived: `make rates` simulates experiments whose truth is known and puts them through the
verdict code itself (`bench.judgement.verdict.judge`), then writes this page and its numbers
([false-verdicts.csv](false-verdicts.csv)). Every rate is in percent, with its exact binomial 95 % interval.
**Bold** is off: its whole interval lies outside of the target. Of many rates a few come near an edge by
chance. What was off before, and what was done: [decision 11](decisions/0011-subsets-and-sessions.md).

| measure | of what | nominal | target |
| --- | --- | --- | --- |
| interval misses 1 | true ratio 1, p50 | 5 | 3 to 7 |
| BETTER or WORSE | the same after all rules, INVALID ones left out | 5 | 3 to 7 |
| coverage | 95 % interval and the true ratio, which is at the margin | 95 | 93 to 97 |
| false EQUIVALENT | true ratio at the margin, above or below 1; `negligible` counts too | 5 | at most 6 |
| claim decided | true ratio 1 on three metrics; any word that takes a side | at most 5 | at most 7 |
| INVALID | true ratio 1: an after-effect seems to be there, by chance | | |
| found: 2 %, 5 % | that is the true ratio, and the word is BETTER | | |

![Rates by kind of noise, with their intervals, against their targets](images/false-verdicts.svg)
"""
NOISE = """\
The noise of a slot is drawn along the run's order, which is the plan's own shuffle. AR(1): correlation with
the slot before. Two levels: the whole machine takes 42 or 49 us, for eight slots on average. Sessions: what
a session does to one arm and not to the other, as the standard deviation of the ratio. *As here*: two
levels, containers of 1.5 %, outliers of 1 %, drift of 5 %, AR(1) of 0.3. All of it falls on both arms alike:
an arm whose noise is more *skewed* than the other's is not simulated.
"""
FAMILIES = """\
Four arms in a ladder under two conditions, where nothing differs: the word on a step, the interval of a
change, whether *any* of the changes on p50 is CHANGED, and whether the first claim takes a side. All but the
interval are held by Holm's correction to at most 5 % with those beside them; it is less of each alone, and
where the members of a family agree, as throughput and latency do.
"""
RELABELLED = f"""\
Slots of one arm, measured on a machine, divided at random within every block into two pseudo-arms: half of
the experiments with the true ratio 1, half with the margin multiplied in. Relabellings of the same slots are
not independent: the truth is less certain than the intervals say. With one slot a block and pseudo-arm a
relabelling is a flip of signs, for which the interval is exact: there the count proves the code, and the
*planned* pairs prove the machine. Measured with `{RECORDED_COMMAND}`.
"""


RULES = """\
Each rule by itself, on cases that it must be right about: as it was until it was reviewed, and as it is
([decision 25](decisions/0025-rules-that-decide.md)). Of both the same data.
"""


def write_csv(rates: Sequence[Rate]) -> str:
    """One row a rate."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Rate)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(rate) for rate in rates)
    return text.getvalue()


def read_csv(text: str) -> list[Rate]:
    """The rates that `write_csv` wrote."""
    return [
        Rate(
            part=row["part"],
            setting=row["setting"],
            blocks=int(row["blocks"]),
            slots_per_arm=int(row["slots_per_arm"]),
            measure=Measure(row["measure"]),
            hits=int(row["hits"]),
            trials=int(row["trials"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def write_rules_csv(rates: Sequence[RuleRate]) -> str:
    """One row a case of a rule."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(RuleRate)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(rate) for rate in rates)
    return text.getvalue()


def read_rules_csv(text: str) -> list[RuleRate]:
    """The rates that `write_rules_csv` wrote."""
    counts = ("before_hits", "before_trials", "now_hits", "now_trials")
    return [
        RuleRate(
            name=row["name"],
            case=row["case"],
            asked=row["asked"],
            **{name: int(row[name]) for name in counts},
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def _write_rules(rates: Sequence[RuleRate]) -> list[str]:
    if not rates:
        return ["Not counted yet."]
    return [
        "| rule | case | of what, in percent | before | now |",
        "| --- | --- | --- | ---: | ---: |",
        *(
            f"| {rate.name} | {rate.case} | {rate.asked}"
            f" | {_write_share(rate.before_hits, rate.before_trials)}"
            f" | {_write_share(rate.now_hits, rate.now_trials)} |"
            for rate in rates
        ),
        "",
        f"Trials of a rate: {max(rate.now_trials for rate in rates):,} or fewer (the csv has each).",
    ]


def _write_share(hits: int, trials: int) -> str:
    if not trials:
        return ""
    low, high = find_share_interval(hits, trials)
    return f"{100 * hits / trials:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def write_page(rates: Sequence[Rate], missing: int = 0, rules: Sequence[RuleRate] = ()) -> str:
    """The page in Markdown; `missing` settings are not counted yet, and the page says so."""
    judged = [rate for rate in rates if rate.measure in TARGETS]
    off = [rate for rate in judged if rate.is_off]
    found = f"Of {len(judged)} rates with a target, {len(off)} are off."
    if missing:
        found += f" **Incomplete**: {missing} settings are yet to be counted:"
        found += " `python -m bench.validation --resume`."
    lines = [OPENING, found, ""]
    for title, about, part, measures in (
        ("Simulated", NOISE, "simulated", SIMULATED),
        ("Many verdicts in one run", FAMILIES, "family", FAMILY),
        ("Recorded slots, relabelled", RELABELLED, "recorded", RECORDED),
    ):
        lines += [f"## {title}", "", about]
        of_part = [rate for rate in rates if rate.part == part]
        lines += _write_table(of_part, measures) if of_part else ["Not measured yet."]
        lines.append("")
    lines += ["## Rules that decide, before and now", "", RULES, *_write_rules(rules), ""]
    return "\n".join(lines)


def _write_table(rates: Sequence[Rate], measures: Sequence[Measure]) -> list[str]:
    by_setting: dict[tuple[str, int, int], dict[Measure, Rate]] = {}
    for rate in rates:
        by_setting.setdefault((rate.setting, rate.blocks, rate.slots_per_arm), {})[rate.measure] = rate
    most = max(rate.trials for rate in rates)
    return [
        "| noise | blocks x slots of an arm | " + " | ".join(measures) + " |",
        "| --- | --- |" + " ---: |" * len(measures),
        *(
            f"| {setting} | {blocks} x {slots_per_arm} | "
            + " | ".join(_write_rate(found.get(measure)) for measure in measures)
            + " |"
            for (setting, blocks, slots_per_arm), found in by_setting.items()
        ),
        "",
        f"Trials of a rate: {most:,} or fewer (the csv has each).",
    ]


def _write_rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    low, high = rate.ci95
    text = f"{rate.share * 100:.1f} [{low * 100:.1f}, {high * 100:.1f}]"
    return f"**{text}**" if rate.is_off else text


def draw_rates(rates: Sequence[Rate]) -> Figure:
    """A panel a measure, a line a kind of noise, and a marker a size of experiment."""
    simulated = [rate for rate in rates if rate.part == "simulated"]
    noises = list(dict.fromkeys(rate.setting for rate in simulated))
    sizes = list(dict.fromkeys((rate.blocks, rate.slots_per_arm) for rate in simulated))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.42 * len(noises) + 1.2), layout="constrained")
        panels = figure.subplots(1, len(DRAWN), sharey=True)
        for axes, measure in zip(panels, DRAWN, strict=True):
            _draw_panel(axes, measure, [rate for rate in simulated if rate.measure is measure], noises, sizes)
        lay_lines(panels[0], len(noises))
        panels[0].set_yticks(range(len(noises)), noises)
        keys = [
            make_key(
                MARKERS[place], f"{blocks} blocks, {slots_per_arm} slots", color=PALETTE[place], markersize=4
            )
            for place, (blocks, slots_per_arm) in enumerate(sizes)
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=len(sizes))
    return figure


def _draw_panel(
    axes: Axes,
    measure: Measure,
    rates: Sequence[Rate],
    noises: Sequence[str],
    sizes: Sequence[tuple[int, int]],
) -> None:
    low, high = TARGETS[measure]
    axes.axvspan(100 * low, 100 * high, color="#009E73", alpha=0.15, linewidth=0)
    for rate in rates:
        place = sizes.index((rate.blocks, rate.slots_per_arm))
        line = noises.index(rate.setting) + 0.7 * ((place + 0.5) / len(sizes) - 0.5)
        ends = [100 * end for end in rate.ci95]
        axes.plot(ends, [line, line], color=PALETTE[place], linewidth=1)
        axes.plot([100 * rate.share], [line], MARKERS[place], color=PALETTE[place], markersize=3.5)
    axes.set_title(f"{measure}, %", loc="left")
    axes.grid(visible=False, axis="y")


def render_figure(rates: Sequence[Rate]) -> str:
    """The figure as SVG."""
    return render_svg(
        draw_rates(rates),
        "false-verdicts",
        "How often the verdict is wrong",
        "Rates of false alarms, coverage and false equivalence by kind of noise and size of experiment,"
        " with exact binomial intervals, against their target bands.",
    )
