"""What the report says about its method: the words, how it was measured, what it does not tell."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.report.run import attestation
from bench.report.run.answer import describe_workload
from bench.report.run.instrument import describe_instrument
from bench.report.run.limits import describe_limits
from bench.report.run.turns import describe_turns
from bench.report.run.words import explain_change_words, explain_claim_words, explain_words
from bench.report.text import count, format_number, format_share, join_words
from bench.results.run import Run
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Vantage
from bench.scenario.placement import docker_host_of

SAME_STACK = (
    "A load from the Docker host itself comes from the same process, on the client's cores, with its"
    " sockets in the Docker host's network: client and server then share one stack, and receive"
    " steering, which is of the wire, plays no part."
)
LOCAL = {Vantage.HOST_LOOPBACK, Vantage.HOST_ADDRESS}
IN_CONTAINER = (
    "A load from a container comes from the same process, on the client's cores, with its sockets in that"
    " container's network; in host mode, where that is the Docker host's own, there. A peer is a Docker host"
    " of its own with an engine as the server's, whose kernel's work is done on the client's cores."
)
START = (
    "A slot is a start ({workload}): its containers are asked for together, a thread of Docker's client "
    "each, as people do with `docker run`. Of each are stamped, on one clock: when it was asked for and "
    "when Docker had answered that it is created; when its start was asked for and answered; when its "
    "server was seen to listen (in /proc, looked at every millisecond from its first process on; the "
    "longest pause between two looks is kept with each slot); the first of three right answers in a row "
    "at the client, over the arm's own path, asked for every millisecond from Docker's answer on; and "
    "when its removal was asked for and answered. A slot's times are those of the last of its containers, "
    "since the first was asked for. The path is proved by each container's network namespace alone: no "
    "counters are read. New processes are the engine's own work, and void nothing."
)


def tell_method(run: Run) -> Mapping[str, Any]:
    """How the run was measured, what was proved of its slots, and what the words mean."""
    first, *rest = describe_method(run)
    sameness, reasons = attestation.tabulate_sameness(run)
    return {
        "first": first,
        "modes": list_modes(run),
        "controls": attestation.describe_controls(run),
        "rest": rest,
        "sameness_said": attestation.describe_sameness(run),
        "sameness": sameness,
        "reasons": [f"{reason}: {', '.join(names)}." for reason, names in reasons],
        "paths": attestation.tabulate_paths(run),
        "words": [
            ("The words", explain_words(run)),
            *([("The words on a change", explain_change_words())] if run.verdict.changes else []),
            *([("The words on a claim", explain_claim_words())] if run.record.scenario.claims else []),
        ],
        "limits": describe_limits(run),
    }


def tell_environment(run: Run) -> Mapping[str, Any]:
    """Machine, engines, image, lab and tools, fact by fact."""
    record = run.record
    found = [
        ("Machine", record.machine.stated()),
        *((f"Engine of {name}", facts.stated()) for name, facts in record.engines.items()),
        ("Image", record.image.stated()),
        ("Lab", record.lab.stated()),
        ("Tools", record.tools),
    ]
    return {
        "environment": [
            (name, [(key.replace("_", " "), value) for key, value in facts.items()])
            for name, facts in found
            if facts
        ]
    }


def describe_method(run: Run) -> list[str]:
    """How the run was measured, a paragraph each."""
    baseline, built_in = run.record.scenario.baseline, run.record.scenario.served.is_built_in
    return [
        (
            "Arms differ in their network and in nothing else: one image, one"
            f" {'Apache ' if built_in else ''}configuration, the same cores."
        ),
        _describe_slot(run),
        *describe_turns(run),
        *_describe_ends(run),
        *_describe_open_loop(run),
        _describe_schedule(run),
        _describe_lab(run),
        *(describe_instrument(run.record.calibration) if run.record.calibration else []),
        (
            f"A ratio above 1 means that {baseline} is better. {_describe_orientation(run)}; it is"
            " the exponential of the mean of the blocks' log-ratios, with the interval of the means of"
            " all subsets of blocks. The block (with several sessions: the session) is"
            f" the sample, never the request. A difference is the other arm's value minus {baseline}'s,"
            " with its own interval."
        ),
        (
            "A/A pairs compare slots of one arm with other slots of the same arm. Their true ratio is"
            " 1, so what they show is noise; what is wrong is looked for along what was not shuffled."
            " A margin is the smallest difference that matters, declared before there was data."
        ),
    ]


def _describe_orientation(run: Run) -> str:
    baseline = run.record.scenario.baseline
    if run.record.scenario.load.is_start:
        return f"It is the other arm's time, or memory, divided by {baseline}'s"
    return (
        f"For latency it is the other arm's value divided by {baseline}'s, for throughput {baseline}'s"
        " divided by the other arm's"
    )


def list_modes(run: Run) -> list[tuple[str, str]]:
    """Each arm and how its server is joined to the network."""
    return [(arm.name, _describe_arm(run, arm)) for arm in run.record.scenario.arms]


def _describe_arm(run: Run, arm: Arm) -> str:
    own = MODES[arm.kind].summary
    shared = f", here that of {arm.target}" if arm.target else ""
    place = _name_hosts(run, arm)
    return f"{own}{shared} ({place}, port {arm.port})"


def _name_hosts(run: Run, arm: Arm) -> str:
    """The Docker hosts on which an arm ran, one for each engine that it needs."""
    scenario = run.record.scenario
    found = dict.fromkeys(docker_host_of(scenario, arm, condition).name for condition in run.conditions)
    return join_words(list(found))


def _describe_slot(run: Run) -> str:
    load, interleave = run.record.scenario.load, run.record.scenario.schedule.interleave
    if load.is_start:
        return START.format(workload=describe_workload(run))
    if interleave:
        return (
            f"A slot is a fresh container, measured once: {load.warm_up_s:g} s of warm-up, then its turns"
            f" ({describe_workload(run)}), every request recorded."
        )
    text = (
        f"A slot is a fresh container, measured once: {load.warm_up_s:g} s of warm-up, then a window of"
        f" {load.measure_s:g} s ({describe_workload(run)}), every request recorded."
    )
    witness = f" Then wrk measured the same container for {load.wrk_witness_s} s."
    return text + witness if load.wrk_witness_s else text


def _describe_ends(run: Run) -> list[str]:
    """What sent the requests and what answered them, as the slots' evidence has it; of runs that kept it."""

    def kept(key: str) -> list[str]:
        found = (slot.evidence.get(key) for slot in run.record.slots if slot.measured)
        return sorted({value for value in found if value})

    loops, threads, backlogs = map(kept, ("load loop", "Apache's threads", "Apache's listen backlog"))
    said = []
    if run.record.scenario.load.is_lookup:
        said.append("Lookups were made inside the container, by its own C library (getaddrinfo).")
    elif loops:
        said.append(f"Requests were sent by this loop of the load generator: {join_words(loops)}.")
    if threads and backlogs and run.record.scenario.served.is_built_in:
        said.append(
            f"Apache had one process of {join_words(threads)} threads and a listen backlog of"
            f" {join_words(backlogs)}, the same in every arm and under every condition: they follow from the"
            " most connections that the scenario asks for."
        )
    return [" ".join(said)] if said else []


