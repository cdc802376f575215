"""Services of other people's kind, as folders with a Dockerfile: what they are made of is Debian's."""

import os
import shutil
from pathlib import Path

from bench.lab.hosts import command
from bench.lab.servers.image import provide_packages

HERE = Path(__file__).parent
SERVERS = ("nginx-light", "gunicorn", "python3-psycopg2", "redis-server")
PACKAGES = {"nginx": SERVERS, "wsgi": SERVERS, "redis": SERVERS, "database": ("postgresql",)}
"""Of Debian, that its image has: one root is made for three, for that takes a minute."""
KINDS = (*PACKAGES, "small")


def lay_service(kind: str, folder: Path) -> Path:
    """The folder of a service's Dockerfile below `folder`, with all that it needs."""
    target = folder / kind
    shutil.copytree(HERE / kind, target)
    if kind in PACKAGES:
        root = provide_packages(PACKAGES[kind])
        try:
            os.link(root, target / "root.tar")
        except OSError:  # Another file system.
            shutil.copy(root, target / "root.tar")
    else:
        command.run(["cc", "-O2", "-static", "-o", str(target / "server"), str(target / "server.c")])
        (target / "server.c").unlink()
    return target
