"""Who is let in: one of the keys, on every path but the open ones, and no key is ever shown."""

import hmac
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers

from service.api.keys import load_keys
from service.errors import InvalidKeys
from service.settings import Settings
from tests.conftest import RunningApp
from tests.scrape import samples
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

OLD, NEW = "first-key.of~two+/=", "second#key"
OPEN = {
    "/",
    "/docs",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/healthz",
    "/v2/health/live",
    "/v2/health/ready",
    "/metrics",
}
ADMITTED = [
    {"authorization": f"Bearer {OLD}"},
    {"authorization": f"Bearer {NEW}"},
    {"authorization": f"bearer  {NEW} "},
    {"x-api-key": OLD},
    {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": NEW},
    {"authorization": "Bearer wrong", "x-api-key": NEW},
]
REFUSED = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": OLD},
    {"authorization": f"Basic {OLD}"},
    {"authorization": f"Bearer {OLD[:-1]}"},
    {"authorization": f"Bearer {OLD}x"},
    {"authorization": f"Bearer {OLD.upper()}"},
    {"authorization": f"Bearer {OLD},{NEW}"},
    {"authorization": f"Bearer {OLD} {NEW}"},
    {"authorization": b"Bearer \xff\xfe"},
    {"x-api-key": ""},
    {"x-api-key": f"Bearer {OLD}"},
]


@pytest.fixture(scope="module")
async def locked(
    running_app: RunningApp, anyio_backend: str
) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """An app with two keys."""
    async with running_app(api_keys=f"{OLD}, {NEW}") as app_and_client:
        yield app_and_client


Locked = tuple[FastAPI, httpx.AsyncClient]


@pytest.mark.parametrize("headers", ADMITTED, ids=str)
@pytest.mark.parametrize(("method", "path"), [("POST", "/sample"), ("GET", "/models")])
async def test_a_request_with_one_of_the_keys_is_answered(
    locked: Locked, headers: dict[str, str], method: str, path: str
) -> None:
    json = {"n": 1} if method == "POST" else None
    answer = await locked[1].request(method, path, headers=headers, json=json)
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", REFUSED, ids=str)
@pytest.mark.parametrize(("method", "path"), [("POST", "/sample"), ("GET", "/models"), ("GET", "/nowhere")])
async def test_a_request_without_one_is_401_and_says_how_to_send_it(
    locked: Locked, headers: dict[str, str], method: str, path: str
) -> None:
    answer = await locked[1].request(method, path, headers=headers)
    assert_problem(answer, 401, param="Authorization", words="API key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert OLD not in answer.text


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_probes_metrics_and_documents_need_no_key(locked: Locked, path: str) -> None:
    assert (await locked[1].get(path)).status_code == 200


async def test_every_other_route_needs_one(locked: Locked) -> None:
    app, client = locked
    paths = set(app.openapi()["paths"]) - OPEN
    assert {"/sample", "/models/{name}"} <= paths
    for path in paths:
        assert (await client.post(path)).status_code == 401, path


@pytest.mark.parametrize(
    "path", ["/livez/x", "//sample", "/%73ample", "/sample/", "/livez/../sample", "/Docs"]
)
async def test_no_way_to_write_a_path_leads_past_the_key(locked: Locked, path: str) -> None:
    assert (await locked[1].post(f"http://service{path}", json={})).status_code == 401


async def test_without_keys_everybody_is_let_in(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={}, headers={"authorization": "Bearer any"})
    assert answer.status_code == 200


async def test_the_body_of_a_refused_request_is_not_read(locked: Locked) -> None:
    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/encode",
        "raw_path": b"/encode",
        "query_string": b"",
        "headers": [(b"content-type", b"image/png"), (b"content-length", b"1000000")],
    }
    await locked[0](scope, receive, send)
    assert sent[0]["status"] == 401


async def test_a_refusal_is_counted_and_carries_the_request_id(running_app: RunningApp) -> None:
    async with running_app(api_keys=OLD) as (_, client):
        answer = await client.post("/sample", json={}, headers={"x-request-id": "mine"})
        found = samples((await client.get("/metrics")).text)
    assert answer.headers["x-request-id"] == "mine"
    assert found['vae_requests_total{code="401",operation="sample"}'] == 1


async def test_no_key_is_in_the_log(locked: Locked, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for headers in (*ADMITTED, *REFUSED):
            await locked[1].post("/sample", json={}, headers=headers)
    assert len([record for record in caplog.records if record.name == "service.access"]) == 20
    assert not [record for record in caplog.records for key in (OLD, NEW) if key in str(vars(record))]


@pytest.mark.parametrize(("keys", "is_optional"), [(None, True), (OLD, False)], ids=["open", "locked"])
async def test_the_document_says_whether_a_key_is_needed_and_where(
    running_app: RunningApp, keys: str | None, is_optional: bool
) -> None:
    async with running_app(api_keys=keys) as (_, client):
        document = (await client.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["key"]["in"], schemes["key"]["name"]) == ("header", "X-API-Key")
    assert ({} in document["security"]) == is_optional
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) == (path not in OPEN)
            assert (operation.get("security") == []) == (path in OPEN)


def test_a_key_is_compared_with_every_one_wherever_the_right_one_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return first == second

    keys = load_keys(SecretStr(f"{OLD},{NEW},third"), None)
    assert keys is not None
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for key in (OLD, "third", "wrong"):
        compared.clear()
        assert keys.admit(Headers({"x-api-key": key})) == (key != "wrong")
        assert len(compared) == 3
        assert {len(part) for pair in compared for part in pair} == {32}


def test_both_settings_may_hold_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n\n{OLD}  # until May\n   {NEW}\r\n#old\n")
    keys = load_keys(SecretStr(" listed ,"), file)
    assert keys is not None
    for key in ("listed", OLD, NEW):
        assert keys.admit(Headers({"x-api-key": key}))
    for key in ("", "#", "#old", "old", "# of the team", "until May"):
        assert not keys.admit(Headers({"x-api-key": key}))


def test_no_setting_is_no_keys() -> None:
    assert load_keys(None, None) is None


@pytest.mark.parametrize("listed", ["", "  ", ",", " , ,"])
def test_a_setting_that_holds_no_key_is_refused_and_leaves_nothing_open(listed: str) -> None:
    with pytest.raises(InvalidKeys, match=r"^VAE_API_KEYS holds no key"):
        load_keys(SecretStr(listed), None)


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# nothing yet\n")
    with pytest.raises(InvalidKeys, match=r"^VAE_API_KEYS_FILE .*keys\) holds no key"):
        load_keys(SecretStr(OLD), file)


@pytest.mark.parametrize("bad", ["two words", "clé", "tab\tbed", "null\0"])
def test_a_key_that_no_header_can_carry_is_told_by_its_place_and_not_shown(bad: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(f"{OLD}\n{bad}\n".encode("latin-1"))
    for listed, path in ((SecretStr(f"{OLD},{bad}"), None), (None, file)):
        with pytest.raises(InvalidKeys, match="key 2 must be of visible ASCII") as caught:
            load_keys(listed, path)
        assert bad not in str(caught.value)
        assert OLD not in str(caught.value)


def test_settings_do_not_show_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_API_KEYS", OLD)
    settings = Settings()
    assert OLD not in repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert settings.api_keys is not None
    assert settings.api_keys.get_secret_value() == OLD
