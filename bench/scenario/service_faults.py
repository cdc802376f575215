"""What of a service of a person's own, and of its companions, does not go together with the other tables."""

from collections.abc import Iterator

from bench.scenario.interleaving import INSTEAD
from bench.scenario.load import RAW_ENGINES, Load
from bench.scenario.model import LabSettings
from bench.scenario.modes.model import Mode
from bench.scenario.tables import Tables

WITH_COMPANIONS = (Mode.HOST, Mode.BRIDGE, Mode.USER_BRIDGE, Mode.PROXY)
"""Modes in which a service is known to find its companions."""
OF_APACHE = {
    "load.page_bytes": "its pages are the built-in Apache's; say what is asked for as [[requests]]",
    "lab.server_wait_us": "the library that waits is in the built-in image",
    "load.wrk_witness_s": "wrk asks for one page of the built-in Apache",
    "lab.taps": "captures follow requests by a number in their path, which your service may not take",
}
"""Settings that go with the built-in service alone, and why."""


def faults_of_service(asked: Tables) -> Iterator[str]:
    """What only the built-in Apache can do, and what a service of one's own needs."""
    if asked.service is None:
        for table in ("requests", "companions"):
            if getattr(asked, table):
                yield f"{table}: are of a service of your own, and there is no [service]"
        if False in _levels_of_tls(asked):
            yield "load.tls: the built-in Apache is asked by http, whatever it says"
        return
    yield from _faults_of_apaches(asked)
    yield from _faults_of_tls(asked)
    if asked.capacity is not None:
        yield "capacity: knees are found with the built-in Apache, so far"
    if not {asked.load.engine, *asked.factors.get("load.engine", ())} <= RAW_ENGINES:
        given = {"requests": bool(asked.requests), "service.tls": asked.service.tls is not None}
        yield from (
            f"{name}: only the raw engines can do that" for name, is_given in given.items() if is_given
        )
    for index, arm in enumerate(asked.arms):
        if arm.kind is Mode.NATIVE:
            yield f"arms.{index}.mode: native runs the built-in Apache's own files, without Docker"
    yield from _faults_of_companions(asked)


def _faults_of_apaches(asked: Tables) -> Iterator[str]:
    """What the built-in service alone can be told."""
    usual = {"load": Load(), "lab": LabSettings()}
    for key, reason in OF_APACHE.items():
        table, field = key.split(".")
        if key in asked.factors or getattr(getattr(asked, table), field) != getattr(usual[table], field):
            yield f"{key}: {reason}"


def _levels_of_tls(asked: Tables) -> set[object]:
    return {asked.load.tls, *asked.factors.get("load.tls", ())}


def _faults_of_tls(asked: Tables) -> Iterator[str]:
    """A load without TLS, of a service that has it."""
    assert asked.service
    if False not in _levels_of_tls(asked):
        return
    tls = asked.service.tls
    if tls is None or tls.plain_port is None:
        yield "load.tls: where it is off, service.tls.plain_port says at which port is asked instead"
    if asked.service.moves:
        yield "load.tls: a service that is told its port is told one, and cannot be asked at another"
    if {asked.load.engine, *asked.factors.get("load.engine", ())} != {"raw-python"}:
        yield (
            "load.tls: the compiled loop knows no TLS, so that with and without it different programs would"
            ' ask; give load.engine = "raw-python"'
        )


def _faults_of_companions(asked: Tables) -> Iterator[str]:
    names = [companion.name for companion in asked.companions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"companions: the name {name} is used twice"
    if asked.companions and asked.schedule.interleave is not None:
        yield f"schedule.interleave: a service with companions has its host to itself{INSTEAD}"
    for index, arm in enumerate(asked.arms if asked.companions else ()):
        if arm.kind not in WITH_COMPANIONS:
            known = ", ".join(WITH_COMPANIONS)
            yield f"arms.{index}.mode: a service with companions is measured in {known}"
