"""The page of documents needs nothing but this server, and its policy allows nothing else."""

import base64
import hashlib
import re
from urllib.parse import urljoin

import httpx
import pytest

pytestmark = pytest.mark.anyio


def policy_of(answer: httpx.Response) -> dict[str, list[str]]:
    """The directives of a Content-Security-Policy."""
    directives = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    return {name: values for name, *values in directives}


@pytest.mark.parametrize("prefix", ["", "/vae"])
async def test_the_page_loads_its_files_from_where_it_came(client: httpx.AsyncClient, prefix: str) -> None:
    text = (await client.get("/docs")).text
    addresses = re.findall(r"""(?:src|href)=["'](.+?)["']|url: '(.+?)'""", text)
    urls = [urljoin(f"http://service{prefix}/docs", first or second) for first, second in addresses]
    assert len(urls) == 4
    for url in urls:
        path = url.removeprefix(f"http://service{prefix}")
        assert path.startswith("/"), url
        assert (await client.get(path)).status_code == 200


async def test_its_policy_names_its_own_script_and_no_other_place(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = policy_of(answer)
    assert policy["default-src"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["script-src"] == ["'self'", f"'sha256-{digest}'"]
    allowed = {value for values in policy.values() for value in values if not value.startswith("'sha256-")}
    assert allowed == {"'none'", "'self'", "data:", "blob:"}


async def test_only_the_files_of_the_page_are_served(client: httpx.AsyncClient) -> None:
    for path in ("", "/", "/../main.py", "/%2e%2e/main.py", "/..%2fmain.py", "/nothing.js"):
        answer = await client.get(f"/swagger-ui{path}")
        assert answer.status_code == 404, path
