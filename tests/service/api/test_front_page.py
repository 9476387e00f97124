"""The front page: the playground to browsers, an index to programs, under a policy that allows little."""

import re
from urllib.parse import urljoin

import httpx
import pytest

from service.api.front_page import FOLDER
from tests.conftest import RunningApp

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "javascript",
    ".svg": "image/svg+xml",
}
FILES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize(
    "accept", [BROWSER["accept"], "text/html", "text/*;q=0.9, application/json;q=0.8", "text/html, */*"]
)
async def test_a_browser_gets_the_playground(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "Accept" in answer.headers["vary"]
    assert answer.text == (FOLDER / "index.html").read_text()


@pytest.mark.parametrize(
    "accept",
    ["*/*", "", "application/json", "application/json, text/html;q=0.9", "image/png", "text/html;q=0"],
)
async def test_everything_else_gets_the_index(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert "/sample" in answer.json()["paths"]


async def test_the_page_may_use_files_of_this_server_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers=BROWSER)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["require-trusted-types-for"] == "'script'"


async def test_a_page_that_the_browser_has_is_not_sent_again_and_keeps_its_policy(
    client: httpx.AsyncClient,
) -> None:
    first = await client.get("/", headers=BROWSER)
    again = await client.get("/", headers={**BROWSER, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("cache-control", "content-security-policy", "etag"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize("prefix", ["", "/vae"])
async def test_every_address_in_the_page_leads_to_this_server(client: httpx.AsyncClient, prefix: str) -> None:
    page = (await client.get("/", headers=BROWSER)).text
    addresses = [address for address in re.findall(r'(?:src|href)="([^#"]+)"', page)]
    assert {"playground/main.js", "playground/style.css", "docs"} <= set(addresses)
    for address in addresses:
        path = urljoin(f"http://service{prefix}/", address).removeprefix(f"http://service{prefix}")
        assert path.startswith("/"), address
        assert (await client.get(path)).status_code == 200, address


@pytest.mark.parametrize("asked", ["bytes=abc", "bytes=99999999-", "bytes=0-9", "bytes=0-1,3-4", "lines=1-2"])
@pytest.mark.parametrize("path", ["/", "/playground/main.js", "/swagger-ui/swagger-ui.css"])
async def test_files_are_sent_whole_whatever_part_is_asked_for(
    client: httpx.AsyncClient, path: str, asked: str
) -> None:
    whole = await client.get(path, headers=BROWSER)
    answer = await client.get(path, headers={**BROWSER, "range": asked})
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert answer.headers["accept-ranges"] == "none"
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("name", FILES)
async def test_each_file_has_its_type_and_is_asked_for_again_only_if_it_changed(
    client: httpx.AsyncClient, name: str
) -> None:
    answer = await client.get(f"/playground/{name}")
    assert answer.status_code == 200
    assert TYPES[name[name.rindex(".") :]] in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-cache"
    headers = {"if-none-match": answer.headers["etag"]}
    assert (await client.get(f"/playground/{name}", headers=headers)).status_code == 304


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
async def test_every_module_that_a_script_names_is_there(client: httpx.AsyncClient, name: str) -> None:
    script = (await client.get(f"/playground/{name}")).text
    modules = re.findall(r'from "\./(.+?)"', script)
    assert set(modules) <= set(FILES)


async def test_only_the_files_of_the_page_are_served(client: httpx.AsyncClient) -> None:
    for path in ("", "/", "/../front_page.py", "/%2e%2e/front_page.py", "/..%2ffront_page.py", "/nothing.js"):
        answer = await client.get(f"/playground{path}")
        assert answer.status_code in (307, 404), path


async def test_the_page_needs_no_key(running_app: RunningApp) -> None:
    async with running_app(api_keys="secret") as (_, client):
        assert (await client.get("/", headers=BROWSER)).status_code == 200
        for name in FILES:
            assert (await client.get(f"/playground/{name}")).status_code == 200
        for path in ("/models", "/playground", "/playgrounds/main.js"):
            assert (await client.get(path)).status_code == 401
