"""What answers that never change say to caches (RFC 9110, section 8.8; RFC 9111)."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from service.api.negotiation import Form
from service.api.service import service_of
from service.vae.runtime import Runtime

# A changed checkpoint is served under the same address: after so long a cache asks again.
MAX_AGE_SECONDS = 3600
TAG = re.compile(r'(?:W/)?("[^"]*")')


def entity_tag(request: Request, runtime: Runtime, asked: Sequence[object], form: Form) -> str:
    """The ETag of an answer that is not made yet: of all that its bytes depend on.

    That of JSON is weak, since it tells when it was created.

    Args:
        request: To this service.
        runtime: The model that would answer.
        asked: What it would be asked.
        form: Of the answer.
    """
    made_by = (request.app.version, runtime.version, runtime.device.type, runtime.precision)
    content = repr((*made_by, service_of(request).png_compression, *asked, str(form)))
    tag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    return f"W/{tag}" if form is Form.JSON else tag


def cache_control(request: Request) -> str:
    """Who may keep an answer: everybody, but only the caller's own cache where a key is needed to see it."""
    kept_by = "public" if request.app.state.keys is None else "private"
    return f"{kept_by}, max-age={MAX_AGE_SECONDS}"


def is_known(request: Request, headers: Mapping[str, str]) -> bool:
    """Whether the caller has an answer with these headers already, as If-None-Match says."""
    sent = ",".join(request.headers.getlist("if-none-match")).strip()
    tag = headers.get("ETag")
    if tag is None or not sent:
        return False
    return sent == "*" or tag.removeprefix("W/") in TAG.findall(sent)
