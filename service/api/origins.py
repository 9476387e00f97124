"""Pages of which origins may call from a browser (CORS); others are for that page's own browser to refuse."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST")
# What a page may send beside the headers that need no leave, and what it may read beside those.
SENT_HEADERS = ("Authorization", "X-API-Key", "X-Request-ID", "X-Request-Timeout-Ms")
READ_HEADERS = (
    "ETag",
    "X-Seed",
    "X-Layout",
    "X-Model-Version",
    "X-Request-ID",
    "Server-Timing",
    "Retry-After",
    "WWW-Authenticate",
)


def allow_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Let pages of these origins call; `*` is every one.

    No cookies are asked for or taken: a page sends a key by itself.
    """
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=SENT_HEADERS,
        expose_headers=READ_HEADERS,
    )
