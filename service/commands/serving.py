"""`serve`: the processes of a server, from their address and their signals to their exit status."""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from service import logs
from service.api.service import Service
from service.app import create_app
from service.commands.flags import settings_of
from service.commands.hello import say_hello
from service.commands.variables import strange_variables
from service.connection import connections
from service.drain import EXIT_DEVICE_LOST, DrainingServer
from service.engine.cores import available_cores
from service.errors import CannotListen, ServiceError
from service.listening import Others, for_one_loop, listen, listeners
from service.settings import Settings
from service.workers import Workers

EXIT_CONFIGURATION = 3
# A thread that waits for the interpreter gets it after so long: a device thread must not stand still for
# Python's default of 5 ms while the event loop is busy.
SWITCH_INTERVAL_SECONDS = 1e-4

log = logging.getLogger("service")


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    settings = _with_share_of_cores(settings_of(options))
    with (
        listeners(settings.host, settings.port, settings.workers) as sockets,
        _meeting_place(settings.workers) as folder,
    ):
        workers = Workers(settings.workers - 1, _work, settings, sockets, folder)
        app = _build(settings, number=0, folder=folder)
        for strange in strange_variables(os.environ):
            log.warning("%s", strange)
        service: Service = app.state.service
        if settings.metrics_port is not None:
            _listen_for_scrapes(service, settings.host, settings.metrics_port)
        server = _server(app, settings, Others(sockets[1:]), workers.send)
        listen(sockets[0])  # before the address is said, so that nobody who reads it is turned away
        say_hello(app, *sockets[0].getsockname()[:2])
        workers.start()
        server.run(sockets=for_one_loop(sockets[0]))
        workers.send(signal.SIGTERM)
        status = workers.join(settings.shutdown_grace_seconds)
    if status == 0 and not service.models.has_failed:
        log.info("stopped")
    return _end(service, status)


def _work(number: int, settings: Settings, sockets: list[socket.socket], folder: Path) -> int:
    """Serve in a process beside the first one, which has said everything already."""
    try:
        app = _build(settings, number=number, folder=folder)
    except (ServiceError, OSError) as error:
        log.error("worker %d: %s", number, error)
        return EXIT_CONFIGURATION
    own = sockets.pop(number)
    server = _server(app, settings, Others(sockets), lambda _: None)
    own.listen()
    log.info("worker %d takes requests", number)
    server.run(sockets=for_one_loop(own))
    return _end(app.state.service, 0)


def _build(settings: Settings, *, number: int, folder: Path) -> FastAPI:
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    logs.configure(settings.log_format, settings.log_level)
    app = create_app(settings)
    if settings.workers > 1:
        app.state.service.metrics.gather(folder=folder, number=number, num_workers=settings.workers)
    return app


def _server(
    app: FastAPI, settings: Settings, others: Others, pass_on: Callable[[int], None]
) -> DrainingServer:
    """The server of one process, and what signals do to it; `others` are the other processes' sockets."""
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "auto",
        http=connections(
            max_header_bytes=settings.max_header_bytes,
            header_timeout_seconds=settings.header_timeout_seconds,
            metrics=service.metrics,
        ),
        ws="none",  # where a library for WebSockets is there, an upgrade would never become a request
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )
    server = DrainingServer(
        config, service.models, drain_seconds=settings.drain_seconds, others=others, pass_on=pass_on
    )
    service.models.when_failed(server.fail)
    # Also for the moments before uvicorn takes signals, and after, when it raises again the one that
    # stopped it: a clean end is exit status 0.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, server.handle_exit)
    if hasattr(signal, "SIGHUP"):

        def reload(*_: object) -> None:
            pass_on(signal.SIGHUP)
            service.reloader.reload()

        signal.signal(signal.SIGHUP, reload)
    return server


@contextmanager
def _meeting_place(num_workers: int) -> Iterator[Path]:
    """A folder for the sockets of workers, which one alone has no need of."""
    if num_workers == 1:
        yield Path()
        return
    with tempfile.TemporaryDirectory(prefix="vae-service-") as folder:
        yield Path(folder)


def _with_share_of_cores(settings: Settings) -> Settings:
    """Where there are several workers, threads for no more cores than are one worker's."""
    if settings.workers == 1:
        return settings
    share = max(1, available_cores() // settings.workers)
    threads = {
        "device_threads": settings.device_threads or share,
        "codec_threads": settings.codec_threads or share,
    }
    return settings.model_copy(update=threads)


def _end(service: Service, status: int) -> int:
    """The exit status; a process whose device is lost, or still busy, is left here."""
    if service.models.has_failed:
        status = EXIT_DEVICE_LOST
    if service.models.has_failed or service.models.is_running:
        _leave(status)
    return status


def _leave(status: int) -> NoReturn:
    """End without tearing Python down: destructors of a lost device hang, and a thread on it would crash."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _listen_for_scrapes(service: Service, host: str, port: int) -> None:
    try:
        service.metrics.listen(host, port)
    except OSError as error:
        raise CannotListen(f"port {port} on {host} cannot be used: {error.strerror}") from None
