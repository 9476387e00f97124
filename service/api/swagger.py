"""The page at /docs: Swagger UI, from files of this server, so that it works without the internet.

The files are those of the package fastapi-swagger, which repackages the releases of swagger-ui-dist.
"""

import base64
import hashlib
import re

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

from service.api.whole_files import WholeFiles

PAGE = "/docs"
FILES = "/swagger-ui"

router = APIRouter()


@router.get(PAGE, include_in_schema=False)
async def show_documents(request: Request) -> Response:
    """Show the OpenAPI document to people.

    Every address in the page is relative, so that it also works behind a prefix of a proxy.
    """
    folder = FILES.removeprefix("/")
    answer = get_swagger_ui_html(
        openapi_url=request.app.openapi_url.removeprefix("/"),
        title=request.app.title,
        swagger_js_url=f"{folder}/swagger-ui-bundle.js",
        swagger_css_url=f"{folder}/swagger-ui.css",
        swagger_favicon_url=f"{folder}/favicon-32x32.png",
    )
    answer.headers["Content-Security-Policy"] = _policy(bytes(answer.body).decode())
    return answer


def files() -> WholeFiles:
    """Script, style and icon of the page, to be mounted at FILES."""
    return WholeFiles(packages=[("fastapi_swagger", "resources")])


def _policy(html: str) -> str:
    """Files of this server, requests to it, and of scripts in the page only those that it has now."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {allowed}; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; frame-ancestors 'none'"
    )
