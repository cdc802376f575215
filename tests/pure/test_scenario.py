from pathlib import Path

import pytest

from bench.errors import ExitCode, InputError
from bench.judgement.precision import extend
from bench.scenario.conditions import conditions
from bench.scenario.contradictions import MAX_SLOTS
from bench.scenario.factors import FACTORS
from bench.scenario.load import Load
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.modes.model import Vantage
from bench.scenario.parsing import MAX_SCENARIO_BYTES, parse_scenario
from bench.scenario.plan import plan_slots
from bench.scenario.scenario import TABLES, Scenario

from .conftest import make_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"

HEAD = """
name = "unit"
question = "What does bridge cost?"
baseline = "host"
"""
ARMS = """
[[arms]]
name = "host"
mode = "host"

[[arms]]
name = "bridge"
mode = "bridge"
"""
VALID = HEAD + ARMS
OPEN = VALID + '[load]\nmodel = "open"\n'
"""An open loop that lacks its rate."""
CLAIM = """
[[claims]]
id = "article"
text = "Host is faster."
better = "host"
than = "bridge"
"""


def refusal_of(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_scenario(text, "unit.toml")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert "unit.toml" in caught.value.doing
    return caught.value


def fields_at_fault(text: str) -> list[str]:
    """Dotted fields that the refusal of `text` names, in its order."""
    lines = refusal_of(text).seen.splitlines()[1:]
    return [line.strip().split(":")[0] for line in lines if line.strip()]


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.name)
def test_every_scenario_that_we_ship_loads_under_its_file_name(path: Path) -> None:
    scenario = parse_scenario(path.read_text(), path.name)

    assert scenario.name == path.stem
    assert conditions(scenario)


def test_there_are_scenarios_to_load() -> None:
    assert SCENARIOS / "quick.toml" in SCENARIOS.glob("*.toml")


def test_the_smallest_scenario_gets_the_documented_defaults() -> None:
    scenario = parse_scenario(VALID, "unit.toml")

    assert scenario == make_scenario(blocks=12)
    assert (scenario.load.connections, scenario.load.page_bytes, scenario.arms[0].port) == (1, 1024, 80)
    assert scenario.lab.hold_idle_states
    assert scenario.lab.receive_steering


def test_each_metric_has_its_own_margin() -> None:
    margins = "[margins]\np50_latency_us = 0.01\np99_latency_us = 0.02\nthroughput_rps = 0.03\n"
    scenario = parse_scenario(VALID + margins, "unit.toml")

    assert [scenario.margins.of(metric) for metric in PERFORMANCE] == [0.01, 0.02, 0.03]


