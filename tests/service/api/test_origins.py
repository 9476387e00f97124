"""What a browser is told when a page of another origin calls (the CORS protocol of the Fetch standard)."""

import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.conftest import RunningApp
from tests.scrape import samples
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

PAGE, OTHER = "https://page.example", "https://other.example"
KEY = "key-of-the-page"
READABLE = {
    "x-seed",
    "x-request-id",
    "x-model-version",
    "x-layout",
    "server-timing",
    "retry-after",
}


@pytest.fixture(scope="module")
async def shared(running_app: RunningApp, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that lets one page call, with a key."""
    async with running_app(cors_origins=f"{PAGE},http://localhost:3000", api_keys=KEY) as (_, client):
        yield client


def preflight(origin: str, method: str = "POST", headers: str = "content-type") -> dict[str, str]:
    """What a browser sends before a request that is more than a form could send."""
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


def listed(answer: httpx.Response, header: str) -> set[str]:
    """The values of a header that is a list, in lower case."""
    return {value.strip().lower() for value in answer.headers.get(header, "").split(",")} - {""}


@pytest.mark.parametrize("path", ["/sample", "/models"])
async def test_the_page_gets_leave_to_send_what_the_service_reads(
    shared: httpx.AsyncClient, path: str
) -> None:
    asked = preflight(PAGE, "POST", "authorization,content-type,x-api-key,x-request-id,x-request-timeout-ms")
    answer = await shared.options(path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert {"get", "post"} <= listed(answer, "access-control-allow-methods")
    assert listed(answer, "access-control-request-headers") <= listed(answer, "access-control-allow-headers")
    assert {"authorization", "content-type"} <= listed(answer, "access-control-allow-headers")
    assert "origin" in listed(answer, "vary")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "asked",
    [
        preflight(OTHER),
        preflight("null"),
        preflight(f"{PAGE}.evil.example"),
        preflight(PAGE, "DELETE"),
        preflight(PAGE, "POST", "x-secret"),
    ],
    ids=str,
)
async def test_what_is_not_listed_gets_no_leave(shared: httpx.AsyncClient, asked: dict[str, str]) -> None:
    answer = await shared.options("/sample", headers=asked)
    assert answer.status_code == 400
    if asked["origin"] != PAGE:
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [("POST", "/sample"), ("GET", "/models")])
@pytest.mark.parametrize(("key", "status"), [(KEY, 200), ("wrong", 401)])
async def test_the_page_may_read_the_answer_and_its_headers(
    shared: httpx.AsyncClient, method: str, path: str, key: str, status: int
) -> None:
    headers = {"origin": PAGE, "x-api-key": key}
    answer = await shared.request(method, path, headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert listed(answer, "access-control-expose-headers") >= READABLE
    assert listed(answer, "vary") == {"accept", "origin"}
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [("POST", "/sample"), ("GET", "/models")])
async def test_another_page_is_answered_and_may_not_read_it(
    shared: httpx.AsyncClient, method: str, path: str
) -> None:
    headers = {"origin": OTHER, "x-api-key": KEY}
    answer = await shared.request(method, path, headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/fault", "/sample"], ids=["long way", "short way"])
async def test_the_page_may_read_a_fault_of_ours(running_app: RunningApp, path: str) -> None:
    async def fault(request: Request) -> Response:
        raise ZeroDivisionError("secret of ours")

    async with running_app(cors_origins=PAGE) as (app, client):
        app.add_route("/fault", fault, methods=["POST"])
        app.state.service = dataclasses.replace(app.state.service, sample_request=None)  # a fault of ours
        answer = await client.post(path, headers={"origin": PAGE}, json={})
        assert_problem(answer, 500)
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_every_page_may_call_where_that_is_asked_for(running_app: RunningApp) -> None:
    async with running_app(cors_origins="*") as (_, client):
        answer = await client.post("/sample", headers={"origin": OTHER}, json={})
        leave = await client.options("/sample", headers=preflight(OTHER))
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (leave.status_code, leave.headers["access-control-allow-origin"]) == (200, "*")


async def test_by_default_no_page_may_call(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", headers={"origin": PAGE}, json={})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["vary"] == "Accept"
    assert_problem(await client.options("/sample", headers=preflight(PAGE)), 405)


async def test_asking_for_leave_is_no_sample(running_app: RunningApp) -> None:
    async with running_app(cors_origins=PAGE) as (_, client):
        await client.options("/sample", headers=preflight(PAGE))
        found = samples((await client.get("/metrics")).text)
    assert found['vae_requests_total{code="200",operation="sample"}'] == 0
    assert found['vae_requests_total{code="200",operation="other"}'] == 1
