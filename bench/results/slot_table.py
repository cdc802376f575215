"""slots.csv: one row a slot, every metric."""

import csv
import io
from pathlib import Path

from bench.records.run import SlotRecord
from bench.results.files import SLOTS_FILE, write_atomically
from bench.scenario.load import Load
from bench.scenario.metric import measured_metrics
from bench.slots.cpu import CpuRecord, Share

CPU_COLUMNS = (
    "cpu_containers_us",
    "cpu_docker_proxy_us",
    "cpu_generator_us",
    "context_switches_per_request",
    "net_rx_per_request",
    "idle_cores",
)

OF_REQUESTS = measured_metrics(Load(model="open", pacing="sleep"))
"""Metrics with a column in every table: of all that has requests."""


def write_slots_csv(folder: Path, slots: tuple[SlotRecord, ...]) -> None:
    """Write slots.csv: one row a slot, every metric, for a spreadsheet."""
    text = io.StringIO()
    rows = [slot_row(slot) for slot in slots]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["slot"]
    table = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(folder / SLOTS_FILE, text.getvalue().encode())


def slot_row(record: SlotRecord) -> dict[str, object]:
    """A slot as one flat row; the columns of slots.csv and of `Run.slots`."""
    slot = record.slot
    return {
        "slot": slot.index,
        "session": slot.session,
        "block": slot.block,
        "arm": slot.arm,
        "condition": slot.condition,
        "repeat": slot.repeat,
        "started_at": record.started_at,
        "valid": record.valid,
        "failed_gates": "; ".join(gate.name for gate in record.failed_gates),
        "requests": record.requests,
        "errors": record.errors,
        "unfinished": record.unfinished,
        **{metric.value: record.values.get(metric) for metric in OF_REQUESTS},
        "p999_latency_us": record.p999_latency_us,
        "mean_latency_us": record.mean_latency_us,
        "service_p50_us": record.service_p50_us,
        "service_p99_us": record.service_p99_us,
        "start_to_first_200_ms": record.start_to_first_200_ms,
        "wrk_witness_rps": record.wrk_witness_rps,
        "fixed_work_us": record.fixed_work_us,
        "seconds": record.seconds,
        "overhead_s": record.overhead_s,
        "window_start_ns": record.window_start_ns,
        "window_end_ns": record.window_end_ns,
        **_cpu_columns(record.cpu),
        "set": slot.life,
        "port": slot.port,
        "turns": record.turns.turns if record.turns else None,
        "path": record.path if record.requests else None,
        **(_start_columns(record) if record.starts else {}),
    }


def _start_columns(record: SlotRecord) -> dict[str, float | None]:
    """Of a slot whose subject is the start: its metrics, and what its containers left on their host."""
    assert record.starts
    found = record.starts.footprint
    return {
        **{metric.value: value for metric, value in record.values.items()},
        "containers": len(record.starts.containers),
        "dockerd_mb": found.dockerd_mb,
        "docker_proxies": found.proxies,
        "docker_proxies_mb": found.proxies_mb,
        "docker_proxies_rss_mb": found.proxies_rss_mb,
        "rules_written": found.rules_written,
    }


def _cpu_columns(cpu: CpuRecord | None) -> dict[str, float | None]:
    """What can be attributed of the CPU per request, and events a request; the whole is a metric."""
    if cpu is None:
        return dict.fromkeys(CPU_COLUMNS)
    shares = cpu.attributed_us_per_request
    values = (
        shares.get(Share.CONTAINERS),
        shares.get(Share.DOCKER_PROXY),
        shares.get(Share.GENERATOR),
        cpu.context_switches_per_request,
        cpu.net_rx_per_request,
        cpu.idle_cores,
    )
    return dict(zip(CPU_COLUMNS, values, strict=True))
