"""Answers of every kind that a WSGI server frames: a stated length, chunks, none at all."""

import json
import os

import psycopg2

CONNECTIONS = {}


def ask_database():
    """Its own word for how much it holds; one connection a thread."""
    import threading

    key = threading.get_ident()
    if key not in CONNECTIONS:
        CONNECTIONS[key] = psycopg2.connect(os.environ["DATABASE_URL"])
        CONNECTIONS[key].autocommit = True
    with CONNECTIONS[key].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM items")
        return cursor.fetchone()[0]


def application(environ, start_response):
    """WSGI (PEP 3333)."""
    path = environ["PATH_INFO"]
    if path == "/items":
        body = json.dumps({"items": ask_database()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    if path == "/none":
        start_response("204 No Content", [])
        return []
    if path == "/chunked":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"first,", b"second,", b"third"])
    if path == "/upload":
        length = len(environ["wsgi.input"].read())
        body = f"{length}\n".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    body = b"A page of a Python service.\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
