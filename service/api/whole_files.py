"""Files of pages: small, each sent whole."""

import os
from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class WholeFiles(StaticFiles):
    """The files of a folder. Range is passed over: the framework has errors of its own for it.

    Attributes:
        headers: What answers have besides.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or 304 where the browser has it."""
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"range"]
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers.update({"Accept-Ranges": "none", **self.headers})
        return answer
