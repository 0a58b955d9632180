"""A misbehaving server, and entries of tables that lead to it."""

import hashlib

import pytest

from lcrp.acquire import Entry, Patience
from support.loopback_server import Server


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def impatient():
    return Patience(timeout=0.15, attempts=3, pause=0.001, longest=0.01)


@pytest.fixture
def entry_of(server):
    """Makes the entry of a file that the server has; `mirrors` are further paths on it."""

    def make(data, *, file="data.bin", checksum="sha256", size=True, mirrors=(), unpack=()):
        for path in (file, *mirrors):
            server.files.setdefault(f"/{path}", data)
        return Entry(
            name="set",
            file=file,
            urls=tuple(f"{server.url}/{path}" for path in (file, *mirrors)),
            bytes=len(data) if size else None,
            checksums=((checksum, hashlib.new(checksum, data).hexdigest()),) if checksum else (),
            unpack=unpack,
        )

    return make
