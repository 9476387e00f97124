"""Stopping without losing a request: not ready first, then the socket is closed, then what is in flight ends.

uvicorn alone closes its socket a tenth of a second after SIGTERM, while the load balancer still sends to it.
"""

import signal
import threading
from types import FrameType

import uvicorn

from service.engine.engine import Engine


class DrainingServer(uvicorn.Server):
    """A server that goes on for a while after the first SIGTERM; a second signal, or SIGINT, ends it at once.

    Args:
        config: uvicorn's.
        engine: Told that it drains.
        drain_seconds: How long requests are still taken.
    """

    def __init__(self, config: uvicorn.Config, engine: Engine, drain_seconds: float) -> None:
        super().__init__(config)
        self._engine = engine
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        is_first = not self._engine.is_draining
        self._engine.drain()
        if sig == signal.SIGTERM and is_first and self._drain_seconds > 0:
            timer = threading.Timer(self._drain_seconds, super().handle_exit, (sig, frame))
            timer.daemon = True
            timer.start()
        else:
            super().handle_exit(sig, frame)
