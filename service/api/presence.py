"""Clients that leave while their request waits: its work is dropped before the device sees it."""

import asyncio
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

Answer = TypeVar("Answer")

# A request that is answered sooner costs no watching.
WATCH_AFTER_SECONDS = 0.1


async def while_present(request: Request, work: asyncio.Future[Answer]) -> Answer:
    """Await work, and cancel it when the client goes.

    Args:
        request: Its body has been read.
        work: What the answer is made of.

    Raises:
        ClientDisconnect: The client has gone.
    """
    watch = work.get_loop().call_later(WATCH_AFTER_SECONDS, _watch, request, work)
    try:
        return await work
    except asyncio.CancelledError:
        if request.scope.get("client_gone"):
            raise ClientDisconnect from None
        raise
    finally:
        watch.cancel()


def _watch(request: Request, work: asyncio.Future[Answer]) -> None:
    watcher = work.get_loop().create_task(_cancel_when_gone(request, work))
    work.add_done_callback(lambda _: watcher.cancel())


async def _cancel_when_gone(request: Request, work: asyncio.Future[Answer]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    request.scope["client_gone"] = True
    work.cancel()
