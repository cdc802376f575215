from copy import copy
from itertools import pairwise
from pathlib import Path

import pytest

from bench.judgement.change import ChangeWord
from bench.judgement.comparison import Compared, Word
from bench.report.run import attestation, card, changes, comparisons, method, slot_tables, steps
from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.run.limits import describe_limits
from bench.report.symbols import DIFFERS, SYMBOLS
from bench.report.table import NOT_AVAILABLE
from bench.results import store
from bench.results.run import Run
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import UNITS
from bench.scenario.modes.model import Vantage
from bench.scenario.plan import plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.gates.path import check_path
from bench.slots.surroundings import Facts, digest

from .conftest import make_gate, make_run, make_scenario
from .reports import LADDER, NO_IPVLAN, judged, make_ladder, measure, row, store_run
from .verdicts import costing_by_condition, make_factors

ENGINES = {
    "docker1": {"what": "the machine's own engine", "version": "20.10.24+dfsg1"},
    "docker2": {"what": "engine of debian:trixie", "version": "26.1.5+dfsg1"},
}


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every mode, ipvlan unavailable, `none` a control."""
    scenario = make_ladder()
    folder = tmp_path_factory.mktemp("ladder")
    run = store_run(folder, scenario, unavailable=NO_IPVLAN)
    return judged(run)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = make_factors(blocks=8)
    folder = tmp_path_factory.mktemp("engines")
    store.write_run(folder, make_run(scenario, costing_by_condition(1.1, 1.2), engines=ENGINES))
    return judged(Run(folder))


# Gaps and controls.


def test_an_arm_that_cannot_be_had_is_a_caution_and_a_row_of_every_comparison(ladder: Run) -> None:
    assert f"ipvlan (ipvlan mode) is NOT AVAILABLE here: {NO_IPVLAN['ipvlan']}." in find_cautions(ladder)
    for table in comparisons.tabulate_comparisons(ladder):
        assert row(table, "ipvlan")["Word"] == NOT_AVAILABLE
        assert row(table, "ipvlan")["Notes"] == NO_IPVLAN["ipvlan"]


def test_slots_that_could_not_be_had_are_counted_and_are_not_said_to_be_missing(ladder: Run) -> None:
    cautions = find_cautions(ladder)

    assert "So 8 of 96 planned slots could not be measured." in cautions
    assert not any("were measured" in caution for caution in cautions)


def test_a_condition_that_cannot_be_had_is_a_caution_and_stands_in_a_table(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_factors(blocks=3), unavailable_conditions={1: "no such suite"}))
    reason = {"Word": NOT_AVAILABLE, "Why": "no such suite"}

    assert "engine=debian:trixie is NOT AVAILABLE here: no such suite." in find_cautions(run)
    last = comparisons.tabulate_comparisons(run)[-1]
    assert row(last, "engine=debian:trixie").items() >= reason.items()


def test_without_its_only_candidate_a_run_says_why_there_is_no_answer(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=3), unavailable={"bridge": "no bridge module"}))
    [table] = comparisons.tabulate_comparisons(run)

    assert answer_sentence(run) == "There is no answer: bridge is NOT AVAILABLE here."
    assert row(table, "bridge")["Why"] == "no bridge module"


def test_a_control_is_said_to_have_proved_what_its_gates_saw(ladder: Run) -> None:
    [said] = attestation.describe_controls(ladder)

    assert said.startswith("Control none (")
    assert "alive in 8 of 8 (HTTP status on its own loopback: 200)" in said
    assert "unreachable in 8 of 8" in said


def test_the_gates_of_a_control_stand_in_the_table_of_gates(ladder: Run) -> None:
    found = {cells[0]: cells for cells in slot_tables.list_gates(ladder)}

    assert found["control: unreachable"][1:4] == ("none", "8 of 8", "no answer")


def test_a_control_is_not_blamed_for_giving_no_p99(ladder: Run) -> None:
    assert not any("gave no p99" in caution for caution in find_cautions(ladder))


# Comparisons.


def test_several_candidates_stand_in_one_table_a_metric_of_which_the_first_is_open(ladder: Run) -> None:
    tables = comparisons.tabulate_comparisons(ladder)

    assert [table.caption for table in tables] == [
        f"{metric.label} against host" for metric in make_scenario().metrics
    ]
    assert [table.folded for table in tables] == [False, True, True, True]
    assert [cells[0] for cells in tables[0].rows][:2] == ["native", "host-mapped"]


def test_the_metrics_of_one_candidate_stand_in_one_table(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=3)))
    [table] = comparisons.tabulate_comparisons(run)

    assert table.caption == "bridge against host"
    assert [cells[0] for cells in table.rows] == [metric.label for metric in make_scenario().metrics]
    assert not table.folded


def test_only_an_arm_against_itself_differs_and_steps_are_better_or_worse(ladder: Run) -> None:
    better = next(step for step in ladder.verdict.steps if step.word is Word.BETTER)

    assert comparisons.word_of(better) == "BETTER"
    assert comparisons.word_of(better.model_copy(update={"kind": Compared.ARMS})) == "BETTER"
    assert comparisons.word_of(better.model_copy(update={"kind": Compared.ITSELF})) == DIFFERS


def test_of_many_arms_the_answer_speaks_of_the_claimed_ones_and_counts_the_rest(ladder: Run) -> None:
    answer = answer_sentence(ladder)

    assert "better than bridge at p50 latency" in answer
    assert "8 more arms in the tables" in answer
    assert "wired" not in answer


# Steps.


def test_each_step_has_a_row_that_says_what_is_added_with_its_difference_before_its_ratio(
    ladder: Run,
) -> None:
    first, *later = steps.tabulate_steps(ladder)

    assert [cells[0] for cells in first.rows] == [f"{low} → {high}" for low, high in pairwise(LADDER)]
    assert first.columns.index("Difference, 95 %") < first.columns.index("Ratio, 95 %")
    assert [table.folded for table in (first, *later)] == [False, True, True, True]
    routed = row(first, "wired → bridge-routed")["What is added"]
    assert routed.startswith("docker0 without a port mapping")
    assert routed.endswith("new on its path: packets on Docker's bridges")


def test_the_steps_are_counted_by_what_they_do_and_the_largest_is_named(ladder: Run) -> None:
    [sentence] = steps.describe_steps(ladder)

    assert sentence.startswith("Of 6 steps at p50 latency, ")
    assert "the largest is user-bridge → proxy, +24" in sentence


# Changes.


def test_a_level_of_the_engine_is_named_by_its_version(engines: Run) -> None:
    assert changes.name_level(engines, "lab.engine", "debian:trixie") == "Docker 26.1.5 (debian:trixie)"
    assert changes.name_level(engines, "lab.receive_steering", "false") == "receive steering off"
    assert changes.name_level(engines, "load.connections", "16") == "connections 16"


def test_a_change_of_cost_is_a_sentence_and_the_first_row_of_its_table(engines: Run) -> None:
    first = changes.tabulate_changes(engines)[0]
    [sentence] = changes.describe_changes(engines)

    assert first.caption == "p50 latency: Docker 20.10.24 (the machine's own) → Docker 26.1.5 (debian:trixie)"
    assert [cells[0] for cells in first.rows] == [
        "bridge's cost against host",
        "host itself",
        "bridge itself",
    ]
    assert first.rows[0][first.columns.index("Word")] == ChangeWord.CHANGED
    assert sentence.startswith(
        "Between Docker 20.10.24 (the machine's own) and Docker 26.1.5 (debian:trixie), bridge's cost"
        " against host at p50 latency changed by +"
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (ChangeWord.NO_PRACTICAL_CHANGE, "did not change in a way that matters"),
        (ChangeWord.INCONCLUSIVE, "cannot tell whether"),
        (ChangeWord.INVALID, "nothing can be said of"),
    ],
)
def test_the_sentence_on_a_change_says_no_more_than_its_word(
    word: ChangeWord, said: str, engines: Run
) -> None:
    sentence = changes.describe_change(engines, engines.verdict.changes[0].model_copy(update={"word": word}))

    assert said in sentence
    assert "changed by" not in sentence


def test_other_factors_are_named_where_both_conditions_have_the_same_level(tmp_path: Path) -> None:
    factors = {"lab.receive_steering": (True, False), "load.connections": (1, 16)}
    run = judged(store_run(tmp_path, make_factors(factors, blocks=3)))
    captions = [table.caption for table in changes.tabulate_changes(run)]

    assert "p50 latency: receive steering on → receive steering off, at connections=16" in captions
    assert "p50 latency: connections 1 → connections 16, at receive_steering=false" in captions


# The decision card.


def test_every_mode_has_a_row_and_every_arm_of_a_mode_one_of_its_own(ladder: Run) -> None:
    here, elsewhere = card.tabulate_modes(ladder)
    names = [cells[0].split("\n")[0] for cells in (*here.rows, *elsewhere.rows)]

    assert {"host-mapped", "bridge-mapped", "host-ipv6", "bridge-ipv6", "none", "ipvlan"} <= set(names)
    assert len(names) == len(set(names)) == len(MODES) + 1
    assert elsewhere.folded
    assert row(elsewhere, "host-ipv6")["p50 latency against host"] == card.NOT_IN_RUN


def test_the_card_says_cost_start_and_what_is_given_up(ladder: Run) -> None:
    here, _ = card.tabulate_modes(ladder)
    proxy = row(here, "proxy")
    cost = proxy["p50 latency against host"].split("\n")

    assert cost[0].startswith("+28.")
    assert "us [" in cost[0]
    assert "% [" in cost[1]
    assert proxy["Start to first 200"] == "123.5 ms"
    assert proxy["Client's address"] == "LOST: the server sees docker0's address"
    assert row(here, "host")["p50 latency against host"] == "the baseline"
    assert row(here, "none")["p50 latency against host"] == "a control: out of reach in 8 of 8 slots"
    assert row(here, "ipvlan")["p50 latency against host"] == f"{NOT_AVAILABLE}\n{NO_IPVLAN['ipvlan']}"


def test_the_start_on_the_card_is_the_median_of_valid_slots(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=3)
    run = make_run(scenario)
    starts = iter((100.0, 300.0, 200.0, 9_000.0, 9_000.0, 9_000.0))
    slots = []
    for record in run.slots:
        update: dict[str, object] = {}
        if record.slot.arm == "host":
            start = next(starts)
            failed = make_gate(passed=start < 9_000)
            update = {"start_to_first_200_ms": start, "gates": (failed,)}
        slots.append(record.model_copy(update=update))
    found = judged(store_run(tmp_path, scenario, slots=tuple(slots)))

    assert row(card.tabulate_modes(found)[0], "host")["Start to first 200"] == "200.0 ms"


def test_the_costs_under_many_conditions_are_the_ends_of_their_range(tmp_path: Path) -> None:
    scenario = make_factors({"load.connections": (1, 2, 4, 8)}, blocks=3)
    run = judged(store_run(tmp_path, scenario))
    said = card.describe_cost(run, scenario.arm("bridge")).split("\n")

    assert said[0] == "ends over 4 conditions"
    assert len(said) == 3


# Evidence.


def test_counters_are_shares_of_all_requests_that_were_sent_or_of_connections(ladder: Run) -> None:
    table = attestation.tabulate_paths(ladder)

    assert row(table, "packets on Docker's bridges")["bridge"] == "2\n≥ 2"
    assert row(table, "packets on Docker's bridges")["host"] == "0\nnone"
    assert row(table, "port-mapping hits")["bridge"] == "1\n= 1"
    assert row(table, "us of docker-proxy")["proxy"] == "5\n> 0"
    assert "none" not in table.columns


def test_each_vantage_of_an_arm_has_a_column_of_counters_of_its_own(tmp_path: Path) -> None:
    vantages = {"load.vantage": ("client", "host-loopback", "host-address")}
    table = attestation.tabulate_paths(store_run(tmp_path, make_scenario(blocks=3, factors=vantages)))

    assert row(table, "port-mapping hits")["bridge, client"] == "1\n= 1"
    assert row(table, "port-mapping hits")["bridge, host-loopback"] == "0\nnone"
    assert row(table, "port-mapping hits")["bridge, host-address"] == "1\n= 1"
    assert row(table, "connections opened by the host itself")["bridge, host-loopback"] == "2\n= 2"
    assert row(table, "packets on the uplink")["host, host-address"] == "0\nnone"


def test_every_demand_of_a_path_gate_has_a_short_form() -> None:
    for mode in MODES.values():
        for vantage in Vantage:
            path = mode.path_from(vantage)
            for gate in check_path(path, dict.fromkeys(UNITS, 0), 1, 1, forwarding_rules=True):
                assert gate.demand in attestation.DEMANDS


def store_around(folder: Path, scenario: Scenario, around: dict[str, Facts]) -> Run:
    """A run each of whose arms found something else around it."""
    slots = tuple(
        record.model_copy(update={"surroundings": digest(around[record.slot.arm])})
        for record in make_run(scenario).slots
    )
    facts = {digest(found): found for found in around.values()}
    return store_run(folder, scenario, slots=slots, surroundings=facts)


def test_differences_that_a_mode_explains_are_grouped_and_others_are_cautions(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=3)
    around: dict[str, Facts] = {
        "host": {"net.ipv4.ip_forward": "1", "file httpd.conf": "a"},
        "bridge": {"net.ipv4.ip_forward": "0", "file httpd.conf": "b"},
    }
    run = judged(store_around(tmp_path, scenario, around))
    table, facts = attestation.tabulate_sameness(run)
    [cells] = table.rows

    assert cells[1:] == ("bridge", "1")
    assert facts == [(cells[0], ["net.ipv4.ip_forward"])]
    assert attestation.describe_sameness(run).endswith(
        "brings about: 1; that nothing explains: 1 (see the cautions above)."
    )
    assert any(caution.startswith("file httpd.conf is not the same") for caution in find_cautions(run))


def test_a_fact_that_one_side_lacks_is_said_to_be_absent_there(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=3)
    around: dict[str, Facts] = {"host": {"offload lro": "on"}, "bridge": {"file mime.types": "a"}}
    run = judged(store_around(tmp_path, scenario, around))
    said = [caution for caution in find_cautions(run) if "is not the same around" in caution]

    assert [caution.partition(" and nothing")[0] for caution in said] == [
        "file mime.types is not the same around every Apache (bridge: a; host: absent),",
        "offload lro is not the same around every Apache (bridge: absent; host: on),",
    ]


# What is said of the method.


def test_what_a_mode_gives_up_is_not_said_to_be_left_out(ladder: Run) -> None:
    limits = " ".join(describe_limits(ladder))

    assert "is not measured" not in limits
    assert "decision card" in limits


def test_arms_are_described_by_their_modes_and_their_docker_hosts(ladder: Run) -> None:
    modes = dict(method.list_modes(ladder))

    assert modes["proxy"].endswith("(docker2, port 80)")
    assert "here that of bridge" in modes["bridge-mapped"]
    assert list(modes) == [arm.name for arm in ladder.record.scenario.arms]


def test_every_word_has_a_sign() -> None:
    assert {*Word, *ChangeWord, NOT_AVAILABLE, DIFFERS} <= SYMBOLS.keys()


def test_measured_slots_are_as_their_modes_demand() -> None:
    """Otherwise these tests would be of INVALID slots."""
    scenario = make_ladder(blocks=2)

    assert all(measure(scenario, slot).valid for slot in make_run(scenario).planned)


def test_a_fault_of_many_comparisons_is_one_caution_that_counts_them(tmp_path: Path) -> None:
    scenario = make_ladder(blocks=2)
    cautions = find_cautions(judged(store_run(tmp_path, scenario, unavailable=NO_IPVLAN)))

    [few_blocks] = [caution for caution in cautions if "blocks are complete" in caution]
    assert few_blocks.startswith("36 comparisons, of native, host-mapped,")


def test_a_full_link_is_a_caution_under_the_condition_that_has_it(tmp_path: Path) -> None:
    # 1,525 pages of 64 KiB a second are 800 Mbit/s.
    scenario = make_scenario(load=Load(page_bytes=65536), factors={"lab.link_mbit": (0, 850, 2000)})
    slots = tuple(
        measure(scenario, slot).model_copy(update={"values": {Metric.THROUGHPUT_RPS: 1525.0}})
        for slot in plan_slots(scenario, seed=1)
    )
    cautions = find_cautions(judged(store_run(tmp_path, scenario, slots=slots)))

    [full] = [caution for caution in cautions if "link-bound" in caution]
    assert full.startswith("link_mbit=850 is link-bound: pages alone fill 94%")


def test_notes_that_differ_in_their_count_of_blocks_are_one_caution(tmp_path: Path) -> None:
    scenario = make_ladder(blocks=4)
    failed = (make_gate(passed=False),)
    lost = {"wired": 2, "bridge": 3, "macvlan": 4, "proxy": 4, "user-bridge": 3}
    slots = tuple(
        record.model_copy(update={"gates": failed})
        if record.slot.block < lost.get(record.slot.arm, 0)
        else record
        for record in (measure(scenario, slot) for slot in make_run(scenario).planned)
    )
    cautions = find_cautions(judged(store_run(tmp_path, scenario, slots=slots)))

    [few_blocks] = [caution for caution in cautions if "blocks are complete" in caution]
    assert "only 0 to 2 of 4 blocks are complete and valid" in few_blocks
    assert all(arm in few_blocks for arm in lost)


def test_cores_that_were_slow_around_many_slots_are_said_before_the_numbers(ladder: Run) -> None:
    def with_times(times_us: list[float | None]) -> list[str]:
        slots = tuple(
            record.model_copy(update={"fixed_work_us": times_us[index % len(times_us)]})
            for index, record in enumerate(ladder.record.slots)
        )
        run = copy(ladder)
        run.record = ladder.record.model_copy(update={"slots": slots})
        return [caution for caution in find_cautions(run) if "best speed" in caution]

    [said] = with_times([470.0, 840.0])
    assert "a core was at 56% of its best speed" in said.replace(" %", "%")
    assert with_times([470.0, 480.0]) == []
    assert with_times([None]) == []
