"""An app whose only thread for short steps is held up, and how many items it has admitted meanwhile."""

import asyncio
import threading

import httpx
from fastapi import FastAPI

from service.engine.engine import Engine
from service.engine.steps import Step
from tests.scrape import samples

ONE_THREAD = {"device_threads": 1, "codec_threads": 1}


class Busy:
    """Holds the only thread up that does an app's short steps, until it is left."""

    def __init__(self, app: FastAPI) -> None:
        self._engine: Engine = app.state.service.models.default
        self._may_go_on = threading.Event()

    async def __aenter__(self) -> None:
        self._held = self._engine.do(Step(self._may_go_on.wait, is_short=True), timeout_seconds=60)

    async def __aexit__(self, *_: object) -> None:
        self._may_go_on.set()
        await self._held


async def admitted(client: httpx.AsyncClient) -> float:
    """Items that hold a place."""
    return samples((await client.get("/metrics")).text)["vae_admitted_items"]


async def until_admitted(client: httpx.AsyncClient, num_items: int) -> None:
    """Wait until so many items hold places."""
    async with asyncio.timeout(10):
        while await admitted(client) < num_items:
            await asyncio.sleep(0)
