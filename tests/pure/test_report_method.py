"""What a report says of its method, from what the slots kept."""

from pathlib import Path

from bench.report.run.method import describe_method
from bench.scenario.plan import plan_slots

from .conftest import make_scenario, make_slot_record
from .reports import few_resamples, store_run


def describe(folder: Path, evidence: dict[str, str]) -> str:
    scenario = make_scenario(blocks=3)
    slots = tuple(make_slot_record(slot, evidence=evidence) for slot in plan_slots(scenario, seed=1))
    with few_resamples():
        return "\n".join(describe_method(store_run(folder, scenario, slots=slots)))


def test_a_report_says_which_loop_sent_the_requests_and_how_the_server_was_configured(tmp_path: Path) -> None:
    said = describe(
        tmp_path,
        {
            "load loop": "Python (cc: it is not installed)",
            "Apache's threads": "4097",
            "Apache's listen backlog": "4096",
        },
    )

    assert "by this loop of the load generator: Python (cc: it is not installed)." in said
    assert "one process of 4097 threads and a listen backlog of 4096, the same in every arm" in said


def test_a_run_that_did_not_keep_it_says_nothing_of_it(tmp_path: Path) -> None:
    said = describe(tmp_path, {})

    assert "this loop of the load generator" not in said
    assert "threads" not in said
