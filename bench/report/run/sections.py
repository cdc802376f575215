"""The sections of a run's page: one entry each, in the page's order, which HTML and Markdown follow.

A new section is an entry here, a function that tells its facts, and a template sections/<name>.j2, which
is written in the words of `macros.html.j2` and `macros.md.j2` and so serves both forms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.report.run import (
    anatomy_tables,
    card,
    changes,
    comparisons,
    cpu,
    hosts,
    meaning,
    method,
    names,
    noise,
    quantiles,
    regions,
    rerun,
    rules,
    sensitivity,
    service,
    slot_tables,
    stalls,
    starts,
    statements,
    steps,
)
from bench.report.run.figures.block_ratios import BLOCK_RATIOS
from bench.report.run.figures.costs import COSTS
from bench.report.run.figures.drawing import Drawing
from bench.report.run.figures.hops import HOPS
from bench.report.run.figures.ladder import LADDER
from bench.report.run.figures.latency import LATENCY
from bench.report.run.figures.paths import PATHS
from bench.report.run.figures.quantile_curve import QUANTILE_CURVE
from bench.report.run.figures.region_map import REGIONS
from bench.report.run.figures.shares import SHARES
from bench.report.run.figures.starts import STARTS
from bench.report.run.figures.throughput import THROUGHPUT
from bench.report.run.figures.timeline import SLOT_TIMELINE
from bench.report.run.figures.waterfalls import CONTRASTS, WATERFALLS
from bench.results.run import Run

Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page, with a line in its table of contents."""

    name: str
    """Its id, and its template: sections/<name>.j2."""
    title: str
    """`{baseline}` stands for the baseline's name."""
    tell: Callable[[Run], Facts | None] | None = None
    """What the template says, as `facts`; where that is None, there is nothing to say and no section.
    Without such a function the section is its figures, and is there where one of them is."""
    of_requests: bool = False
    """Whether `tell` reads requests: where no figures are wanted, none are read."""
    drawings: tuple[Drawing, ...] = ()
    """Its figures, which the template has as `figures`, in this order."""


SECTIONS = (
    Section(name="meaning", title="What it means for you", tell=meaning.tell_meaning),
    Section(name="stalls", title="Stalls: connections that stood still", tell=stalls.tell_stalls),
    Section(
        name="card",
        title="Which mode to take: cost beside what is given up",
        tell=card.tell_modes,
    ),
    Section(
        name="starts",
        title="What starting takes",
        tell=starts.tell_starts,
        drawings=(STARTS,),
    ),
    Section(
        name="steps",
        title="What each step adds",
        tell=steps.tell_steps,
        drawings=(LADDER,),
    ),
    Section(
        name="changes",
        title="What changed between conditions",
        tell=changes.tell_changes,
        drawings=(COSTS,),
    ),
    Section(
        name="regions",
        title="Where {baseline} is better",
        tell=regions.tell_regions,
        drawings=(REGIONS,),
    ),
    Section(
        name="anatomy",
        title="Where the microseconds go",
        tell=anatomy_tables.tell_anatomy,
        drawings=(SHARES, WATERFALLS, PATHS, HOPS, CONTRASTS),
    ),
    Section(name="cpu", title="CPU per request", tell=cpu.tell_cpu),
    Section(name="names", title="Lookups: whom the containers asked", tell=names.tell_names),
    Section(name="comparison", title="Comparison", tell=comparisons.tell_comparisons),
    Section(
        name="requests",
        title="What each request takes",
        tell=service.tell_requests,
        of_requests=True,
    ),
    Section(
        name="quantiles",
        title="The whole effect: what each quantile pays",
        tell=quantiles.tell_quantiles,
        of_requests=True,
        drawings=(QUANTILE_CURVE,),
    ),
    Section(
        name="figures",
        title="Distributions: every request, block and slot",
        drawings=(LATENCY, BLOCK_RATIOS, THROUGHPUT, SLOT_TIMELINE),
    ),
    Section(
        name="noise",
        title="Noise floor: each arm against itself",
        tell=noise.tell_noise,
    ),
    Section(
        name="precision",
        title="Where the width of the intervals comes from",
        tell=noise.tell_components,
        of_requests=True,
    ),
    Section(
        name="sensitivity",
        title="Sensitivity: the same by other methods, and without gates",
        tell=sensitivity.tell_sensitivity,
    ),
    Section(name="also", title="Also seen, and not compared", tell=slot_tables.tell_arms),
    Section(
        name="statements",
        title="The article's statements, tried one by one",
        tell=statements.tell_statements,
    ),
    Section(name="rules", title="How many firewall rules a packet looks at", tell=rules.tell_rules),
    Section(name="service", title="What was served", tell=service.tell_service),
    Section(name="method", title="How it was measured", tell=method.tell_method),
    Section(name="hosts", title="The machines, and how far the path is proved", tell=hosts.tell_hosts),
    Section(
        name="environment",
        title="What it was measured on",
        tell=method.tell_environment,
    ),
    Section(
        name="gates",
        title="Gates: what every slot had to show",
        tell=slot_tables.tell_gates,
    ),
    Section(name="slots", title="All slots", tell=slot_tables.tell_slots),
    Section(name="rerun", title="Run exactly this again", tell=rerun.tell_rerun),
)
