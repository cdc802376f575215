"""Workers on hosts of their own: Locust's master stays with the controller, who starts them there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from bench.errors import BenchError, EnvironmentLacks, MeasurementInvalid
from bench.generator.client import Generator, own_program
from bench.generator.membership import Gather, Gathered, Listening
from bench.generator.web_ui import web_ui_options
from bench.lab.hosts import command
from bench.lab.hosts.host import Host, Program
from bench.lab.hosts.journal import Journal
from bench.scenario.load import Load


@dataclass
class Seat:
    """Where a worker is, and who sits there."""

    number: int
    find_host: Callable[[], Host]
    """The load host: another object where its connection was lost and there is a new one."""
    cpu: int
    reach_back: Callable[[int], int]
    """A port of the controller's loopback -> where that host's loopback has it."""
    program: Program | None = None
    hires: int = 0

    @property
    def name(self) -> str:
        """Of who sits there now."""
        return f"{self.number}, hired as number {self.hires}"

    def leave(self) -> None:
        """End who sits there, alive or not."""
        with suppress(BenchError, OSError):  # A host that is gone took its worker along.
            if self.program:
                self.program.kill()
        self.program = None

    def hire(self, master_port: int, *, watched: bool) -> None:
        """Start a worker there."""
        self.hires += 1
        options = {"--master": f"{self.reach_back(master_port)}", "--name": self.name, "--cpu": f"{self.cpu}"}
        argv = ["python3", "-m", "bench.generator.worker"]
        argv += [word for option in options.items() for word in option]
        argv += ["--watched"] * watched
        self.program = self.find_host().start(argv, f"worker-{self.number}", cpus=f"{self.cpu}")


@dataclass
class GeneratorElsewhere(Generator):
    """Locust's master, and workers on their hosts."""

    port: int = 0
    seats: list[Seat] = field(default_factory=list)
    watched: bool = False

    def send_from(self, host: Host) -> None:
        """From where the workers are: there is no other place."""

    def home_of(self, worker: int) -> Host:
        """The host of its seat."""
        return self.seats[worker].find_host()

    def find_locustfile(self, load: Load) -> str | None:
        """None: a locustfile stays on the controller, and its users would be elsewhere."""
        if load.locustfile is None:
            return None
        raise MeasurementInvalid(
            f"Handing the locustfile {load.locustfile} to workers elsewhere",
            "load hosts run bench's own loops alone",
            "Run it in the lab of one machine, or say the load as requests.",
        )

    def count_workers(self, load: Load) -> int:
        """All of them, as far as each has a connection; whatever the scenario says, which knows no hosts."""
        return min(len(self.seats), load.connections)

    def revive(self) -> list[str]:
        """Start those workers again that have ended. Raises EnvironmentLacks where one does not join."""
        given_up = self.ask(Gather(names={}), Gathered).missing
        lost = [
            seat
            for seat in self.seats
            if seat.number in given_up or not seat.program or not seat.program.is_alive
        ]
        for seat in lost:
            seat.leave()
            seat.hire(self.port, watched=self.watched)
        gathered = self.ask(Gather(names={seat.number: seat.name for seat in lost}), Gathered)
        for number in gathered.missing:
            seat = self.seats[number]
            words = seat.program.words().strip() if seat.program else ""
            seat.program = None
            raise EnvironmentLacks(
                f"Starting a worker on {seat.find_host().name}",
                f"it did not join Locust's master; its last words: {words or 'none'}",
                "Its sshd must let a port be forwarded back (AllowTcpForwarding yes, the default).",
            )
        return [f"worker {seat.number + 1} is started again" for seat in lost]


@contextmanager
def generator_elsewhere(
    seats: list[Seat], journal: Journal, web_ui_port: int | None = None
) -> Iterator[GeneratorElsewhere]:
    """Start Locust's master here, and a worker in each seat."""
    log = journal.folder / "generator.log"
    argv = own_program("bench.generator", "--elsewhere", *web_ui_options(web_ui_port))
    process = command.start(argv, log=log, pipes=True)
    journal.write_process(process.pid, "Locust's master")
    try:
        assert process.stdout
        home = seats[0].find_host()
        line = process.stdout.readline()
        if not line:
            raise EnvironmentLacks(
                "Starting Locust's master",
                f"it ended: {log.read_text()[-1000:]}",
                "Run `make setup` again; if it stays so, report it.",
            )
        port = Listening.model_validate_json(line).port
        found = GeneratorElsewhere(process, home, log, home, port, seats, web_ui_port is not None)
        found.revive()
        yield found
    finally:
        for seat in seats:
            seat.leave()
        command.stop(process, timeout_s=2)