BAD = [
    ("a mode that does not exist", VALID.replace('mode = "bridge"', 'mode = "bidge"'), "arms.1.mode"),
    ("no blocks", VALID + "[schedule]\nblocks = 0\n", "schedule.blocks"),
    ("a negative number of blocks", VALID + "[schedule]\nblocks = -3\n", "schedule.blocks"),
    ("more blocks than a life has", VALID + "[schedule]\nblocks = 10001\n", "schedule.blocks"),
    ("blocks as text", VALID + '[schedule]\nblocks = "12"\n', "schedule.blocks"),
    ("blocks as a fraction", VALID + "[schedule]\nblocks = 12.0\n", "schedule.blocks"),
    ("one slot an arm", VALID + "[schedule]\nslots_per_arm = 1\n", "schedule.slots_per_arm"),
    ("more sessions than blocks", VALID + "[schedule]\nblocks = 2\nsessions = 3\n", "schedule"),
    ("a table that is a number", HEAD + "schedule = 3\n" + ARMS, "schedule"),
    ("a margin of zero", VALID + "[margins]\np50_latency_us = 0\n", "margins.p50_latency_us"),
    ("a margin above 1", VALID + "[margins]\np99_latency_us = 1.5\n", "margins.p99_latency_us"),
    ("a negative margin", VALID + "[margins]\nthroughput_rps = -0.05\n", "margins.throughput_rps"),
    ("a margin that is no number", VALID + "[margins]\np50_latency_us = nan\n", "margins.p50_latency_us"),
    ("a margin that is a boolean", VALID + "[margins]\np50_latency_us = true\n", "margins.p50_latency_us"),
    ("no connections", VALID + "[load]\nconnections = 0\n", "load.connections"),
    ("connections as text", VALID + '[load]\nconnections = "1"\n', "load.connections"),
    ("connections as a boolean", VALID + "[load]\nconnections = true\n", "load.connections"),
    ("connections as a list", VALID + "[load]\nconnections = [1]\n", "load.connections"),
    ("connections in a nest", VALID + f"[load]\nconnections = {'[' * 90}{']' * 90}\n", "load.connections"),
    (
        "more connections than Apache serves at a time",
        VALID + "[load]\nconnections = 10001\n",
        "load.connections",
    ),
    ("a page that the image lacks", VALID + "[load]\npage_bytes = 1000\n", "load.page_bytes"),
    ("an engine that does not exist", VALID + '[load]\nengine = "ab"\n', "load.engine"),
    ("no seconds", VALID + "[load]\nmeasure_s = 0\n", "load.measure_s"),
    ("negative seconds", VALID + "[load]\nwarm_up_s = -0.5\n", "load.warm_up_s"),
    ("seconds without end", VALID + "[load]\nmeasure_s = inf\n", "load.measure_s"),
    ("seconds that are no number", VALID + "[load]\nmeasure_s = nan\n", "load.measure_s"),
    ("seconds as a boolean", VALID + "[load]\nmeasure_s = true\n", "load.measure_s"),
    (
        "a witness beside another engine",
        VALID + '[load]\nengine = "http"\nwrk_witness_s = 1\n',
        "load.wrk_witness_s",
    ),
    (
        "a witness beside a level of the engine",
        VALID + '[load]\nwrk_witness_s = 1\n[factors]\n"load.engine" = ["raw", "http"]\n',
        "load.wrk_witness_s",
    ),
    ("a setting that is text", VALID + '[lab]\nreceive_steering = "on"\n', "lab.receive_steering"),
    ("a setting that is a number", VALID + "[lab]\nhold_idle_states = 1\n", "lab.hold_idle_states"),
    ("a key that does not exist", VALID + "[load]\nconnectoins = 1\n", "load.connectoins"),
    ("a table that does not exist", VALID + "[laod]\nconnections = 1\n", "laod"),
    ("no name", VALID.replace('name = "unit"', "", 1), "name"),
    ("a name that leaves the folder", VALID.replace('"unit"', '"../../etc"'), "name"),
    ("a name that is an absolute path", VALID.replace('"unit"', '"/etc"'), "name"),
    ("a name that is the folder itself", VALID.replace('"unit"', '"."'), "name"),
    ("a name that is an option", VALID.replace('"unit"', '"-rf"'), "name"),
    ("a name with a space", VALID.replace('"unit"', '"a b"'), "name"),
    ("a name that ends its line", VALID.replace('"unit"', '"unit\\n"'), "name"),
    ("a name with a NUL", VALID.replace('"unit"', '"unit\\u0000"'), "name"),
    ("an empty name", VALID.replace('"unit"', '""'), "name"),
    ("a name of 41 letters", VALID.replace('"unit"', f'"{"u" * 41}"'), "name"),
    ("a name that is a date", VALID.replace('"unit"', "1979-05-27"), "name"),
    ("an empty question", VALID.replace("What does bridge cost?", ""), "question"),
    ("an arm whose name is a path", VALID.replace('name = "bridge"', 'name = "../bridge"'), "arms.1.name"),
    ("a port beyond the last", VALID + "port = 65536\n", "arms.1.port"),
    ("port zero", VALID + "port = 0\n", "arms.1.port"),
    ("one arm", HEAD + ARMS[: ARMS.rindex("[[arms]]")], "arms"),
    ("no arms", HEAD, "arms"),
    ("arms that are no list", HEAD + "[arms]\nname = 'host'\n", "arms"),
    ("51 arms", HEAD + "".join(f"[[arms]]\nname = 'a{i}'\nmode = 'host'\n" for i in range(51)), "arms"),
    ("two arms of one name", VALID.replace('name = "bridge"', 'name = "host"'), "arms"),
    ("a baseline that is no arm", VALID.replace('baseline = "host"', 'baseline = "none"'), "baseline"),
    ("no baseline", VALID.replace('baseline = "host"', ""), "baseline"),
    ("a claim about an unknown arm", VALID + CLAIM.replace('"bridge"', '"macvlan"'), "claims.0.than"),
    ("a claim for an unknown arm", VALID + CLAIM.replace('"host"', '"macvlan"'), "claims.0.better"),
    ("a claim of an arm over itself", VALID + CLAIM.replace('"bridge"', '"host"'), "claims.0"),
    (
        "a claim that leaves the baseline out",
        VALID + '[[arms]]\nname = "third"\nmode = "bridge"\nport = 81\n' + CLAIM.replace('"host"', '"third"'),
        "claims.0",
    ),
    ("a claim on no metric", VALID + CLAIM + "metrics = []\n", "claims.0.metrics"),
    ("a claim on an unknown metric", VALID + CLAIM + 'metrics = ["p42"]\n', "claims.0.metrics.0"),
    ("a claim without a text", VALID + CLAIM.replace("Host is faster.", ""), "claims.0.text"),
    ("a factor that does not exist", VALID + '[factors]\n"load.model" = ["a", "b"]\n', "factors"),
    ("one level", VALID + '[factors]\n"load.connections" = [4]\n', "factors.load.connections"),
    ("no levels", VALID + '[factors]\n"load.connections" = []\n', "factors.load.connections"),
    ("a level twice", VALID + '[factors]\n"load.connections" = [4, 4]\n', "factors.load.connections"),
    ("levels that are no list", VALID + '[factors]\n"load.connections" = 4\n', "factors.load.connections"),
    ("a level out of range", VALID + '[factors]\n"load.connections" = [1, 0]\n', "factors.load.connections"),
    ("a level of another type", VALID + '[factors]\n"load.engine" = ["raw", 1]\n', "factors.load.engine"),
    (
        "a level that is a list",
        VALID + '[factors]\n"load.connections" = [[1], [2]]\n',
        "factors.load.connections",
    ),
    ("a level without end", VALID + '[factors]\n"load.connections" = [1, inf]\n', "factors.load.connections"),
    (
        "a combination too many",
        VALID + f'[factors]\n"load.connections" = {list(range(1, 102))}\n',
        "factors",
    ),
    (
        "a mapped container without a target",
        VALID.replace('mode = "bridge"', 'mode = "container"'),
        "arms.1.mode",
    ),
    (
        "a mapped container whose target is missing",
        VALID.replace('mode = "bridge"', 'mode = "container:web"'),
        "arms.1.mode",
    ),
    (
        "a mapped container whose target is itself",
        VALID.replace('mode = "bridge"', 'mode = "container:bridge"'),
        "arms.1.mode",
    ),
    (
        "a mapped container of Apache without Docker",
        VALID.replace('mode = "bridge"', 'mode = "container:bare"')
        + '[[arms]]\nname = "bare"\nmode = "native"\n',
        "arms.1.mode",
    ),
    ("two arms on one port in host mode", VALID + '[[arms]]\nname = "web"\nmode = "host"\n', "arms.2.port"),
    ("an address outside the lab", VALID + 'address = "192.0.2.1"\n', "arms.1.address"),
    ("an address that no host has", VALID + 'address = "198.18.0.7"\n', "arms.1.address"),
    ("an address that is none", VALID + 'address = "web"\n', "arms.1.address"),
    ("an arm with an unknown option", VALID + "mtu = 9000\n", "arms.1.mtu"),
    ("a baseline that nothing can reach", VALID.replace('mode = "host"', 'mode = "none"'), "baseline"),
    ("a ladder of an unknown arm", 'ladder = ["host", "macvlan"]\n' + VALID, "ladder"),
    ("a ladder of one rung", 'ladder = ["host"]\n' + VALID, "ladder"),
    ("a ladder with a rung twice", 'ladder = ["host", "bridge", "host"]\n' + VALID, "ladder"),
    (
        "a ladder with a control",
        'ladder = ["host", "bridge"]\n' + VALID.replace('mode = "bridge"', 'mode = "none"'),
        "ladder",
    ),
    (
        "a ladder with a container in a control's network",
        'ladder = ["host", "inside"]\n'
        + VALID.replace('mode = "bridge"', 'mode = "none"')
        + '[[arms]]\nname = "inside"\nmode = "container:bridge"\n',
        "ladder",
    ),
    ("a claim over a control", VALID.replace('mode = "bridge"', 'mode = "none"') + CLAIM, "claims.0.than"),
    ("a capacity in a closed loop", VALID + "[capacity]\nlimit_ms = 5.0\n", "capacity"),
    (
        "a capacity at a given rate",
        VALID + '[load]\nmodel = "open"\nrate_rps = 5\n[capacity]\n',
        "capacity",
    ),
    (
        "a capacity with an even number of confirmations",
        VALID + '[load]\nmodel = "open"\n[capacity]\nconfirmations = 2\n',
        "capacity",
    ),
    (
        "a connection a request by another engine",
        VALID + '[load]\nengine = "http"\nkeep_alive = false\n',
        "load.keep_alive",
    ),
    (
        "a level of a connection a request by another engine",
        VALID + '[load]\nengine = "http"\n[factors]\n"load.keep_alive" = [true, false]\n',
        "load.keep_alive",
    ),
    (
        "workers of another engine",
        VALID + '[load]\nengine = "http"\nconnections = 4\nworkers = 2\n',
        "load.workers",
    ),
    ("more workers than connections", VALID + "[load]\nconnections = 2\nworkers = 4\n", "load.workers"),
    (
        "a level of more workers than connections",
        VALID + '[load]\nconnections = 2\n[factors]\n"load.workers" = [1, "cores", 4]\n',
        "load.workers",
    ),
    ("an open loop that thinks", OPEN + "rate_rps = 5\nthink_us = 5\n", "load.think_us"),
    ("thoughts of another engine", VALID + '[load]\nengine = "http"\nthink_us = 5\n', "load.think_us"),
    ("a thought without end", VALID + "[load]\nthink_us = inf\n", "load.think_us"),
    ("workers that are a word", VALID + '[load]\nconnections = 2\nworkers = "many"\n', "load.workers"),
    (
        "workers that take turns",
        VALID + "[load]\nconnections = 2\nworkers = 2\n[schedule.interleave]\n",
        "load.workers",
    ),
    (
        "CPU per request of workers",
        OPEN + 'rate_rps = 5\nconnections = 2\npacing = "sleep"\nworkers = 2\n',
        "load.workers",
    ),
    ("an engine that is none", VALID + '[lab]\nengine = "ubuntu:noble"\n', "lab.engine"),
    (
        "an engine's level that is none",
        VALID + '[factors]\n"lab.engine" = ["machine", "28.5"]\n',
        "factors.lab.engine",
    ),
    ("a model that does not exist", VALID + '[load]\nmodel = "ajar"\n', "load.model"),
    ("an open loop without a rate", OPEN, "load.rate_rps"),
    ("a rate of a closed loop", VALID + "[load]\nrate_rps = 100\n", "load.rate_rps"),
    ("arrivals of a closed loop", VALID + '[load]\narrivals = "uniform"\n', "load.arrivals"),
    ("a rate of zero", OPEN + "rate_rps = 0\n", "load.rate_rps"),
    ("a negative rate", OPEN + "rate_rps = -5.0\n", "load.rate_rps"),
    ("a rate without end", OPEN + "rate_rps = inf\n", "load.rate_rps"),
    ("a rate that is no number", OPEN + "rate_rps = nan\n", "load.rate_rps"),
    ("a rate as text", OPEN + 'rate_rps = "100"\n', "load.rate_rps"),
    ("a rate as a boolean", OPEN + "rate_rps = true\n", "load.rate_rps"),
    ("arrivals of no kind", OPEN + 'rate_rps = 100\narrivals = "bursty"\n', "load.arrivals"),
    ("an open loop of another engine", OPEN + 'rate_rps = 100\nengine = "fasthttp"\n', "load.engine"),
    ("a witness of an open loop", OPEN + "rate_rps = 100\nwrk_witness_s = 1\n", "load.wrk_witness_s"),
    ("both models in one run", VALID + '[factors]\n"load.model" = ["closed", "open"]\n', "factors"),
    (
        "another engine as a level of an open loop",
        OPEN + 'rate_rps = 100\n[factors]\n"load.engine" = ["raw", "http"]\n',
        "factors.load.engine",
    ),
    (
        "rates as levels of a closed loop",
        VALID + '[factors]\n"load.rate_rps" = [100, 200]\n',
        "factors.load.rate_rps",
    ),
    (
        "arrivals as levels of a closed loop",
        VALID + '[factors]\n"load.arrivals" = ["poisson", "uniform"]\n',
        "factors.load.arrivals",
    ),
    (
        "a level that is no rate",
        OPEN + 'rate_rps = 100\n[factors]\n"load.rate_rps" = [100, 0]\n',
        "factors.load.rate_rps",
    ),
    (
        "a claim on the throughput of an open loop",
        OPEN + "rate_rps = 100\n" + CLAIM + 'metrics = ["throughput_rps"]\n',
        "claims.0.metrics",
    ),
    ("an empty file", "", "name"),
    ("load from nowhere", f'{VALID}[load]\nvantage = "moon"', "load.vantage"),
    ("load from a place by number", f"{VALID}[load]\nvantage = 1", "load.vantage"),
    (
        "a vantage that is none as a level",
        f'{VALID}[factors]\n"load.vantage" = ["client", "moon"]',
        "factors.load.vantage",
    ),
    (
        "a list as a vantage",
        f'{VALID}[factors]\n"load.vantage" = ["client", ["client"]]',
        "factors.load.vantage",
    ),
    (
        "an engine as a list",
        f'{VALID}[factors]\n"load.engine" = [["raw"], "http"]',
        "factors.load.engine",
    ),
    (
        "a switch as a list",
        f'{VALID}[factors]\n"load.keep_alive" = [[true], false]',
        "factors.load.keep_alive",
    ),
    (
        "a stamp as a table",
        f'{VALID}[factors]\n"lab.stamp_before_queue" = [{{a = 1}}, false]',
        "factors.lab.stamp_before_queue",
    ),
    ("a date as a level", f'{VALID}[factors]\n"lab.taps" = [2020-01-02, false]', "factors.lab.taps"),
    (
        "more slots than can be planned",
        VALID
        + "[schedule]\nblocks = 10000\nslots_per_arm = 20\n[factors]\n"
        + f'"load.connections" = {list(range(1, 11))}\n"lab.link_mbit" = {list(range(1, 11))}\n',
        "schedule",
    ),
    ("taps from the host", f'{VALID}[load]\nvantage = "host-address"\n[lab]\ntaps = true', "load.vantage"),
]


