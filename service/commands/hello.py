"""What `serve` says once it listens: which models at which address, a line to try, and who can reach it."""

import ipaddress
import logging

from fastapi import FastAPI

log = logging.getLogger("service")


def say_hello(app: FastAPI, host: str, port: int) -> None:
    """Log what is served, print a line that can be copied, and warn where everybody may call."""
    names = []
    for engine in app.state.service.models:
        runtime = engine.runtime
        shape = "x".join(map(str, runtime.metadata.image_shape))
        names.append(f"{engine.name} ({shape}, latent {runtime.metadata.latent_dim})")
        where = (runtime.device, runtime.precision, _address(host, port))
        log.info("serving %s on %s in %s at %s", names[-1], *where)
    address = _address(_reachable(host), port)
    key = "" if app.state.keys is None else ' -H "Authorization: Bearer $API_KEY"'
    print(
        f"\n  {', '.join(names)} at {address}, documents at {address}/docs. Try:\n\n"
        f"    curl -fsS {address}/sample{key} -d '{{\"n\":16}}' -H 'content-type: application/json'"
        " -H 'accept: image/png' -o samples.png\n",
        flush=True,
    )
    if app.state.keys is None and not ipaddress.ip_address(host).is_loopback:
        log.warning("whoever reaches %s can use this service: set VAE_API_KEYS or VAE_API_KEYS_FILE", host)


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reachable(host: str) -> str:
    """Where this machine itself reaches what listens on a host: every address is none to call."""
    if not ipaddress.ip_address(host).is_unspecified:
        return host
    return "::1" if ":" in host else "127.0.0.1"
