"""What is at /: the playground to a browser, a JSON index to everything else.

The playground is one page of plain files, without a build step, in the folder beside this file. Every address
in it is relative, so that it also works behind a prefix of a proxy.
"""

from pathlib import Path
from types import MappingProxyType

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api.negotiation import Form, accept, prefers
from service.api.whole_files import WholeFiles

FILES = "/playground"
FOLDER = Path(__file__).parent / "playground"
# Files of this server and requests to it; pictures also as it sends them in JSON. No text can become HTML.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

router = APIRouter()


class PageFiles(WholeFiles):
    """The files of the page, kept by browsers, which ask each time whether they have changed."""

    headers = MappingProxyType({"Cache-Control": "no-cache"})

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)


@router.get("/", include_in_schema=False)
async def show_front_page(request: Request) -> Response:
    """Show the playground to people, and say to programs what there is."""
    if prefers(accept(request), Form.HTML, to=Form.JSON):
        page = await PageFiles().get_response("index.html", request.scope)
        # Of a 304 too: what it says replaces what the browser has kept.
        page.headers["Content-Security-Policy"] = POLICY
        return page
    app = request.app
    index = {"service": app.title, "version": app.version, "paths": list(app.openapi()["paths"])}
    return Response(orjson.dumps(index), media_type=Form.JSON)
