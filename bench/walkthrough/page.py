"""The walkthrough as a page in Markdown, that a person would like to read."""

from itertools import groupby

from bench.records.environment import UNKNOWN
from bench.records.findings import (
    FINDING_COLUMNS,
    MEANINGS,
    WalkthroughRecord,
    comparison_columns,
    comparison_rows,
    differing,
    finding_rows,
    summarise,
)
from bench.report.template import fill

CLAIM = (
    "The article's claim about performance is not judged here but measured, with its uncertainty, by"
    " `bench run article`."
)
"""Where the one statement that needs measuring is judged."""
ARTICLES = 4
"""Hosts of the walkthrough before it had rootless engines."""


def render_markdown(record: WalkthroughRecord) -> str:
    """The whole page: the words first, then each statement with its evidence."""
    return fill(
        "walkthrough.md.j2",
        {
            "record": record,
            "claim": CLAIM,
            "kernel": record.machine.kernel or UNKNOWN,
            "iptables": record.tools.get("iptables", "iptables unknown"),
            "has_rootless": len(record.hosts) > ARTICLES,
            "meanings": MEANINGS.items(),
            "compared": {"columns": comparison_columns(record), "rows": comparison_rows(record)},
            "different": differing(record),
            "columns": FINDING_COLUMNS,
            "walks": [
                (
                    walk,
                    summarise(walk),
                    finding_rows(walk),
                    [
                        (subject, list(findings))
                        for subject, findings in groupby(walk.findings, key=lambda finding: finding.subject)
                    ],
                )
                for walk in record.walks
            ],
        },
    )