def _describe_open_loop(run: Run) -> list[str]:
    """What latency is in an open loop, beside the service time, and where throughput went."""
    if not run.record.scenario.load.is_open:
        return []
    found: dict[str, list[tuple[float, float]]] = {}
    for slot in run.record.slots:
        if slot.valid and slot.service_p50_us is not None and slot.service_p99_us is not None:
            name = " ".join(filter(None, (slot.slot.arm, run.conditions[slot.slot.condition].label)))
            found.setdefault(name, []).append((slot.service_p50_us, slot.service_p99_us))
    asleep = (
        "The generator slept between its arrivals, so that CPU could be counted. Latency therefore holds the"
        " time in which it was woken, the same in all arms: for latency, spin."
    )
    medians = {name: [median(values) for values in zip(*pairs, strict=True)] for name, pairs in found.items()}
    seen = [
        f"{name}: p50 {format_number(p50)} us, p99 {format_number(p99)} us"
        for name, (p50, p99) in medians.items()
    ]
    return [
        (
            "Requests arrived at times drawn beforehand, the same in every slot of a block. Latency is the"
            " response time: it counts from a request's own time, so that waiting for a free connection is"
            " part of it. Throughput is the rate that was given, so arms are not compared on it. Service"
            f" time alone, from the sending, medians of slots: {'; '.join(seen) or 'unknown'}."
        ),
        *([asleep] if run.record.scenario.load.pacing == "sleep" else []),
    ]


