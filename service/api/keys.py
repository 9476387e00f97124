"""Who may call: one of the API keys, before anything of a request is read."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import front_page, swagger
from service.api.errors import answer_service_error
from service.errors import InvalidKeys, Unauthorized

# A list of what is open, not of what is closed: a path that is added later needs a key until it stands here.
# Probes and Prometheus come without a key; the documents say how to send one, the playground asks for one.
OPEN_PATHS = frozenset(
    {
        "/",
        swagger.PAGE,
        "/openapi.json",
        "/livez",
        "/readyz",
        "/healthz",
        "/v2/health/live",
        "/v2/health/ready",
        "/metrics",
    }
)
OPEN_FOLDERS = (f"{swagger.FILES}/", f"{front_page.FILES}/")
# What a header can carry, without the comma that separates keys.
KEY = re.compile(r"[!-+\--~]+")
COMMENT = re.compile(r"(^|\s)#.*")


class ApiKeys:
    """The keys that are let in, kept as digests.

    Args:
        keys: As they are sent.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def admit(self, headers: Headers) -> bool:
        """Whether a request bears one of the keys.

        Every offered key is compared with every known one, in constant time: how long that takes says
        nothing about what was right of a key, or which one it was.
        """
        matches = [
            hmac.compare_digest(_digest(offered), known)
            for offered in _offered(headers)
            for known in self._digests
        ]
        return any(matches)


class KeyMiddleware:
    """Answers 401 to requests without a key, but for the open paths.

    Args:
        app: What it is around.
        keys: Those that are let in.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            headers = Headers(scope=scope)
            if not self._keys.admit(headers):
                answer = await answer_service_error(Request(scope), _refusal(headers))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def load_keys(listed: SecretStr | None, file: Path | None) -> ApiKeys | None:
    """Read the keys of both settings; None where neither is set.

    Args:
        listed: Keys with commas between.
        file: Keys, one a line; `#` at the start of a line or after a space begins a comment.

    Raises:
        InvalidKeys: A setting without a key, which would leave open what was meant to be closed, or a key
            that no header can carry. Keys are told by their place, never shown.
        OSError: The file cannot be read.
    """
    keys = []
    if listed is not None:
        keys += _checked(listed.get_secret_value().split(","), "VAE_API_KEYS")
    if file is not None:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        keys += _checked([COMMENT.sub("", line) for line in lines], f"VAE_API_KEYS_FILE ({file})")
    return ApiKeys(keys) if keys else None


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def _checked(texts: list[str], setting: str) -> list[str]:
    keys = [text.strip() for text in texts if text.strip()]
    if not keys:
        raise InvalidKeys(f"{setting} holds no key: give one, or leave the setting out")
    for number, key in enumerate(keys, 1):
        if not KEY.fullmatch(key):
            problem = f"key {number} must be of visible ASCII characters, without spaces and commas"
            raise InvalidKeys(f"{setting}: {problem}")
    return keys


def _offered(headers: Headers) -> list[str]:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    bearer = [key.strip()] if scheme.lower() == "bearer" else []
    return bearer + headers.getlist("x-api-key")


def _refusal(headers: Headers) -> Unauthorized:
    if _offered(headers):
        return Unauthorized("this API key is not one of those that are let in", param="Authorization")
    problem = "an API key is needed: send `Authorization: Bearer <key>` or `X-API-Key: <key>`"
    return Unauthorized(problem, param="Authorization")


def _digest(key: str) -> bytes:
    """Of one length, so that comparing does not tell the length of a key."""
    return hashlib.sha256(key.encode()).digest()
