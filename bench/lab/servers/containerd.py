"""The containerd that a private engine's dockerd starts: its garbage collector looks once a second.

A containerd without #9795 (2024) spaces its looks so that collections would take 2 % of the time if each look
collected (`pause_threshold`). Those of a small engine take 0.1 ms, so it looks every 5 to 10 ms, and five of
its threads wake for each look, on the core of what is measured (containerd#5089, decision 33).
"""

from bench.lab.hosts.host import Host

PROGRAM = """#!/bin/sh
# As dockerd calls it: --config FILE, which dockerd has just written, and more.
PATH=${PATH#*:}
scheduler=scheduler
if grep -q '^version = 2' "$2"; then scheduler='"io.containerd.gc.v1.scheduler"'; fi
printf '[plugins.%s]\\n  pause_threshold = 0.0\\n' "$scheduler" >> "$2"
# It writes its stacks there when dockerd finds that it is stuck.
TMPDIR=${2%/*} exec containerd "$@"
"""
"""Without a threshold it looks once a second. dockerd has no option for it."""


def quiet_containerd(host_folder: str, dockerd: list[str]) -> list[str]:
    """`dockerd`, that finds this containerd before the machine's."""
    return ["sh", "-c", 'PATH="$0:$PATH" exec "$@"', _folder(host_folder), *dockerd]


def put_containerd(host: Host) -> None:
    """Have it on `host`, for everybody there."""
    folder = _folder(host.scratch)
    host.run(["install", "-d", "-m", "755", folder])
    host.put(f"{folder}/containerd", [PROGRAM.encode()])
    host.run(["chmod", "755", f"{folder}/containerd"])


def _folder(host_folder: str) -> str:
    return f"{host_folder}/programs"
