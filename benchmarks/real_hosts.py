"""The same scenario in the lab and over SSH, between machines of the same kernel on the same cores.

    python -m benchmarks.real_hosts [--scenario quick] [--rounds 3]

Whatever differs is the instrument's: there is one kernel, one page, one server, one pair of cores. The links
of the machines are steered as the lab's are (receive steering): on a network card that is its owner's.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import bench
from bench.judgement.comparison import Compared
from bench.lab.hosts import machine
from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.image import provide_host_image, provide_image
from bench.measure.settings import set_receive_steering
from bench.results.run import Run
from tests.lab.conftest import bench as run_bench
from tests.lab.machines import Machine, MachinePlan, Machines, machines
from tests.lab.real_hosts.conftest import Desk


def main() -> None:
    """Print a line a run, in turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_hosts")
    parser.add_argument("--scenario", default="quick")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            done = run_bench("run", options.scenario, "--results", folder, "--seed", number)
            if done.returncode not in (0, 4):
                sys.exit(done.stderr)
            show("lab", bench.load(next(Path(folder).glob("*/*"))))
        with standing_machines() as living:
            desk = Desk(living)
            hosts = write_hosts(desk)
            ended = desk.run(options.scenario, hosts, "--seed", f"{number}")
            if ended.status not in (0, 4):
                sys.exit(ended.stderr)
            logins = [count_logins(host) for host in living.by_name.values()]
            show(f"over SSH, logins {logins}", bench.load(desk.only_run()))


@contextmanager
def standing_machines() -> Iterator[Machines]:
    """A Docker host and a load host, whose images are there and whose links are steered."""
    plans = [MachinePlan("docker1"), MachinePlan("load1")]
    with machine_lock("benchmarks/real_hosts.py"), machines(*plans) as living:
        client_cpus, docker_cpus = machine.divide_cores()
        for name, cpus in (("docker1", docker_cpus), ("load1", client_cpus)):
            provide_host_image(living[name].docker)
            set_receive_steering(living[name].host.on_cores(cpus), on=True)
        provide_image(living["docker1"].docker)
        yield living


def write_hosts(desk: Desk) -> str:
    """The hosts file, with the cores that the lab's hosts have."""
    client_cpus, docker_cpus = machine.divide_cores()
    address = desk.machines["docker1"].address
    docker = f'[docker.docker1]\nssh = "docker1"\naddress = "{address}"\ncores = "{docker_cpus}"\n'
    return desk.write("hosts.toml", f'{docker}[load.load1]\nssh = "load1"\ncores = "{client_cpus}"\n')


def count_logins(host: Machine) -> int:
    """That its sshd has seen since it was started."""
    return len(re.findall("Accepted publickey", host.sshd.words(100_000)))


def show(where: str, run: Run) -> None:
    """Ratios, differences, overhead."""
    record = run.record
    valid = sum(slot.valid for slot in record.slots)
    overhead_s = median(slot.overhead_s for slot in record.slots if slot.requests)
    sys.stdout.write(
        f"{where}: {valid} of {len(record.slots)} slots valid, overhead {overhead_s:.2f} s a slot\n"
    )
    for found in run.verdict.comparisons:
        if found.kind is Compared.ARMS and found.ratio is not None and found.ci95:
            low, high = found.ci95
            told = f"{found.candidate} {found.metric}: {found.ratio:.4f} [{low:.4f}, {high:.4f}]"
            sys.stdout.write(f"    {told}, {found.difference} {found.difference_ci95}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
