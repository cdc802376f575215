"""Real containers that are started together and timed, with docker-proxy and without."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

import bench as api
from bench.lab.hosts.lock import machine_lock
from bench.measure.lab_testbed import prepare_bed
from bench.measure.starting import measure_start
from bench.records.run import SlotRecord
from bench.results import files
from bench.results.verification import verify_all
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.starts import STAGES
from tests.lab.conftest import DONE, bench, only_run
from tests.lab.world import snapshot

CONTAINERS, MORE = 8, 1
MODES = ("host", "bridge-routed", "user-bridge", "bridge")
PUBLISHING = ("user-bridge", "bridge")
PORTS = CONTAINERS * (1 + MORE)
SHARED = {"image", "cpuset", "namespace"}
Fleets = dict[tuple[str, bool], SlotRecord]
"""By mode, and whether its engine has docker-proxies."""
SMALL = """
name = "starts"
question = "Does starting work?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}, {name = "none", mode = "none"}]
load = {model = "start", more_ports = 2}
schedule = {blocks = 2}
"""


@pytest.fixture(scope="module")
def fleets() -> Fleets:
    """A slot of every mode with proxies and without, in one lab; the machine is afterwards as it was."""
    scenario = Scenario(
        name="fleets",
        question="Can many be started?",
        baseline="host",
        arms=tuple(Arm(name=mode, mode=mode) for mode in MODES),
        load=Load(model="start", containers=CONTAINERS, more_ports=MORE),
        factors={"lab.userland_proxy": (True, False)},
    )
    found: Fleets = {}
    with machine_lock("tests of starts"):
        before = snapshot()
        with prepare_bed(scenario, files.new_run_id(datetime.now(UTC)), lambda _: None) as bed:
            for index, condition in enumerate(conditions(scenario)):
                for mode in MODES:
                    slot = Slot(index=0, session=0, block=0, arm=mode, condition=index, repeat=0)
                    record, _ = measure_start(bed, slot, condition)
                    found[mode, condition.lab.userland_proxy] = record
            left = [engine.client.containers.list(all=True) for engine in bed.engines.values()]
            networks = [engine.client.networks.list(names=["bench-user"]) for engine in bed.engines.values()]
        assert left == networks == [[], []]
        assert snapshot() == before
    return found


def test_every_container_of_every_mode_has_all_of_its_stages_in_order(fleets: Fleets) -> None:
    for mode, record in fleets.items():
        assert record.starts, (mode, record.failed_gates)
        assert len(record.starts.containers) == CONTAINERS
        for container in record.starts.containers:
            stamps = [getattr(container, stage) for stage in STAGES]
            assert stamps == sorted(stamps)
            assert container.started_ns < container.first_answer_ns < container.removal_asked_ns
        assert {gate.name for gate in record.gates if gate.passed} >= SHARED


def test_they_are_started_together_and_not_one_after_another(fleets: Fleets) -> None:
    for record in fleets.values():
        assert record.starts
        asked = [container.create_asked_ns for container in record.starts.containers]
        assert max(asked) < min(container.started_ns for container in record.starts.containers)


@pytest.mark.parametrize("proxy", [True, False], ids=["with proxies", "without"])
@pytest.mark.parametrize("mode", MODES)
def test_there_is_a_proxy_for_every_published_port_or_none(fleets: Fleets, mode: str, proxy: bool) -> None:
    starts = fleets[mode, proxy].starts
    assert starts
    found, publishes = starts.footprint, mode in PUBLISHING
    assert found.proxies == (PORTS if proxy and publishes else 0)
    assert (found.proxies_rss_mb >= found.proxies_mb > 0) is (found.proxies > 0)
    assert found.dockerd_mb > 1
    # Of each port at least a rule to lead there and one to let it pass; routed ones are let pass by hand.
    assert (found.rules_written >= 2 * PORTS) is publishes
    assert (found.rules_written == 0) is (mode == "host")


def test_a_whole_run_leads_from_real_starts_to_a_report(tmp_path: Path) -> None:
    (tmp_path / "starts.toml").write_text(SMALL)
    before = snapshot()
    done = bench("run", tmp_path / "starts.toml", "--results", tmp_path / "results", "--seed", 3)
    assert done.returncode in DONE, done.stderr
    assert snapshot() == before

    run = api.load(only_run(tmp_path / "results"))
    [checked] = verify_all(run.path, deep=True)
    assert checked.is_whole, checked.findings
    table = pd.read_csv(run.path / "slots.csv")
    assert len(table) == 12
    assert table[table["arm"] == "none"]["valid"].all()
    starting = table[table["arm"] != "none"]
    assert (starting["first_answer_ms"] > starting["created_ms"]).all()
    assert list(starting.groupby("arm")["docker_proxies"].unique()) == [[3], [0]]  # bridge, host
    assert "What starting takes" in (run.path / "report.md").read_text()


def test_what_cannot_be_started_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    scenario = tmp_path / "wrong.toml"
    scenario.write_text(SMALL.replace('mode = "bridge"', 'mode = "native"'))
    done = bench("run", scenario, "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "arms.1.mode: native needs no container" in done.stderr
    assert not (tmp_path / "results").exists()