@pytest.mark.parametrize(("text", "field"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_meant_is_refused_by_its_dotted_field(text: str, field: str) -> None:
    assert field in fields_at_fault(text)


def test_vantages_are_levels_of_a_factor_and_every_condition_has_its_own() -> None:
    text = f'{VALID}[factors]\n"load.vantage" = ["client", "host-loopback", "host-address"]\n'
    found = conditions(parse_scenario(text, "unit.toml"))

    assert [condition.load.vantage for condition in found] == [
        Vantage.CLIENT,
        Vantage.HOST_LOOPBACK,
        Vantage.HOST_ADDRESS,
    ]
    assert found[1].label == "vantage=host-loopback"


def test_a_hundred_combinations_are_not_too_many() -> None:
    levels = f'[factors]\n"load.connections" = {list(range(1, 26))}\n'
    two = '"lab.hold_idle_states" = [true, false]\n"lab.receive_steering" = [true, false]\n'

    assert len(conditions(parse_scenario(VALID + levels + two, "unit.toml"))) == 100


HOSTILE = [
    ("text that is not TOML", "this is not TOML"),
    ("bytes of a program", "\x7fELF\x02\x01\x00\x00\x00"),
    ("control characters", "\x00\x01\x02\x1b[2J"),
    ("a byte order mark", "\ufeff" + VALID),
    ("what is left of bytes that are not text", VALID + '[load]\nmodel = "\udcff"\n'),
    ("a key that is given twice", VALID + 'mode = "host"\n'),
    ("half a file", VALID[:-5]),
    ("lists in lists without end", VALID + "[load]\nconnections = " + "[" * 50_000),
    ("tables in tables without end", VALID + "[load.connections" + ".a" * 2_000 + "]\nb = 1\n"),
    ("tables in tables", VALID + "[load.connections" + ".a" * 300 + "]\nb = 1\n"),
    ("a number of 5,000 digits", VALID + "[load]\nconnections = " + "9" * 5_000 + "\n"),
    ("a hexadecimal number of 5,000 digits", VALID + "[load]\nconnections = 0x" + "f" * 5_000 + "\n"),
    ("a text of more than a page", VALID + "#" * MAX_SCENARIO_BYTES),
    ("a table that is given twice", '["name"]\n' * 2),
]


@pytest.mark.parametrize("text", [row[1] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_text_is_refused_and_never_a_crash(text: str) -> None:
    assert len(str(refusal_of(text))) < 2_000


def test_all_faults_of_fields_are_reported_at_once() -> None:
    text = (
        VALID.replace('"unit"', '"../unit"')
        + "[load]\nconnections = 0\nwarmup_s = 1\n[margins]\np50_latency_us = 0\n"
    )

    assert set(fields_at_fault(text)) == {
        "name",
        "load.connections",
        "load.warmup_s",
        "margins.p50_latency_us",
    }


def test_all_faults_of_what_fields_refer_to_are_reported_at_once() -> None:
    factors = '[factors]\n"load.model" = ["a", "b"]\n"load.connections" = [1, 0]\n'
    claim = CLAIM.replace('"bridge"', '"macvlan"')
    text = VALID.replace('baseline = "host"', 'baseline = "none"') + factors + claim

    assert {"baseline", "claims.0.than", "factors", "factors.load.connections"} <= set(fields_at_fault(text))


def test_the_largest_plan_is_planned_and_one_block_more_is_not() -> None:
    schedule = "[schedule]\nblocks = {}\nslots_per_arm = 10\n"
    largest = parse_scenario(VALID + schedule.format(5_000), "unit.toml")

    assert len(plan_slots(largest, seed=1)) == MAX_SLOTS
    assert refusal_of(VALID + schedule.format(5_001)).seen.splitlines()[1].strip() == (
        "schedule: 5,001 blocks of 20 slots (arms, levels, slots_per_arm) are 100,020, and more than"
        " 100,000 cannot be planned"
    )
    assert extend(largest).schedule == largest.schedule


def test_a_level_that_is_no_single_value_is_one_clear_line() -> None:
    fault = refusal_of(f'{VALID}[factors]\n"load.engine" = [["raw"], "http"]\n').seen

    assert fault.splitlines()[1].strip().startswith("factors.load.engine: a level is one value")


@pytest.mark.parametrize(
    ("table", "option", "meant"),
    [
        ("capacity", "limt_ms", "capacity.limit_ms"),
        ("capacity", "resolutoin", "capacity.resolution"),
        ("capacity", "blocks", "schedule.blocks"),
        ("load", "limit_ms", "capacity.limit_ms"),
        ("margins", "p50_latency", "margins.p50_latency_us"),
    ],
)
def test_a_misspelt_option_suggests_one_of_its_own_table(table: str, option: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refusal_of(f"{VALID}[{table}]\n{option} = 3\n").seen


def test_every_setting_is_a_factor_but_those_that_say_otherwise() -> None:
    settings = {f"{table}.{name}" for table in ("load", "lab") for name in TABLES[table].model_fields}

    assert settings - FACTORS == {
        "load.locustfile",
        "load.measure_s",
        "load.model",
        "load.pacing",
        "load.warm_up_s",
        "load.wrk_witness_s",
    }


def test_an_arm_with_a_bad_mode_is_one_fault_and_not_two() -> None:
    assert fields_at_fault(VALID.replace('mode = "bridge"', 'mode = "bidge"')) == ["arms.1.mode"]


def test_an_address_outside_the_lab_is_refused_with_the_lab_s_own() -> None:
    fault = refusal_of(VALID + 'address = "192.0.2.1"\n').seen

    assert "192.0.2.1 is outside the lab (198.18.0.0/24)" in fault
    assert "198.18.0.100 and 198.18.0.200" in fault


def test_two_arms_in_host_mode_are_apart_by_port_or_by_address() -> None:
    for apart in ("port = 81", 'address = "198.18.0.200"'):
        text = VALID + f'[[arms]]\nname = "web"\nmode = "host"\n{apart}\n'
        assert len(parse_scenario(text, "unit.toml").arms) == 3


def test_the_number_of_faults_in_the_message_is_the_number_of_its_lines() -> None:
    text = VALID.replace('baseline = "host"', 'baseline = "none"') + '[factors]\n"load.model" = ["a", "b"]\n'

    assert refusal_of(text).seen.startswith(f"{len(fields_at_fault(text))} faults")


def test_a_scenario_without_factors_has_one_condition_with_an_empty_label() -> None:
    scenario = make_scenario()
    [only] = conditions(scenario)

    assert (only.label, only.load, only.lab) == ("", scenario.load, scenario.lab)


def test_conditions_are_every_combination_of_the_levels_and_change_nothing_else() -> None:
    factors = '[factors]\n"load.connections" = [1, 16]\n"lab.receive_steering" = [true, false]\n'
    scenario = parse_scenario(VALID + "[load]\nmeasure_s = 0.5\n" + factors, "unit.toml")
    found = conditions(scenario)

    assert [condition.label for condition in found] == [
        "connections=1, receive_steering=true",
        "connections=1, receive_steering=false",
        "connections=16, receive_steering=true",
        "connections=16, receive_steering=false",
    ]
    assert [(c.load.connections, c.lab.receive_steering) for c in found] == [
        (1, True),
        (1, False),
        (16, True),
        (16, False),
    ]
    assert {c.load.measure_s for c in found} == {0.5}


def test_a_scenario_is_the_same_after_a_way_through_json() -> None:
    text = VALID + CLAIM + 'metrics = ["p99_latency_us"]\n[factors]\n"load.engine" = ["raw", "http"]\n'
    scenario = parse_scenario(text, "unit.toml")

    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


def test_throughput_alone_is_a_metric_of_which_more_is_better() -> None:
    assert [metric for metric in Metric if metric.higher_is_better] == [Metric.THROUGHPUT_RPS]
    assert {metric.unit for metric in Metric} == {"us", "req/s", "ms", "MB"}
    assert all(
        metric.value.endswith(f"_{metric.unit}".lower()) for metric in Metric if metric.unit in ("ms", "MB")
    )


# The open model.


def test_an_open_loop_has_a_rate_and_poisson_arrivals_unless_it_says_otherwise() -> None:
    load = parse_scenario(OPEN + "rate_rps = 3000\n", "unit.toml").load

    assert (load.is_open, load.rate_rps, load.arrivals, load.begin_column) == (
        True,
        3_000.0,
        "poisson",
        "intended_ns",
    )
    assert (Load().is_open, Load().begin_column) == (False, "sent_ns")


def test_rates_and_arrivals_may_be_factors_and_the_rate_is_then_not_asked_for_twice() -> None:
    factors = '[factors]\n"load.rate_rps" = [100, 2000.5]\n"load.arrivals" = ["poisson", "uniform"]\n'
    found = conditions(parse_scenario(OPEN + factors, "unit.toml"))

    assert [(condition.load.rate_rps, condition.load.arrivals) for condition in found] == [
        (100, "poisson"),
        (100, "uniform"),
        (2000.5, "poisson"),
        (2000.5, "uniform"),
    ]


def test_what_is_wrong_with_an_open_loop_is_said_all_at_once() -> None:
    text = OPEN + 'engine = "http"\nwrk_witness_s = 1\n'

    assert set(fields_at_fault(text)) == {"load.rate_rps", "load.engine", "load.wrk_witness_s"}


def test_arms_of_an_open_loop_are_compared_on_latency_alone() -> None:
    scenario = parse_scenario(OPEN + "rate_rps = 100\n" + CLAIM, "unit.toml")

    assert scenario.metrics == (Metric.P50_LATENCY_US, Metric.P10_LATENCY_US, Metric.P99_LATENCY_US)
    assert set(make_scenario().metrics) == {*PERFORMANCE, Metric.P10_LATENCY_US}
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@pytest.mark.parametrize(
    ("load", "varied", "words"),
    [
        (Load(), (), "closed loop"),
        (Load(model="open", rate_rps=3_000), (), "open loop, Poisson arrivals at 3,000/s"),
        (Load(model="open", rate_rps=0.5), (), "open loop, Poisson arrivals at 0.5/s"),
        (Load(model="open", rate_rps=1_000_000), (), "open loop, Poisson arrivals at 1,000,000/s"),
        (Load(model="open", rate_rps=1_234.5), (), "open loop, Poisson arrivals at 1,234.5/s"),
        (
            Load(model="open", rate_rps=20_000, arrivals="uniform"),
            (),
            "open loop, evenly spaced arrivals at 20,000/s",
        ),
        (Load(model="open", rate_rps=9), ("load.arrivals",), "open loop, arrivals at 9/s"),
        (Load(model="open"), ("load.rate_rps",), "open loop, Poisson arrivals"),
    ],
)
def test_a_loop_in_words_leaves_out_what_the_conditions_vary(
    load: Load, varied: tuple[str, ...], words: str
) -> None:
    assert load.describe_loop(varied) == words


def test_taps_need_an_open_loop() -> None:
    assert "lab.taps: needs load.model open" in refusal_of(VALID + "[lab]\ntaps = true\n").seen


def test_where_packets_are_stamped_is_a_question_of_taps_alone() -> None:
    text = OPEN + "rate_rps = 1000\n[lab]\nstamp_before_queue = true\n"
    assert fields_at_fault(text) == ["lab.stamp_before_queue"]
    assert parse_scenario(
        text + '[factors]\n"lab.taps" = [true, false]\n', "unit.toml"
    ).lab.stamp_before_queue


@pytest.mark.parametrize(
    ("lab", "factors", "refused"),
    [
        ("taps = true", "", True),
        ("taps = true", '[factors]\n"lab.taps" = [true, false]', False),
        ("taps = false", '[factors]\n"lab.taps" = [false, true]', False),
        ("taps = true", '[factors]\n"lab.receive_steering" = [false, true]', True),
        ("taps = false", "", False),
    ],
)
def test_a_scenario_with_taps_throughout_compares_nothing_and_is_refused(
    lab: str, factors: str, refused: bool
) -> None:
    text = f"{OPEN}rate_rps = 1000\n[lab]\n{lab}\n{factors}\n"
    if refused:
        assert fields_at_fault(text) == ["lab.taps"]
        assert "this scenario has them throughout" in refusal_of(text).seen
    else:
        found = conditions(parse_scenario(text, "it"))
        assert [c.is_compared for c in found] == [not c.lab.taps for c in found]


def test_the_loop_in_python_may_do_whatever_the_compiled_one_may() -> None:
    loops = OPEN + 'rate_rps = 100\n[factors]\n"load.engine" = ["raw", "raw-python"]\n'
    found = parse_scenario(loops + '"load.keep_alive" = [true, false]\n', "unit.toml")
    witness = parse_scenario(VALID + '[load]\nwrk_witness_s = 1\nengine = "raw-python"\n', "unit.toml")

    assert found.factors["load.engine"] == ("raw", "raw-python")
    assert witness.load.engine == "raw-python"
