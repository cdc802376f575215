"""Facts of machine, engines, image and lab: read as every version stored them, and written so again."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.records.environment import EngineFacts, HostFacts, ImageFacts, LabFacts, MachineFacts
from bench.records.run import RunRecord
from bench.scenario.engine_source import OWN_ENGINE, EngineSource, parse_engine_source

ROOT = Path(__file__).parents[2]
RUNS = [*sorted(ROOT.glob("results/*/*/run.json")), ROOT / "tests/pure/data/run-v2.json"]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.parent.name)
def test_the_facts_of_every_version_are_written_as_they_were_read(path: Path) -> None:
    stored = json.loads(path.read_text())
    written = json.loads(RunRecord.parse(path.read_text()).model_dump_json())

    for table in ("machine", "engines", "image", "lab", "tools"):
        assert json.dumps(written[table]) == json.dumps(stored[table])


def test_a_lab_is_its_hosts_and_where_its_client_stands() -> None:
    text = (
        '{"client":"198.18.0.10/24; cores 0","docker1":"198.18.0.100/24, 198.18.0.200/24; cores 1,3-5",'
        '"switch":"no address; cores 0","bare":"cores 2","vantage":"same-kernel lab"}'
    )
    found = LabFacts.parse(text)

    assert found.hosts["docker1"].addresses == ("198.18.0.100/24", "198.18.0.200/24")
    assert [found.hosts[name].addresses for name in ("switch", "bare")] == [(), None]
    assert [host.cores for host in found.hosts.values()] == ["0", "1,3-5", "0", "2"]
    assert found.vantage == "same-kernel lab"
    assert found.model_dump_json() == text
    assert LabFacts(hosts=found.hosts, vantage=found.vantage) == found
    assert LabFacts.parse("{}") == LabFacts()
    assert LabFacts().model_dump_json() == ImageFacts().model_dump_json() == "{}"


@pytest.mark.parametrize("text", ["", "somewhere", "cores ", "here cores 0", "1"])
def test_a_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        LabFacts.parse(json.dumps({"client": text}))


def test_what_was_not_read_is_not_written() -> None:
    assert MachineFacts(cpu="A CPU").stated() == {"cpu": "A CPU"}
    assert EngineFacts(version="26.1.5").model_dump_json() == '{"version":"26.1.5"}'
    with pytest.raises(ValidationError):
        EngineFacts.parse('{"what":"the machine\'s own engine"}')


def test_a_machine_differs_in_what_figures_depend_on() -> None:
    machine = MachineFacts(kernel="6.1", cpu="A CPU", host="one")

    assert machine.differing(MachineFacts(kernel="6.1", cpu="A CPU", host="another")) == []
    assert machine.differing(MachineFacts(kernel="6.2", cpu="A CPU", usable_cores="0")) == [
        "kernel",
        "usable_cores",
    ]


def test_a_host_is_written_as_it_is_read() -> None:
    assert str(HostFacts(addresses=(), cores="0")) == "no address; cores 0"


def test_an_engines_source_is_its_text_and_no_other() -> None:
    for text in ("machine", "debian:trixie"):
        assert str(parse_engine_source(text)) == text
    assert parse_engine_source("machine") == OWN_ENGINE
    assert parse_engine_source("debian:trixie") == EngineSource("trixie")
    for wrong in ("", "debian:", "debian:Trixie", "28.5", "machine ", "machine\n", "debian:" + "a" * 21):
        with pytest.raises(ValueError, match="is no engine"):
            parse_engine_source(wrong)
