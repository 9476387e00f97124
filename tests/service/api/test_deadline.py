"""A request's time counts from its arrival: what its upload takes is not given again to the queue."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from service.api.deadline import Deadline
from service.errors import DeadlineExceeded, InvalidValue
from tests.conftest import RunningApp
from tests.scrape import samples
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


def scope(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"type": "http", "headers": list(headers)}


async def stalled(first: bytes = b'{"n": ') -> AsyncIterator[bytes]:
    """A body of which only the first part ever comes."""
    yield first
    await asyncio.Event().wait()


async def trickling() -> AsyncIterator[bytes]:
    """A body that never ends, each piece of which comes in good time."""
    yield b"{"
    while True:
        await asyncio.sleep(0.01)
        yield b" "


@pytest.mark.parametrize("body", [stalled, trickling])
@pytest.mark.parametrize("path", ["/sample", "/decode", "/encode", "/reconstruct"])
async def test_a_body_that_is_not_there_by_the_deadline_is_408(
    running_app: RunningApp, path: str, body: type[AsyncIterator[bytes]]
) -> None:
    async with running_app(request_timeout_seconds=0.5) as (_, client), asyncio.timeout(10):
        answer = await client.post(path, content=body(), headers=JSON)
        assert_problem(answer, 408, words=r"after 0\.5 s only [1-9]\d* bytes")
        assert answer.headers["connection"] == "close"
        found = samples((await client.get("/metrics")).text)
        assert found[f'vae_requests_total{{code="408",operation="{path[1:]}"}}'] == 1


async def test_a_multipart_body_that_is_not_there_by_the_deadline_is_408(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b", "x-request-timeout-ms": "500"}
    async with asyncio.timeout(10):
        assert_problem(await client.post("/encode", content=stalled(b"--b\r\n"), headers=headers), 408)


async def test_the_requests_own_deadline_bounds_its_upload(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        answer = await client.post(
            "/sample", content=stalled(), headers=JSON | {"x-request-timeout-ms": "500"}
        )
    assert_problem(answer, 408, words=r"after 0\.5 s")


async def test_a_deadline_that_is_none_is_told_before_the_body_is_read(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        answer = await client.post(
            "/sample", content=stalled(), headers=JSON | {"x-request-timeout-ms": "soon"}
        )
    assert_problem(answer, 422, param="X-Request-Timeout-Ms")


async def test_a_body_that_is_there_when_the_deadline_has_passed_is_504(running_app: RunningApp) -> None:
    async with running_app(request_timeout_seconds=1e-9) as (_, client):
        for path, body in {"sample": {}, "decode": {"z": [[0, 0, 0, 0]]}}.items():
            assert_problem(await client.post(path, json=body), 504, words="deadline")


def test_what_passed_since_the_arrival_is_taken_off() -> None:
    deadline = Deadline(scope(), 5.0)
    while time.perf_counter() < deadline.arrived_seconds + 0.02:
        pass
    assert 0 < deadline.check() <= 5.0 - 0.02


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (b"250", 0.25),
        (b"1.5", 0.0015),
        (b"1e3", 1.0),
        (b"0.001", 1e-6),
        (b"1.0000000000000002E-3", 1e-6),
        (b"999999999", 30.0),
    ],
)
def test_the_header_is_in_milliseconds_and_capped(sent: bytes, seconds: float) -> None:
    allowed = Deadline(scope((b"x-request-timeout-ms", sent)), 30.0).allowed_seconds()
    assert allowed == pytest.approx(seconds)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"0",
        b"0.0009",
        b"-1",
        b"+1",
        b"1e9",
        b"1e999",
        b"1e-9",
        b"nan",
        b"inf",
        b"1_0",
        b"0x1",
        b"1" * 10,
        b"1 2",
        b"9" * 9000,
    ],
)
def test_a_header_that_is_no_positive_number_is_refused_and_not_echoed_at_length(sent: bytes) -> None:
    with pytest.raises(InvalidValue) as caught:
        Deadline(scope((b"x-request-timeout-ms", sent)), 30.0).check()
    assert caught.value.param == "X-Request-Timeout-Ms"
    assert len(caught.value.message) < 120


def test_a_deadline_that_has_passed_is_not_met() -> None:
    with pytest.raises(DeadlineExceeded):
        Deadline(scope(), 0.0).check()
