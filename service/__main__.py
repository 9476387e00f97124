"""Commands: serve a checkpoint, write the OpenAPI document, show what is in a checkpoint.

python -m service serve --checkpoint runs/sprites/model.pt --port 8001
python -m service inspect runs/sprites/model.pt
python -m service openapi --output openapi/openapi.json
"""

import argparse
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from pydantic import ValidationError

from service import checkpoint, logs
from service.api.service import Service
from service.app import create_app
from service.connection import connections
from service.drain import EXIT_DEVICE_LOST, DrainingServer
from service.errors import CannotListen, DeviceNotFound, InvalidCheckpoint, InvalidKeys, ModelNotFound
from service.settings import Settings

EXIT_CONFIGURATION = 3
# A thread that waits for the interpreter gets it after so long: a device thread must not stand still for
# Python's default of 5 ms while the event loop is busy.
SWITCH_INTERVAL_SECONDS = 1e-4
# libuv takes one connection off a listening socket in each turn of its loop (libuv/libuv#3696). Under load
# turns are long, and who opens a connection, as health probes do, would wait a turn for each one before him.
ACCEPTS_PER_TURN = 16

log = logging.getLogger("service")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; every expected failure is one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.command(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        return _fail(
            f"setting {name} (VAE_{name.upper()} or {_flag(name)}): {first['msg']}, got {first['input']!r}"
        )
    except InvalidCheckpoint as error:
        return _fail(f"the checkpoint cannot be used: {error}")
    except ModelNotFound as error:
        return _fail(f"setting default_model (VAE_DEFAULT_MODEL or --default-model): {error}")
    except InvalidKeys as error:
        return _fail(str(error))
    except DeviceNotFound as error:
        return _fail(f"{error}; --device auto takes what there is")
    except CannotListen as error:
        return _fail(f"{error}; choose another with --port or --host")
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return result


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    settings = _settings(options)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    logs.configure(settings.log_format, settings.log_level)
    with _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        service: Service = app.state.service
        if settings.metrics_port is not None:
            _listen_for_scrapes(service, settings.host, settings.metrics_port)
        config = uvicorn.Config(
            app,
            loop="uvloop" if sys.platform != "win32" else "auto",
            http=connections(
                max_header_bytes=settings.max_header_bytes,
                header_timeout_seconds=settings.header_timeout_seconds,
                metrics=service.metrics,
            ),
            access_log=False,
            server_header=False,
            proxy_headers=False,
            log_config=None,
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.shutdown_grace_seconds,
        )
        server = DrainingServer(config, service.models, settings.drain_seconds)
        service.models.when_failed(server.fail)
        # Also for the moments before uvicorn takes signals, and after, when it raises again the one that
        # stopped it: a clean end is exit status 0.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, server.handle_exit)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: service.reloader.reload())
        listener.listen()  # before the address is said, so that nobody who reads it is turned away
        host, port = listener.getsockname()[:2]
        _say_hello(service, host, port)
        if app.state.keys is None and not ipaddress.ip_address(host).is_loopback:
            log.warning(
                "whoever reaches %s can use this service: set VAE_API_KEYS or VAE_API_KEYS_FILE", host
            )
        server.run(sockets=[listener, *(listener.dup() for _ in range(ACCEPTS_PER_TURN - 1))])
    status = EXIT_DEVICE_LOST if service.models.has_failed else 0
    if service.models.has_failed or service.models.is_running:
        _leave(status)
    return status


def inspect(options: argparse.Namespace) -> int:
    """Print what is in a checkpoint, without running any code of it; status 3 where serve would refuse it."""
    allowed_operators = _settings(options).allowed_operators
    described = checkpoint.describe(options.file, allowed_operators=allowed_operators)
    shown = {
        **(described.metadata.model_dump(mode="json") if described.metadata else {}),
        "sha256": described.sha256,
        "bytes": described.num_bytes,
        "weight_bytes": described.num_weight_bytes,
        "parameters": described.num_parameters,
        "operators": {
            name: "allowed" if is_allowed else "refused" for name, is_allowed in described.operators.items()
        },
    }
    print(json.dumps(shown, indent=2))
    if described.refusal is not None:
        raise described.refusal
    return 0


def openapi(options: argparse.Namespace) -> int:
    """Write the OpenAPI document."""
    text = json.dumps(create_app(_settings(options)).openapi(), indent=2) + "\n"
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text)
    return 0


def _leave(status: int) -> NoReturn:
    """End without tearing Python down: destructors of a lost device hang, and a thread on it would crash."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _say_hello(service: Service, host: str, port: int) -> None:
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    names = []
    for engine in service.models:
        runtime = engine.runtime
        for refusal in runtime.refusals:
            log.warning("%s: %s", engine.name, refusal)
        shape = "x".join(map(str, runtime.metadata.image_shape))
        names.append(f"{engine.name} ({shape}, latent {runtime.metadata.latent_dim})")
        log.info("serving %s on %s in %s at %s", names[-1], runtime.device, runtime.precision, address)
    print(
        f"\n  {', '.join(names)} at {address}, documents at {address}/docs. Try:\n\n"
        f"    curl -s {address}/sample -d '{{\"n\":16}}' -H 'content-type: application/json'"
        " -H 'accept: image/png' -o samples.png\n",
        flush=True,
    )


def _listen_for_scrapes(service: Service, host: str, port: int) -> None:
    try:
        service.metrics.listen(host, port)
    except OSError as error:
        raise CannotListen(f"port {port} on {host} cannot be used: {error.strerror}") from None


def _listen(host: str, port: int) -> socket.socket:
    """Bind before the checkpoint is loaded, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(f"port {port} on {host} cannot be used: {error.strerror}") from None
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vae-service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve a checkpoint over HTTP", description=serve.__doc__)
    _add_settings(serving, Settings.model_fields)
    serving.set_defaults(command=serve)
    inspecting = commands.add_parser(
        "inspect", help="show what is in a checkpoint", description=inspect.__doc__
    )
    inspecting.add_argument("file", type=Path, help="a checkpoint file")
    _add_settings(inspecting, ["allowed_operators"])
    inspecting.set_defaults(command=inspect)
    writing = commands.add_parser("openapi", help="write the OpenAPI document", description=openapi.__doc__)
    writing.add_argument("--output", type=Path, help="file to write; standard output where absent")
    _add_settings(writing, Settings.model_fields)
    writing.set_defaults(command=openapi)
    return parser


def _add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """One flag a setting; what is not given comes from the environment, then from the default."""
    for name in names:
        field = Settings.model_fields[name]
        default = "" if field.default in (None, ()) else f" (default {field.default})"
        text = f"{field.description}{default}; also VAE_{name.upper()}".replace("%", "%%")
        parser.add_argument(_flag(name), default=argparse.SUPPRESS, metavar="X", help=text)


def _settings(options: argparse.Namespace) -> Settings:
    given: dict[str, Any] = {
        name: getattr(options, name) for name in Settings.model_fields if name in options
    }
    return Settings(**given)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
