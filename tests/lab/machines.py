"""Hosts of the lab that are like machines: each with an sshd, an engine at the usual place and accounts.

    desk (eth0) --veth-- (p-desk) switch (p-docker1) --veth-- (eth0) docker1: sshd, /run/docker.sock

A machine's /root, /home, /tmp, /var/tmp, /var/log, /dev/shm and /var/lib/bench are its own and begin empty;
its /run, /etc and /opt are private already (bench/lab/hosts/namespaces.py). All else is the real machine's,
and nothing here writes to it; `bench` at the desk finds its cache there, and root may fill it.

Needs `machine_lock`, held by the caller, and Debian's openssh-server.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from docker import DockerClient
from docker.errors import DockerException

from bench import paths
from bench.lab.hosts.host import Program, pid_file, read_one
from bench.lab.hosts.journal import Journal, undo
from bench.lab.hosts.lab import Lab, port_of, verify_sealed, wiring
from bench.lab.hosts.namespaces import ENTER, HostPlan, NamespaceHost, namespace_host
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.docker_client import connect
from bench.lab.servers.engine import engine_argv
from bench.procfs import parse_process
from bench.results.files import new_run_id
from bench.scenario.modes.addresses import CLIENT, docker_host_addresses
from tests.lab.world import COUNTDOWN, MARK_NAME

READY_S = 30.0
"""For a daemon to answer; dockerd takes about one second."""
PATIENCE_S = 600.0
SETTLED_S = 3.0
"""For sessions of ssh to end whose client has ended: after that they are what is there."""
PROJECT = Path(__file__).parents[2]
DOCKER_BYTES = 6 * 2**30
SOCKET = "/run/docker.sock"
PERSON, STRANGER = "person", "stranger"
"""Accounts of every machine: one in the group `docker`, and one that is not."""
HIDDEN = ("/root", "/home", "/tmp", "/var/tmp", "/var/log", "/dev/shm", str(paths.STATE))
OPEN = ("/tmp", "/var/tmp", "/dev/shm")
"""Those of them that everybody may write to."""
COMMON = {"LANG": "C.UTF-8", "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
"""Environment of every command of the desk."""
JUMP = "jump"
RULES = ("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy")
SETTINGS = "/proc/sys/net/ipv4 /proc/sys/net/ipv6 /proc/sys/net/core /proc/sys/net/bridge"
FOLDERS = ("/tmp", "/var/tmp", "/root", "/home", "/run", "/dev/shm", "/etc/docker", str(paths.STATE))
FIRST_USE = re.compile(
    r"docker0 .*\bfe80:|\bfe80:.* dev docker0|ff00::/8 dev docker0"
    r"|/exec/netns/default |^d /run/containerd(/s)?$"
)
"""What the kernel and an engine make at the engine's first container ever, and keep: no container's own."""
SSHD_CONFIG = "/etc/ssh/sshd_config_of_machine"
RUNC = """\
#!/bin/sh
flag=
for word in "$@"; do
    case "$flag" in
        --bundle) sed -i {edits} "$word/config.json" ;;
        --process) sed -i {edits} "$word" ;;
    esac
    flag=$word
done
exec runc "$@"
"""
"""What a container is asked to be given, less the rights that this machine itself lacks."""
SSHD = """\
Port 22
ListenAddress {address}
HostKey /etc/ssh/key_of_machine
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile /etc/ssh/authorized/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root {person} {stranger}
Subsystem sftp internal-sftp
"""

Look = dict[str, list[str]]
User = Literal["root", "person"]


@dataclass(frozen=True)
class MachinePlan:
    """A machine before it exists. One of the name `jump` is what others are reached over as well."""

    name: str
    """At most 13 characters, as the switch's end of its link carries it."""
    docker: bool = True
    docker_bytes: int = DOCKER_BYTES
    """Most that its engine's data may take; of memory, it takes what is used."""
    sshd_options: tuple[str, ...] = ()
    """Lines of sshd_config ("MaxSessions 1"); of a setting that is here twice, these hold."""
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    """Of its daemon.json."""


