"""One whole answer, read by the standard library's parser: not in the load path, and not by its code.

Imported after Locust, whose import patches sockets so that waiting lets others of the process run.
"""

import http.client
import socket
import ssl
from contextlib import closing

from bench.generator.protocol import Fetch, Fetched

FETCH_S = 30.0
"""Patience with a server: its first answer may be its slowest."""
MOST_BYTES = 64 * 1024 * 1024


def fetch(asked: Fetch) -> Fetched:
    """Ask the server once. What cannot be read to its end is a failure."""
    ask = asked.ask
    with closing(_connect(asked)) as connection:
        try:
            connection.putrequest(ask.method, ask.path, skip_accept_encoding=True)
            for name, value in ask.headers:
                connection.putheader(name, value)
            if ask.body is not None or ask.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(ask.body or b"")))
            connection.endheaders(ask.body)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES)
            return Fetched(status=answer.status, headers=tuple(answer.getheaders()), body=body)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            said = f"{type(fault).__name__}: {fault}"
            return Fetched(status=0, headers=(), body=b"", failure=said)


def _connect(asked: Fetch) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(asked.address, asked.port, timeout=FETCH_S)
    if asked.tls:
        context = ssl.create_default_context(cadata=asked.tls.ca)
        plain = socket.create_connection((asked.address, asked.port), FETCH_S)
        connection.sock = context.wrap_socket(plain, server_hostname=asked.tls.server_name)
    return connection
