"""Bodies on their way: bounded over all requests, and counted no longer than they are on their way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.api.arrival import MAX_BODIES_UNDER_WAY
from tests.conftest import RunningApp
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
MAX_BYTES = 1024


class Last:
    """The last byte of bodies of the largest size, which lets itself be waited for."""

    def __init__(self, *, may_come: bool = False) -> None:
        self.may_come = asyncio.Event()
        self.num_awaited = 0
        if may_come:
            self.may_come.set()

    async def body(self) -> AsyncIterator[bytes]:
        yield b"{}".ljust(MAX_BYTES - 1)
        self.num_awaited += 1
        await self.may_come.wait()
        yield b" "


@pytest.mark.parametrize("path", ["/sample", "/decode", "/encode", "/v2/models/tiny/infer"])
async def test_beyond_what_may_be_on_its_way_an_upload_is_refused(running_app: RunningApp, path: str) -> None:
    async with running_app(max_body_bytes=MAX_BYTES) as (_, client):
        last = Last()
        uploads = [
            asyncio.create_task(client.post("/sample", content=last.body(), headers=JSON))
            for _ in range(MAX_BODIES_UNDER_WAY)
        ]
        async with asyncio.timeout(10):
            while last.num_awaited < MAX_BODIES_UNDER_WAY:
                await asyncio.sleep(0)
            answer = await client.post(path, content=last.body(), headers=JSON)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert f"of at most {MAX_BODIES_UNDER_WAY * MAX_BYTES}" in answer.text
        assert (await client.post("/sample", json={})).status_code == 200  # it comes in one piece
        last.may_come.set()
        assert {(await upload).status_code for upload in uploads} == {200}
        done = await client.post("/sample", content=last.body(), headers=JSON)
        assert done.status_code == 200


async def test_a_body_that_failed_is_on_its_way_no_more(running_app: RunningApp) -> None:
    never, at_once = Last(), Last(may_come=True)

    async def too_much() -> AsyncIterator[bytes]:
        yield b" " * MAX_BYTES
        yield b" " * MAX_BYTES

    async with running_app(max_body_bytes=MAX_BYTES) as (_, client):
        late = {**JSON, "x-request-timeout-ms": "500"}
        for num in (MAX_BODIES_UNDER_WAY, 1):
            uploads = [client.post("/sample", content=never.body(), headers=late) for _ in range(num)]
            for answer in await asyncio.gather(*uploads):
                assert_problem(answer, 408)
        for _ in range(MAX_BODIES_UNDER_WAY + 1):
            assert_problem(await client.post("/sample", content=too_much(), headers=JSON), 413)
            answer = await client.post("/encode", content=never.body(), headers=FORM)
            assert_problem(answer, 400, words="multipart")
            gone = asyncio.create_task(client.post("/sample", content=never.body(), headers=JSON))
            await asyncio.sleep(0.005)
            gone.cancel()
            answer = await client.post("/sample", content=at_once.body(), headers=JSON)
            assert answer.status_code == 200, answer.text