def _describe_schedule(run: Run) -> str:
    record, schedule = run.record, run.record.scenario.schedule
    scenario = record.scenario
    per_block = sum(scenario.repeats(arm) for arm in scenario.arms) * len(run.conditions)
    alone = [arm.name for arm in scenario.arms if scenario.repeats(arm) < schedule.slots_per_arm]
    one = f" (one of {join_words(alone)})" if alone else ""
    condition = f" under each of {count(len(run.conditions), 'condition')}" if len(run.conditions) > 1 else ""
    ends = ""
    if record.precision:
        ends = (
            f" The run was to end where every p50 ratio is known to ± {format_share(record.precision)}; it"
            " looked a few times, at widths alone, never at what they said."
        )
    elif record.decide:
        ends = (
            " The run was to end once every p50 ratio is told to be beyond its margin or inside it: its"
            " intervals are those of confidence sequences, which may be looked at after every block."
        )
    digest = f" (SHA-256 of the plan: {record.plan_sha256})" if record.plan_sha256 else ""
    sessions = f" in {count(schedule.sessions, 'session')}, the engine restarted between two"
    return (
        f"A block is {per_block} slots, {schedule.slots_per_arm} of each arm{one}{condition}, in a random"
        f" order drawn from the seed {record.seed} before there was data{digest}. Planned were"
        f" {count(record.planned[-1].block + 1, 'block')}"
        f" ({count(len(record.planned), 'slot')}){sessions if schedule.sessions > 1 else ''}; measured"
        f" were {count(len(record.slots), 'slot')}.{ends}"
    )


def _describe_lab(run: Run) -> str:
    """What the lab held fixed, and what the conditions varied."""
    scenario = run.record.scenario
    settings = {
        "lab.hold_idle_states": f"idle states {run.record.idle_states or 'not looked at'}",
        "lab.receive_steering": f"receive steering {'on' if scenario.lab.receive_steering else 'off'}",
    }
    controls = {
        "lab.forward_rules": (scenario.lab.forward_rules, "more rules in the forwarding path"),
        "lab.server_wait_us": (scenario.lab.server_wait_us, "us of waiting before each response"),
        "lab.link_mbit": (scenario.lab.link_mbit, "Mbit/s as the limit of the client's link"),
        "lab.client_ports": (scenario.lab.client_ports, "ephemeral ports of the client"),
    }
    settings |= {field: f"{size:,} {what}" for field, (size, what) in controls.items() if size}
    fixed = [words for field, words in settings.items() if field not in scenario.factors]
    varied = [field.split(".")[1] for field in scenario.factors]
    where = "Client and Docker host are network namespaces of one machine, without an uplink."
    if run.record.on_real_hosts:
        where = (
            "Load hosts and Docker host are machines of their owner's, reached over SSH; the engine is the"
            " one that runs there, and nothing of them was altered: what the lab sets is as it was found."
        )
        settings.pop("lab.receive_steering", None)
        fixed = [words for field, words in settings.items() if field not in scenario.factors]
    return " ".join(
        [
            where,
            *([f"Throughout, the scenario asked for {join_words(fixed)}."] if fixed else []),
            *([f"Varied by condition: {join_words(varied)}."] if varied else []),
            *([SAME_STACK] if LOCAL.intersection(run.vantages) else []),
            *([IN_CONTAINER] if any(vantage.is_in_container for vantage in run.vantages) else []),
        ]
    )
