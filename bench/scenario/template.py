"""The text of a new scenario: modes that are to be compared become a file that asks a sensible question."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.scenario.load import Load
from bench.scenario.metric import compared_metrics
from bench.scenario.modes.catalogue import MODES, parse_mode
from bench.scenario.modes.model import Mode

WIDTH = 31
"""Column at which the comments begin."""


@dataclass(frozen=True)
class Served:
    """A service of a person's own, in place of bench's Apache and its pages."""

    called: str
    """In the question."""
    tables: Sequence[str]
    """Lines of its tables: `[service]`, `[[requests]]`, `[[companions]]`."""


BUILT_IN = Served("an HTTP service", ())


def draft_scenario(name: str, modes: Sequence[str], schema: str = "", served: Served = BUILT_IN) -> str:
    """A commented TOML file that compares `modes`, the first of them the baseline.

    `schema` is the address of the JSON Schema, for editors. Raises ValueError for an unknown mode;
    all else that may be wrong with the modes is for `parse_scenario` to say.
    """
    is_fast = served is BUILT_IN  # A service of one's own may need a millisecond for an answer.
    kinds = [parse_mode(mode)[0] for mode in modes]
    arms = [mode.replace(":", "-") for mode in modes]
    baseline, others = arms[0], arms[1:]
    reachable = [arm for arm, kind in zip(others, kinds[1:], strict=True) if MODES[kind].reachable]
    what = " and ".join([", ".join(reachable[:-1]), reachable[-1]] if len(reachable) > 1 else reachable)
    question = (
        f"What {'do' if len(reachable) > 1 else 'does'} {what} cost {served.called}, against {baseline}?"
    )
    if not reachable:
        question = f"Is {' '.join(others)} out of reach, while {baseline} answers?"
    lines = [
        *([f"#:schema {schema}"] if schema else []),
        "# One question, registered before there is data. Every option: docs/scenarios.md.",
        _option("name", f'"{name}"', "of the folder below results/"),
        f'question = "{question}"',
        _option("baseline", f'"{baseline}"', "a ratio above 1 means: this arm is better"),
        *(line for mode, kind, arm in zip(modes, kinds, arms, strict=True) for line in _arm(mode, kind, arm)),
        *served.tables,
        "",
        _option("[load]", "", "the same in every arm"),
        _option("connections", "1", "1 shows latency; 16 keeps the server's core busy, and shows capacity"),
        *([] if served.tables else [_option("page_bytes", "1024", "1024, 65536 or 1048576")]),
        _option("warm_up_s", "0.15" if is_fast else "0.3", "not measured"),
        _option("measure_s", "0.65" if is_fast else "2.0", "a p99 wants 10,000 requests in it"),
        "",
        "[schedule]",
        _option("blocks", "18", "four times the blocks halve the intervals"),
        _option("slots_per_arm", "2", "in each block, for the A/A pairs that show the noise"),
        "",
        _option("[margins]", "", "the smallest difference that matters to you: say it now, not after"),
        *(
            _option(metric, f"{metric.about.margin:.2f}", "" if number else f"{metric.about.margin:.0%}")
            for number, metric in enumerate(compared_metrics(Load()))
        ),
        "",
        _option("# [factors]", "", "settings of several levels; every block holds every combination"),
        '# "load.connections" = [1, 16]',
        *(
            line
            for arm in reachable
            for line in (
                "",
                "[[claims]]",
                _option("id", f'"better-than-{arm}"'[:40].rstrip('"') + '"'),
                _option("text", f'"{baseline} performs better than {arm}."', "as somebody stated it"),
                _option("better", f'"{baseline}"'),
                _option("than", f'"{arm}"'),
            )
        ),
    ]
    return "\n".join(lines) + "\n"


def _arm(mode: str, kind: Mode, arm: str) -> list[str]:
    return ["", "[[arms]]", _option("name", f'"{arm}"'), _option("mode", f'"{mode}"', MODES[kind].summary)]


def _option(key: str, value: str, comment: str = "") -> str:
    said = f"{key} = {value}" if value else key
    return f"{said:{WIDTH - 2}}  # {comment}" if comment else said
