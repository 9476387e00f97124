from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import RunningApp


@pytest.fixture(scope="module")
async def client(running_app: RunningApp, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one app for all tests of a module: each request must leave it working."""
    async with running_app() as (_, client):
        yield client
