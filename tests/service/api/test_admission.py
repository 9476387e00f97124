"""Beyond capacity: refused before any work, and bounded wherever the work waits, its steps included."""

import asyncio

import pytest
from fastapi import FastAPI

from tests.conftest import RunningApp
from tests.pictures import file_of, noise, picture
from tests.service.api.busy import ONE_THREAD, Busy, admitted, until_admitted
from tests.service.api.problems import assert_problem
from tests.service.api.scope import posted

pytestmark = pytest.mark.anyio

FILE = file_of(picture(noise(8, 8, 3)))
UPLOADS = [{"files": [("image", FILE)] * num} for num in (1, 2)]


@pytest.mark.parametrize(
    ("path", "request_of_one"),
    [("/sample", {"json": {}}), ("/decode", {"json": {"z": [[0] * 4]}}), ("/reconstruct", UPLOADS[0])],
)
async def test_what_waits_for_a_step_holds_its_places(
    running_app: RunningApp, path: str, request_of_one: dict[str, object]
) -> None:
    async with running_app(max_queued_items=3, **ONE_THREAD) as (app, client):
        async with Busy(app):
            waiting = [asyncio.create_task(client.post(path, **request_of_one)) for _ in range(3)]
            await until_admitted(client, 3)
            answer = await client.post(path, **request_of_one)
            assert_problem(answer, 429, words="3 of 3 places are taken, 1 more")
            assert int(answer.headers["retry-after"]) >= 1
        assert [(await task).status_code for task in waiting] == [200] * 3
        assert await admitted(client) == 0
        assert (await client.post(path, **request_of_one)).status_code == 200


@pytest.mark.parametrize(
    ("path", "one", "two"),
    [
        ("/sample", {"json": {"n": 1}}, {"json": {"n": 2}}),
        ("/decode", {"json": {"z": [[0] * 4]}}, {"json": {"z": [[0] * 4] * 2}}),
        ("/encode", *UPLOADS),
        ("/reconstruct", *UPLOADS),
    ],
)
async def test_what_is_too_much_is_refused_while_less_still_fits(
    running_app: RunningApp, path: str, one: dict[str, object], two: dict[str, object]
) -> None:
    async with running_app(max_queued_items=3, **ONE_THREAD) as (app, client):
        async with Busy(app):
            first = asyncio.create_task(client.post("/sample", json={"n": 2}))
            await until_admitted(client, 2)
            assert_problem(await client.post(path, **two), 429, words="2 of 3 places are taken, 2 more")
            second = asyncio.create_task(client.post(path, **one))
            await until_admitted(client, 3)
        assert (await first).status_code == (await second).status_code == 200


@pytest.mark.parametrize("path", ["/sample", "/decode", "/encode", "/reconstruct", "/v2/models/tiny/infer"])
async def test_a_full_service_refuses_before_it_reads_the_body(running_app: RunningApp, path: str) -> None:
    async with running_app(max_queued_items=1, **ONE_THREAD) as (app, client):
        async with Busy(app):
            first = asyncio.create_task(client.post("/sample", json={}))
            await until_admitted(client, 1)
            assert await status_without_a_body(app, path) == 429
        assert (await first).status_code == 200


@pytest.mark.parametrize(
    "refused",
    [{"content": b"no image", "headers": {"content-type": "image/png"}}, {"json": {"images": ["?"]}}],
)
async def test_a_request_that_fails_gives_its_places_back(
    running_app: RunningApp, refused: dict[str, object]
) -> None:
    async with running_app() as (_, client):
        assert (await client.post("/encode", **refused)).status_code == 400
        assert await admitted(client) == 0


async def status_without_a_body(app: FastAPI, path: str) -> int:
    """What a request is answered with whose body must not be asked for."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await app(posted(path, "image/png"), receive, send)
    return int(str(sent[0]["status"]))
