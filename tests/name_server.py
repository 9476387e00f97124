"""A name server that has one answer to every question: the addresses that it is told."""

import socket
import struct
import threading
from collections.abc import Sequence
from typing import Self

A_RECORD, INTERNET = 1, 1
HEADER = struct.Struct("!6H")
IS_ANSWER = 0x8180
SECONDS_TO_LIVE = 1
THE_NAME_ASKED_FOR = 0xC000 | HEADER.size


class NameServer:
    """A running DNS server; a context manager.

    Args:
        addresses: IPv4 addresses of any name; may be changed while it runs.

    Attributes:
        port: Of 127.0.0.1, for UDP.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        question = query[HEADER.size : query.index(b"\0", HEADER.size) + 5]
        [kind] = struct.unpack("!H", question[-4:-2])
        addresses = self.addresses if kind == A_RECORD else []
        number = query[:2]
        records = [
            struct.pack("!3HIH", THE_NAME_ASKED_FOR, A_RECORD, INTERNET, SECONDS_TO_LIVE, 4)
            + socket.inet_aton(address)
            for address in addresses
        ]
        counts = HEADER.pack(0, IS_ANSWER, 1, len(records), 0, 0)[2:]
        return number + counts + question + b"".join(records)
