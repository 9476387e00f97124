"""Ending without losing a request: not ready first, then the socket is closed, then what is in flight ends.

uvicorn alone closes its socket a tenth of a second after SIGTERM, while the load balancer still sends to it.
"""

import asyncio
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from service.engine.models import Models
from service.listening import Others

EXIT_DEVICE_LOST = 70
# With a lost device every answer is 503, for so long that load balancers see it and look elsewhere.
FAILED_SECONDS = 1.0
FAILED_GRACE_SECONDS = 1
# From the failure on; a driver that hangs can make anything else hang, too.
LAST_RESORT_SECONDS = 2.5


class DrainingServer(uvicorn.Server):
    """A server that goes on for a while after the first SIGTERM; a second signal, or SIGINT, ends it at once.

    Args:
        config: uvicorn's; its timeout_graceful_shutdown bounds what is in flight at the end.
        models: Told that it drains.
        drain_seconds: How long requests are still taken.
        others: The sockets of other processes, whose connections it takes where they do not.
        pass_on: Told each signal that it takes.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        models: Models,
        *,
        drain_seconds: float,
        others: Others,
        pass_on: Callable[[int], None],
    ) -> None:
        super().__init__(config)
        self._models = models
        self._drain_seconds = drain_seconds
        self._others = others
        self._pass_on = pass_on
        self._ends = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal. It may come between any two instructions, so nothing here may wait for a lock."""
        if not self.should_exit:  # else it is the one that uvicorn raises again at its end
            self._pass_on(sig)
        is_first = not self._models.is_draining
        self._models.drain()
        if sig == signal.SIGTERM and is_first and self._drain_seconds > 0:
            self._ends = min(self._ends, time.monotonic() + self._drain_seconds)
        else:
            super().handle_exit(sig, frame)

    def fail(self) -> None:
        """End soon with EXIT_DEVICE_LOST, whatever hangs; called from any thread."""
        self.config.timeout_graceful_shutdown = FAILED_GRACE_SECONDS
        self._ends = time.monotonic() + FAILED_SECONDS
        last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (EXIT_DEVICE_LOST,))
        last_resort.daemon = True
        last_resort.start()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether the time has come, and who waits for a process that hangs."""
        await self._others.take(self._connection)
        self.should_exit = self.should_exit or time.monotonic() >= self._ends
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Turn away whoever comes now, and end what is in flight."""
        self._others.close()
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        """As uvicorn makes them for the sockets that it is given."""
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