@dataclass(frozen=True)
class Done:
    """A command of the desk that has ended. Ended by a signal, its status is minus its number."""

    status: int
    stdout: str
    stderr: str


@dataclass
class Running:
    """A command of the desk that was started and may still run."""

    argv: tuple[str, ...]
    outer: "subprocess.Popen[bytes]"
    """The nsenter that stands for it."""
    files: tuple[Path, Path]
    pid: int
    """Its process id as it is numbered here; also that of its process group and its session."""

    @property
    def stdout(self) -> str:
        """What it has said so far."""
        return self.files[0].read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has complained of so far."""
        return self.files[1].read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.outer.poll() is None

    def says(self, text: str, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until it has said `text`, on either output; whether it did before it ended."""
        wait_until(lambda: text in self.stdout + self.stderr or not self.is_alive, timeout_s, step_s=0.02)
        return text in self.stdout + self.stderr

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """To the command alone, as `kill` does; to its `group`, as a terminal does at Ctrl-C."""
        with suppress(ProcessLookupError):
            if not self.is_alive or not self.pid:
                return
            (os.killpg if group else os.kill)(self.pid, number)
            if number is signal.SIGCONT:  # nsenter stops itself with its command.
                os.kill(self.outer.pid, number)

    def wait(self, timeout_s: float = PATIENCE_S) -> Done:
        """Its end. Raises subprocess.TimeoutExpired, and leaves it running."""
        return Done(self.outer.wait(timeout_s), self.stdout, self.stderr)

    def end(self) -> None:
        """End what lives of its group at once."""
        self.signal(signal.SIGKILL, group=True)
        self.outer.kill()
        self.outer.wait()


@dataclass
class Machine:
    """A living machine. Its programs and its client change as it is struck and mended."""

    plan: MachinePlan
    address: str
    """On the wire, without prefix length."""
    host: NamespaceHost
    switch: NamespaceHost
    sshd: Program
    cgroup: str
    engine: Program | None = None
    """dockerd, which starts a containerd of its own; None where there shall be none."""
    _client: DockerClient | None = None

    @property
    def name(self) -> str:
        """As its host, and as ssh at the desk knows it."""
        return self.plan.name

    @property
    def docker(self) -> DockerClient:
        """The tests' own look at its engine, by no ssh."""
        assert self._client, f"no engine answers on {self.name}"
        return self._client

    def load_image(self, archive: Path) -> str:
        """Load what `docker save` wrote; its name where it has one, else its id."""
        with archive.open("rb") as stream:
            [image] = self.docker.images.load(stream)
        return str(image.tags[0] if image.tags else image.id)

    def kill_sshd(self, *, sessions: bool = True) -> None:
        """SIGKILL to sshd and, with `sessions`, to those that serve a connection; not to what these run."""
        found = self.sessions() if sessions else []
        self.sshd.kill()
        self._signal("KILL", found)

    def start_sshd(self) -> None:
        """Start it again, and wait until it listens."""
        self.sshd = _start_sshd(self.host)

    def sessions(self) -> list[int]:
        """Processes of sshd that serve a connection, as the machine numbers them."""
        return _sessions(self.host)

    def stop_sessions(self) -> None:
        """SIGSTOP to them: a connection is there and nobody answers. sshd goes on taking new ones."""
        self._signal("STOP", self.sessions())

    def continue_sessions(self) -> None:
        """SIGCONT to them."""
        self._signal("CONT", self.sessions())

    def kill_dockerd(self) -> None:
        """SIGKILL to dockerd; the kernel ends its containerd. Containers live on, and the socket's file."""
        assert self.engine
        if self._client:
            self._client.close()
        self._client = None
        self.engine.kill()

    def start_dockerd(self) -> None:
        """Start it again, and wait until it answers; it ends the containers of before."""
        self.engine = _start_dockerd(self.host, self.cgroup)
        self.meet_dockerd()

    def stop_dockerd(self) -> None:
        """SIGSTOP to dockerd: its socket takes a connection and nobody answers."""
        assert self.engine
        self._signal("STOP", [self.engine.pid])

    def continue_dockerd(self) -> None:
        """SIGCONT to dockerd; nothing where there is none."""
        if not self.engine:
            return
        self._signal("CONT", [self.engine.pid])
        for here in self.host.numbered_here("dockerd"):  # The nsenter that made it stopped itself with it.
            os.kill(parse_process(Path(f"/proc/{here}/stat").read_text()).parent, signal.SIGCONT)

    def meet_dockerd(self) -> None:
        """Wait until dockerd answers."""
        assert self.engine
        self._client = _meet_dockerd(self.host, self.engine)

    def link(self, *, up: bool) -> None:
        """Its cable, at the switch."""
        self.switch.run(["ip", "link", "set", port_of(self.name), "up" if up else "down"])

    def look(self) -> Look:
        """What a person has on this machine, as sorted lines that can be compared: see `look`."""
        return look(self.host, self._client)

    def let_go(self) -> None:
        """Of what stands here for its programs, after its host has ended."""
        if self._client:
            self._client.close()
        for program in (self.sshd, self.engine):
            if program:
                program.outer.let_go()

    def _signal(self, name: str, pids: Sequence[int]) -> None:
        if pids:
            signalled = " ".join(map(str, pids))
            self.host.run(["sh", "-c", f"kill -s {name} {signalled} 2>/dev/null || true"])


