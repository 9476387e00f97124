"""The port that connections come to, and its division among the processes of `--workers`.

Each process has a socket of its own, and Linux divides new connections over them evenly (SO_REUSEPORT, see
https://man7.org/linux/man-pages/man7/socket.7.html); one socket for all would give a burst to whichever wakes
first. But the kernel also goes on to give a process that hangs its part: so each holds the sockets of the
others, too, and takes now and then what waits in them.
"""

import asyncio
import contextlib
import select
import socket
import sys
from collections.abc import Callable, Iterator, Sequence

from service.errors import CannotListen

# libuv takes one connection off a listening socket in each turn of its loop (libuv/libuv#3696). Under load
# turns are long, and who opens a connection, as health probes do, would wait a turn for each one before him.
ACCEPTS_PER_TURN = 16


@contextlib.contextmanager
def listeners(host: str, port: int, num: int) -> Iterator[list[socket.socket]]:
    """Sockets that are bound to a port and do not listen yet, one for each of `num` processes.

    Bound before the checkpoint is loaded, so that a taken port is said at once.

    Raises:
        CannotListen: The port is taken, or not ours to take.
    """
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(_bound(host, port, is_shared=False))
        if num == 1 or sys.platform != "linux":  # elsewhere such sockets do not divide anything
            yield [alone] * num
            return
        # Which can be shared with another service, too: that there is none, the socket above has found.
        port = alone.getsockname()[1]
        shared = [stack.enter_context(_bound(host, port, is_shared=True)) for _ in range(num)]
        alone.close()
        yield shared


def listen(listener: socket.socket) -> None:
    """Take connections.

    Raises:
        CannotListen: Another service has begun to listen there since the socket was bound.
    """
    try:
        listener.listen()
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _cannot(host, port, error) from None


def for_one_loop(listener: socket.socket) -> list[socket.socket]:
    """Copies of a socket: an event loop takes a connection off each of them in a turn."""
    # The copies of all processes are one to the kernel, and a process that was sent one would make it block.
    listener.setblocking(False)
    return [listener, *(listener.dup() for _ in range(ACCEPTS_PER_TURN - 1))]


class Others:
    """The sockets of other processes; `take` is to be called now and then.

    Args:
        listeners: Of them.
    """

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        for listener in listeners:
            listener.setblocking(False)
        self._listeners = listeners
        self._had_some: set[socket.socket] = set()

    async def take(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Serve what waits in the sockets where something waited the last time, too: their processes hang."""
        if not self._listeners:
            return
        have_some = set(select.select(self._listeners, (), (), 0)[0])
        late, self._had_some = have_some & self._had_some, have_some
        loop = asyncio.get_running_loop()
        for listener in late:
            with contextlib.suppress(OSError):  # none waits any more, or its process is still about to listen
                while True:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    await loop.connect_accepted_socket(make_protocol, connection)

    def close(self) -> None:
        """Leave them to their processes."""
        for listener in self._listeners:
            listener.close()
        self._listeners = ()


def _bound(host: str, port: int, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _cannot(host, port, error) from None
    return listener


def _cannot(host: str, port: int, error: OSError) -> CannotListen:
    return CannotListen(f"port {port} on {host} cannot be used: {error.strerror}")
