"""Writes the image of bench itself for `docker load`: `make image`.

    python -m bench.lab.servers.bench_image bench-image.tar.gz

It is built in an engine of its own, on a host without a link, as everything else of bench's is.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import interrupts
from bench.errors import EnvironmentLacks, ExitCode, Interrupted
from bench.lab.hosts.journal import Journal, undo, undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.machine import usable_cores
from bench.lab.hosts.namespaces import HostPlan, namespace_host
from bench.lab.hosts.requirements import require_all
from bench.lab.servers.engine import engine
from bench.lab.servers.engine_failures import explained
from bench.lab.servers.image import write_bench_image
from bench.scenario.placement import DOCKER1

ROOM_BYTES = 6 * 2**30
"""For an engine that has context, layers and archive at once; of memory, it takes what is used."""


def make_bench_image(archive: Path) -> None:
    """Write it to `archive`, compressed where that ends with .gz.

    Raises EnvironmentLacks where it cannot be made here.
    """
    require_all()
    with machine_lock("make image"):
        undo_dead_runs()
        journal = Journal(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-image")
        plan = HostPlan("docker1", (), ",".join(map(str, usable_cores())))
        try:
            with namespace_host(plan, journal) as host:
                host.run(["mount", "-o", f"remount,size={ROOM_BYTES}", f"{host.scratch}/data"])
                with engine(host, journal, DOCKER1) as builder, explained({"docker1": builder}, "Try again."):
                    write_bench_image(builder.client, archive)
        finally:
            undo(journal.run_id)


if __name__ == "__main__":
    interrupts.heed()
    try:
        make_bench_image(Path(sys.argv[1]))
    except EnvironmentLacks as lack:
        sys.stderr.write(f"{lack}\n")
        sys.exit(lack.exit_code)
    except Interrupted:
        sys.exit(ExitCode.INTERRUPTED)
