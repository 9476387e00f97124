"""A client that sends the half of a request, and then nothing."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

LONG_SECONDS = 60


@contextmanager
def half_a_request(url: str) -> Iterator[socket.socket]:
    """Begin an upload to a live server, and never end it."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=LONG_SECONDS) as connection:
        lines = ("POST /encode HTTP/1.1", "Host: here", "Content-Type: image/png", "Content-Length: 1000")
        connection.sendall("\r\n".join((*lines, "", "half")).encode())
        yield connection
