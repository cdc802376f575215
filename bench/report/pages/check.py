"""Demands on a run as lines for a terminal, and as the JUnit XML that CI systems read."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from bench.controls import replace_controls
from bench.judgement.across_runs.demands import Demand, DemandWord

MEANINGS = {
    DemandWord.MET: "",
    DemandWord.FAILED: "",
    DemandWord.INCONCLUSIVE: "not met: the measurement is not precise enough to tell; measure longer",
    DemandWord.INVALID: "not to be judged: measure again",
}


def describe_demand(demand: Demand) -> str:
    """`MET  cost of bridge at p50 latency: 1.02 [1.01, 1.03], asked: below 1.05`."""
    meaning = MEANINGS[demand.word]
    line = f"{demand.word:12}  {demand.name}: {demand.seen}; asked: {demand.asked}"
    return f"{line} ({meaning})" if meaning else line


def render_junit(run_id: str, scenario: str, seconds: float, demands: Sequence[Demand]) -> str:
    """A test suite with a case a demand: FAILED and INCONCLUSIVE are failures, INVALID is an error."""
    counts = {
        "tests": len(demands),
        "failures": sum(d.word in {DemandWord.FAILED, DemandWord.INCONCLUSIVE} for d in demands),
        "errors": sum(d.word is DemandWord.INVALID for d in demands),
        "skipped": 0,
    }
    attributes = {name: str(number) for name, number in counts.items()} | {"time": f"{seconds:.3f}"}
    suites = ET.Element("testsuites", {"name": "bench check", **attributes})
    suite = ET.SubElement(
        suites, "testsuite", {"name": replace_controls(f"{scenario} {run_id}")} | attributes
    )
    for demand in demands:
        kind, name = replace_controls(f"bench.{scenario}.{demand.kind}"), replace_controls(demand.name)
        about = {"classname": kind, "name": name}
        case = ET.SubElement(suite, "testcase", about | {"time": "0.000"})
        text = replace_controls(describe_demand(demand))
        if demand.word is DemandWord.MET:
            ET.SubElement(case, "system-out").text = text
        else:
            kind = "error" if demand.word is DemandWord.INVALID else "failure"
            ET.SubElement(case, kind, {"type": str(demand.word), "message": text}).text = text
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'
