"""The short way to the operations, past the framework, whose layers take longer than the route itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import answer_http_error, answer_service_error, answer_unexpected_error
from service.engine.engine import STOPPING
from service.errors import NotReady, ServiceError

Endpoint = Callable[[Request], Awaitable[Response]]


class ShortWay:
    """Calls the operations itself and leaves every other request to the framework.

    Errors are answered as they are on the long way, and those that nobody expected are raised again
    after their answer, as there, for the log.

    Args:
        app: The framework.
        operations: What answers directly, by method and path.
    """

    def __init__(self, app: ASGIApp, operations: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._operations = operations
        self._methods: dict[str, list[str]] = {}
        for method, path in sorted(operations):
            self._methods.setdefault(path, []).append(method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] not in self._methods:
            await self._pass_on(scope, receive, send)
            return
        endpoint = self._operations.get((scope["method"], scope["path"]))
        if endpoint and "fastapi.telemetry" in scope:  # a traced request's span is named by the framework
            await self._pass_on(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            # The framework would name the methods of one route only, where several have the path.
            response = await endpoint(request) if endpoint else await self._refuse(request)
        except ServiceError as error:
            response = await answer_service_error(request, error)
        except HTTPException as error:
            response = await answer_http_error(request, error)
        except asyncio.CancelledError:  # the server ends, and waits for this request no longer
            response = await answer_service_error(request, NotReady(STOPPING))
        except ClientDisconnect:
            raise
        except Exception:
            response = await answer_unexpected_error(request)
            await response(scope, receive, send)
            raise
        await response(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave a request to the framework, which has no answer where the server ends before it."""
        is_begun = False

        async def send_on(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except asyncio.CancelledError:
            if is_begun or scope["type"] != "http":
                raise
            response = await answer_service_error(Request(scope), NotReady(STOPPING))
            await response(scope, receive, send)

    async def _refuse(self, request: Request) -> Response:
        allowed = ", ".join(self._methods[request.scope["path"]])
        return await answer_http_error(request, HTTPException(405, headers={"Allow": allowed}))
