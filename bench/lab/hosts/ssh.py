"""OpenSSH, as the person uses it: one connection a host, and sockets forwarded through it.

The person's own ssh_config, ProxyJump, agent and keys hold, for it is their own `ssh` that is run. There is
no session on the host at all (`-N`), only forwarded sockets: so a host that allows one session, or whose
user has no shell, is as good as any (docs/decisions/0026).
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.journal import noted
from bench.lab.hosts.waiting import wait_until

CONNECT_S = 10
"""For one address of a host to answer."""
REACH_S = 60.0
"""For the whole of it: jumps, keys that want to be touched, a host that is slow to let in."""
ALIVE_S, ALIVE_COUNT = 5, 3
"""A connection that is silent for so long, so many times, has ended: ssh asks, and sshd must answer."""
CONTROL_S = 15.0
TEMPORARY = Path("/tmp")  # noqa: S108 - what is made there has a name that nobody can guess.
"""Not TMPDIR, nor the journals' folder: a socket's path has 107 characters."""
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": f"{CONNECT_S}",
    "ServerAliveInterval": f"{ALIVE_S}",
    "ServerAliveCountMax": f"{ALIVE_COUNT}",
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindUnlink": "yes",
    # Of its own: a connection that the person keeps open must not get our forwards, nor end with a run.
    "ControlPersist": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "PermitLocalCommand": "no",
    "ForwardX11": "no",
    "ForwardAgent": "no",
    "ClearAllForwardings": "yes",
    "LogLevel": "INFO",
}


class HostUnreachable(EnvironmentLacks):
    """No connection to a host, or it has ended."""


@dataclass
class Connection:
    """A living connection to one host, that ends with the controller."""

    name: str
    """Of the host in the hosts file."""
    words: Sequence[str]
    """What one types after `ssh`."""
    folder: Path
    """Of its sockets: a short path, for a socket's may have 107 characters."""
    master: command.Process
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether ssh still runs."""
        return self.master.poll() is None

    def forward(self, remote_socket: str) -> Path:
        """A socket here behind which `remote_socket` of the host listens."""
        here = self.folder / f"{secrets.token_hex(4)}.sock"
        self._control("forward", "-L", f"{here}:{remote_socket}")
        return here

    def forward_back(self, port: int) -> int:
        """A port on the host's loopback behind which `port` of this one's loopback listens."""
        return int(self._control("forward", "-R", f"0:127.0.0.1:{port}"))

    def ask(self, script: str) -> str:
        """What a shell of the host says to `script`, a line; empty where none can be had."""
        argv = ["ssh", "-S", str(self.folder / "master"), "-T", *self.words, script]
        done = command.attempt(argv, timeout_s=CONTROL_S, environment=dict(os.environ))
        return done.output.strip() if done.status == 0 else ""

    def last_words(self) -> str:
        """What ssh said last."""
        return last_line(self.log)

    def _control(self, order: str, *options: str) -> str:
        argv = ["ssh", "-S", str(self.folder / "master"), "-O", order, *options, *self.words]
        try:
            return command.run(argv, timeout_s=CONTROL_S)
        except command.CommandFailed as fault:
            raise HostUnreachable(
                f"Forwarding a socket of {self.name} over SSH",
                f"ssh said: {fault.seen}",
                "Its sshd must allow forwarding (AllowTcpForwarding, AllowStreamLocalForwarding), which it"
                " does by default.",
            ) from fault


@contextlib.contextmanager
def connect(name: str, words: Sequence[str]) -> Iterator[Connection]:
    """Log in to a host once. Raises HostUnreachable, with ssh's own reason."""
    folder = TEMPORARY / f"bench-{secrets.token_hex(8)}"
    with noted(folder):
        folder.mkdir(mode=0o700)
        log = folder / "ssh.log"
        options = [word for key, value in OPTIONS.items() for word in ("-o", f"{key}={value}")]
        argv = ["ssh", "-M", "-N", "-S", str(folder / "master"), *options, *words]
        master = command.start(argv, log=log)
        try:
            wait_until(lambda: (folder / "master").exists() or master.poll() is not None, REACH_S)
            if not (folder / "master").exists():
                seen = last_line(log) or (
                    f"no connection within {REACH_S:g} s" if master.poll() is None else "it ended"
                )
                raise HostUnreachable(
                    f"Connecting to {name} (`ssh {' '.join(words)}`)", f"ssh said: {seen}", _advise(seen)
                )
            yield Connection(name, words, folder, master, log)
        finally:
            command.stop(master, timeout_s=3)


def last_line(log: Path) -> str:
    """The last line that ssh wrote, without what it repeats of itself; empty where it said nothing."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    told = [line.strip() for line in lines if line.strip() and not line.startswith("@")]
    return told[-1][-300:] if told else ""


ADVICE = {
    "Host key verification failed": "Its key is not the one that this machine knows. Find out why before"
    " anything else: then connect once by hand, and let ssh keep the key.",
    "Permission denied": "No key of this machine is let in there, or it wants to be asked for a password:"
    " `ssh-copy-id`, or `ssh-add` where the key has a passphrase.",
    "Could not resolve hostname": "Name it as ssh knows it, or add it to ~/.ssh/config.",
    "Connection refused": "No sshd listens there, or at another port.",
    "timed out": "It is down, another address, or behind a firewall: try the same `ssh` by hand.",
}
"""What ssh says -> what helps."""


def _advise(seen: str) -> str:
    known = (advice for words, advice in ADVICE.items() if words in seen)
    return next(known, "Try the same `ssh` by hand: it must come in without asking anything.")