@dataclass
class Machines:
    """The living machines, and the desk that they are reached from."""

    desk: NamespaceHost
    """No sshd, no engine. Its scratch folder is hidden from it: start programs there by `start`."""
    switch: NamespaceHost
    by_name: dict[str, Machine]
    folder: Path
    _started: list[Running] = field(default_factory=list)

    def __getitem__(self, name: str) -> Machine:
        return self.by_name[name]

    def home(self, user: User = "root") -> str:
        """Home of `user` on every machine; what is started at the desk is started there."""
        return "/root" if user == "root" else f"/home/{user}"

    def path(self, path: str) -> Path:
        """The desk's file or folder of that absolute path, for who looks at it from here."""
        return self.desk.get(path)

    def write(self, path: str, text: str, user: User = "root") -> str:
        """Make the desk's file `path`, its folder included, for `user`; returns `path`."""
        self.desk.run(["install", "-d", "-o", user, "-g", user, str(Path(path).parent)])
        self.desk.put(path, [text.encode()])
        self.desk.run(["chown", f"{user}:{user}", path])
        return path

    def run(
        self,
        argv: Sequence[str],
        user: User = "root",
        *,
        timeout_s: float = PATIENCE_S,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run `argv` at the desk to its end. Raises subprocess.TimeoutExpired, and ends it."""
        running = self.start(argv, user, env=env)
        try:
            return running.wait(timeout_s)
        finally:
            running.end()

    def start(
        self, argv: Sequence[str], user: User = "root", *, env: Mapping[str, str] | None = None
    ) -> Running:
        """Start `argv` at the desk: in a session and a group of its own, without terminal or input.

        Its environment is that of a fresh login and `env`, with the project's own commands in its PATH.
        """
        login = {"HOME": self.home(user), "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
        mark = {MARK_NAME: os.environ[MARK_NAME]}
        become = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user != "root" else []
        entered = ["nsenter", "-t", str(self.desk.init_pid), *ENTER, "--", "setsid", *become]
        at_home = ["sh", "-c", 'cd && exec "$@"', "sh", *argv]
        number = len(self._started)
        files = (self.folder / f"command-{number}.out", self.folder / f"command-{number}.err")
        with files[0].open("wb") as output, files[1].open("wb") as messages:
            outer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *entered, *at_home],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=messages,
                env={**COMMON, **login, **mark, **(env or {})},
                start_new_session=True,
            )
        running = Running(tuple(argv), outer, files, _command_of(outer))
        self._started.append(running)
        return running

    def look(self) -> dict[str, Look]:
        """Machine's name -> what is there; the desk included."""
        return {"desk": look(self.desk, None)} | {name: each.look() for name, each in self.by_name.items()}

    def end_started(self) -> None:
        """End what was started at the desk and still lives."""
        for running in self._started:
            running.end()


@contextmanager
def machines(*plans: MachinePlan) -> Iterator[Machines]:
    """Start the machines of `plans` and the desk; end all that runs on them on the way out.

    Needs `machine_lock`.
    """
    names = [plan.name for plan in plans]
    assert len({*names, "desk", "switch"}) == len(names) + 2, "each machine has a name of its own"
    journal = Journal(new_run_id(datetime.now(UTC)))
    with ExitStack() as stack:
        stack.callback(undo, journal.run_id)
        living: dict[str, Machine] = {}
        stack.callback(_each, living, Machine.let_go)
        addresses = {plan.name: docker_host_addresses(number)[0] for number, plan in enumerate(plans)}
        lab = _joined(addresses, journal, stack)
        found = Machines(lab.client, lab.switch, living, journal.folder)
        stack.callback(_each, living, Machine.continue_dockerd)
        stack.callback(found.end_started)
        _make_own(lab.client, _needed_at_desk(), "ro", "755")
        _make_accounts(lab.client)
        _make_keys(lab.client)
        for plan in plans:
            living[plan.name] = _furnish(plan, addresses[plan.name], lab, journal)
        _make_ssh_known(lab.client, list(living.values()))
        for machine in living.values():
            if machine.engine:
                machine.meet_dockerd()
        yield found


def _each(living: Mapping[str, Machine], act: Callable[[Machine], None]) -> None:
    for machine in living.values():
        act(machine)


def _joined(addresses: Mapping[str, str], journal: Journal, stack: ExitStack) -> Lab:
    """Hosts on one wire, as bench.lab.hosts.lab joins them: the desk where its client stands."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    plans = [
        HostPlan("desk", (CLIENT,), cpus),
        *(HostPlan(name, (f"{address}/24",), cpus) for name, address in addresses.items()),
    ]
    living = {
        plan.name: stack.enter_context(namespace_host(plan, journal))
        for plan in [*plans, HostPlan("switch", (), cpus)]
    }
    for name, argv in wiring(plans):
        living[name].run_in_network(
            [part.format(**{n: h.init_pid for n, h in living.items()}) for part in argv]
        )
    lab = Lab(living["desk"], {name: living[name] for name in addresses}, living["switch"])
    lab.switch.run(["sh", "-c", "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables || true"])
    verify_sealed(lab)
    return lab


def _needed_at_desk() -> list[str]:
    """What runs `bench`: the project, which nobody shall write to from there, and its interpreter."""
    interpreter = {sys.prefix, sys.base_prefix}
    hidden = sorted(path for path in interpreter if any(Path(path).is_relative_to(each) for each in HIDDEN))
    return [str(PROJECT), *(path for path in hidden if not Path(path).is_relative_to(PROJECT))]


def _make_own(host: NamespaceHost, kept: Sequence[str], access: Literal["ro", "rw"], root_mode: str) -> None:
    """Hide the real machine's folders from `host` behind empty ones, but for what is `kept` of them."""
    steps = ["set -e; umask 022"]
    for number, path in enumerate(kept):
        steps.append(f"mkdir -p /run/kept/{number}; mount --rbind {shlex.quote(path)} /run/kept/{number}")
        steps.append(f"mount -o remount,bind,{access} /run/kept/{number}")
    for path in HIDDEN:
        mode = "1777" if path in OPEN else {"/root": root_mode, str(paths.STATE): "700"}.get(path, "755")
        steps.append(f"mount -t tmpfs -o mode={mode} tmpfs {path}")
    for number, path in enumerate(kept):
        steps.append(f"mkdir -p {shlex.quote(path)}; mount --move /run/kept/{number} {shlex.quote(path)}")
        steps.append(f"rmdir /run/kept/{number}")
    steps.append("rmdir /run/kept")
    host.run(["sh", "-c", "\n".join(steps)])


def _make_accounts(host: NamespaceHost) -> None:
    # Without PAM sshd lets nobody in whose password is locked ("!"); "*" is one that nothing matches.
    steps = [
        "set -e; getent group docker || groupadd --system docker",
        f"useradd --create-home --shell /bin/sh --password '*' --groups docker {PERSON}",
        f"useradd --create-home --shell /bin/sh --password '*' {STRANGER}",
        "usermod --password '*' root",
    ]
    host.run(["sh", "-c", "\n".join(steps)])


def _make_keys(desk: NamespaceHost) -> None:
    """A key for root and one for the person, and one that is no machine's."""
    make = "ssh-keygen -q -t ed25519 -N ''"
    for user, home in (("root", "/root"), (PERSON, f"/home/{PERSON}")):
        folder = f"{home}/.ssh"
        steps = [
            f"set -e; install -d -m 700 {folder}",
            f"{make} -C {user}@desk -f {folder}/id_ed25519",
            f"chown -R {user}:{user} {folder}",
        ]
        desk.run(["sh", "-c", "\n".join(steps)])
    desk.run(["sh", "-c", f"{make} -C nobody -f /root/.ssh/wrong_host_key"])


def _furnish(plan: MachinePlan, address: str, lab: Lab, journal: Journal) -> Machine:
    """Make a machine of a host: its sshd listens, its dockerd has been started."""
    host = lab.docker[plan.name]
    host.run(["mount", "-o", f"remount,size={plan.docker_bytes}", f"{host.scratch}/data"])
    _make_own(host, [host.scratch], "rw", "700")
    _make_accounts(host)
    steps = [
        "set -e; mkdir -p /run/sshd /etc/ssh/authorized",
        f"ssh-keygen -q -t ed25519 -N '' -C {plan.name} -f /etc/ssh/key_of_machine",
    ]
    host.run(["sh", "-c", "\n".join(steps)])
    public = [read_one(lab.client, f"{home}/.ssh/id_ed25519.pub") for home in ("/root", f"/home/{PERSON}")]
    for user, keys in (("root", public[:1]), (PERSON, public), (STRANGER, public)):
        host.put(f"/etc/ssh/authorized/{user}", [key.encode() for key in keys])
    options = "".join(f"{line}\n" for line in plan.sshd_options)
    config = SSHD.format(address=address, person=PERSON, stranger=STRANGER)
    host.put(SSHD_CONFIG, [(options + config).encode()])  # Of two values sshd takes the first.
    cgroup = f"bench-{journal.run_id}-{plan.name}"
    journal.write("cgroup", name=cgroup)
    options_here = {**_runtime(host), **plan.engine_options}
    host.put(f"{host.scratch}/daemon.json", [json.dumps(options_here).encode()])
    engine = _start_dockerd(host, cgroup) if plan.docker else None
    return Machine(plan, address, host, lab.switch, _start_sshd(host), cgroup, engine)


def _runtime(host: NamespaceHost) -> dict[str, Any]:
    """Options of an engine by which a privileged container starts on a machine that lacks a right itself.

    Where an engine is a guest's (a sandbox without SYS_RESOURCE), Docker 20.10 asks for all rights that
    there are, and runc fails. Nothing where this machine has them all: a person's Docker is without this.
    """
    names = host.run(["setpriv", "--list-caps"]).split()
    [bounds] = re.findall(r"CapBnd:\s+(\S+)", read_one(host, "/proc/1/status"))
    lacking = [f"CAP_{name.upper()}" for bit, name in enumerate(names) if not int(bounds, 16) >> bit & 1]
    if not lacking:
        return {}
    path = f"{host.scratch}/runc-within-rights"
    edits = " ".join(f"""-e 's/"{each}",//g' -e 's/,"{each}"//g'""" for each in lacking)
    host.put(path, [RUNC.format(edits=edits).encode()])
    host.run(["chmod", "755", path])
    return {"runtimes": {"within-rights": {"path": path}}, "default-runtime": "within-rights"}


def _make_ssh_known(desk: NamespaceHost, found: Sequence[Machine]) -> None:
    """Give both users of the desk a ~/.ssh that knows every machine, by several names each."""
    wrong = read_one(desk, "/root/.ssh/wrong_host_key.pub")
    keys = {each.address: read_one(each.host, "/etc/ssh/key_of_machine.pub") for each in found}
    names = [each.name for each in found]
    for user, home in (("root", "/root"), (PERSON, f"/home/{PERSON}")):
        config = []
        for each in found:
            variants = [f"{each.name}-wrong-key", f"{each.name}-stranger"]
            config.append(f"Host {each.name}-wrong-key\n  UserKnownHostsFile ~/.ssh/known_wrong")
            config.append(f"Host {each.name}-stranger\n  User {STRANGER}")
            if JUMP in names and each.name != JUMP:
                variants.append(f"{each.name}-via-jump")
                config.append(f"Host {each.name}-via-jump\n  ProxyJump {JUMP}")
            config.append(f"Host {' '.join([each.name, *variants])}\n  HostName {each.address}")
        config.append(
            f"Host *\n  User {user}\n  IdentityFile ~/.ssh/id_ed25519\n  IdentitiesOnly yes\n"
            "  UserKnownHostsFile ~/.ssh/known_hosts\n  StrictHostKeyChecking yes\n  UpdateHostKeys no"
        )
        known = [f"{address} {key}" for address, key in keys.items()]
        texts = {
            "config": "\n".join(config) + "\n",
            "known_hosts": "".join(known),
            "known_wrong": "".join(f"{each.address} {wrong}" for each in found),
        }
        for name, text in texts.items():
            desk.put(f"{home}/.ssh/{name}", [text.encode()])
            desk.run(["chown", f"{user}:{user}", f"{home}/.ssh/{name}"])


def _start_sshd(host: NamespaceHost) -> Program:
    program = host.start(["/usr/sbin/sshd", "-D", "-e", "-f", SSHD_CONFIG], "sshd")
    listens = re.compile(r":0016 00000000:0000 0A ")
    wait_until(
        lambda: listens.search(read_one(host, "/proc/1/net/tcp")) or not program.is_alive,
        READY_S,
        step_s=0.01,
    )
    assert program.is_alive, f"sshd of {host.name} does not run: {program.words()}"
    return program


def _start_dockerd(host: NamespaceHost, cgroup: str) -> Program:
    """At a socket for the tests, which nobody else is told of, and at the usual one."""
    argv = [*engine_argv(host.scratch, cgroup), "--host", f"unix://{SOCKET}", "--group", "docker"]
    return host.start(argv, "dockerd")


def _meet_dockerd(host: NamespaceHost, program: Program) -> DockerClient:
    found: list[DockerClient] = []

    def answers() -> bool:
        with suppress(DockerException):
            client = connect(host.local_socket(SOCKET))
            client.ping()
            found.append(client)
        return bool(found)

    wait_until(lambda: answers() or not program.is_alive, READY_S, step_s=0.02)
    assert found, f"the engine of {host.name} does not answer: {program.words()}"
    return found[0]


def _command_of(outer: "subprocess.Popen[bytes]") -> int:
    """The process that an nsenter made, once it leads its own group; 0 where it has ended already."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    found: list[int] = []

    def leads() -> bool:
        with suppress(OSError):
            found[:] = [pid for pid in map(int, children.read_text().split()) if os.getpgid(pid) == pid]
        return bool(found)

    wait_until(lambda: leads() or outer.poll() is not None, READY_S)
    return found[0] if found else 0


def _processes(host: NamespaceHost) -> dict[int, tuple[str, int]]:
    """Living processes of a machine, as it numbers them: name and parent."""
    found = {}
    for path, text in host.read("/proc/[0-9]*/stat").items():
        process = parse_process(text)
        if process.state != "Z":
            name = text[text.index("(") + 1 : text.rindex(")")]
            found[int(path.split("/")[2])] = (name, process.parent)
    return found


def _sessions(host: NamespaceHost) -> list[int]:
    """Of sshd's processes those that do not listen. Newer ones are called sshd-session."""
    listening = read_one(host, pid_file(host, "sshd")).strip() if host.has(pid_file(host, "sshd")) else ""
    return [
        pid
        for pid, (name, _) in _processes(host).items()
        if name.startswith("sshd") and str(pid) != listening
    ]


def look(host: NamespaceHost, client: DockerClient | None) -> Look:
    """What a person has on a machine, as lines that can be compared; rules in their order, else sorted.

    Waits for sessions of ssh that are about to end (those that do not are among the processes), and for
    the kernel to have settled on the addresses of a link that has just come up.
    """
    wait_until(lambda: not _sessions(host), SETTLED_S, step_s=0.02)
    wait_until(lambda: "tentative" not in host.run(["ip", "address"]), SETTLED_S, step_s=0.1)
    found = {
        "links": _lines(host, "ip", "-o", "link"),
        "addresses": _lines(host, "ip", "-o", "address"),
        "routes": _lines(host, "ip", "-4", "route", "show", "table", "all")
        + _lines(host, "ip", "-6", "route", "show", "table", "all"),
        **{f"rules ({tool})": _rules(host, f"{tool}-save") for tool in RULES},
        "settings": _lines(host, "sh", "-c", f"grep -rs '' {SETTINGS} || true"),
        "processes": sorted(name for name, _ in _processes(host).values()),
        "mounts": sorted(read_one(host, "/proc/1/mounts").splitlines()),
        "files": _lines(host, "find", *FOLDERS, "-xdev", "-printf", "%y %p\\n"),
        **_objects(client),
    }
    return {what: [line for line in lines if not FIRST_USE.search(line)] for what, lines in found.items()}


def _objects(client: DockerClient | None) -> Look:
    """Of an engine: what `docker ps -a`, `images`, `network ls` and `volume ls` show."""
    if client is None:
        return {}
    api = client.api
    volumes = api.volumes()["Volumes"] or []
    return {
        "containers": sorted(
            f"{each['Id']} {' '.join(each['Names'])} {each['State']}" for each in api.containers(all=True)
        ),
        "images": sorted(
            f"{each['Id']} {' '.join(sorted(each['RepoTags'] or []))}" for each in api.images(all=True)
        ),
        "networks": sorted(f"{each['Id']} {each['Name']} {each['Driver']}" for each in api.networks()),
        "volumes": sorted(each["Name"] for each in volumes),
    }


def _lines(host: NamespaceHost, *argv: str) -> list[str]:
    return sorted(COUNTDOWN.sub(r"\1", line) for line in host.run(argv).splitlines())


def _rules(host: NamespaceHost, tool: str) -> list[str]:
    """Rules, chains of somebody's own and policies other than ACCEPT, each with its table, in their order.

    Not the kernel's own chains, which show from the moment on that any namespace has made it load a table.
    """
    found, table = [], ""
    for line in host.run(["sh", "-c", f"{tool} 2>/dev/null || true"]).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") or (line.startswith(":") and line.split()[1] != "ACCEPT"):
            found.append(f"{table}: {line.split(' [')[0]}")
    return found
