"""Mistakes that beginners make: the error says what to do instead."""

from typing import Any

import httpx
import pytest

from tests.pictures import file_of, noise, picture
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

FILE = file_of(picture(noise(8, 8, 3)))
FORM = {"content-type": "application/x-www-form-urlencoded"}  # what curl says of -d


@pytest.mark.parametrize(
    ("path", "sent", "status", "param", "words"),
    [
        (
            "/encode",
            {"files": {"file": ("photo.png", FILE)}},
            422,
            "image",
            r"image must be 1 to 64 images, got 0; there is a field .file.: send pictures as 'image'",
        ),
        (
            "/encode",
            {"files": {"a": ("a.png", FILE), "b": ("b.png", FILE)}},
            422,
            "image",
            r"there are fields .a., .b.: send pictures as 'image'",
        ),
        (
            "/encode",
            {"files": {name: (f"{name}.png", FILE) for name in "abcdef"}},
            422,
            "image",
            r"there are fields 'a', 'b', 'c', 'd', \.\.\.: send pictures as 'image'",
        ),
        (
            "/encode",
            {"files": {"file": (None, "photo.png")}},
            422,
            "image",
            r"there is a field 'file': send pictures as 'image'",
        ),
        (
            "/encode",
            {"data": {"image": "photo.png"}, "files": {"mask": ("m.png", FILE)}},
            422,
            "image",
            r"the field 'image' is a text and no file: with curl, send -F image=@FILE",
        ),
        (
            "/sample",
            {"content": b'{"n": 1}', "headers": FORM},
            415,
            "Content-Type",
            r"set its Content-Type, with curl -H 'content-type: application/json'",
        ),
        (
            "/encode",
            {"content": FILE, "headers": FORM},
            415,
            "Content-Type",
            r"set its Content-Type, with curl -H 'content-type: image/png'",
        ),
        (
            "/decode",
            {"json": {"z": [0.5, 0, 0, 0]}},
            422,
            "z[0]",
            r"z\[0\] must be a list of 4 numbers, got 0\.5; z is a list of latents, \[\[\.\.\.\], \.\.\.\]",
        ),
    ],
)
async def test_the_detail_says_what_to_do(
    client: httpx.AsyncClient, path: str, sent: dict[str, Any], status: int, param: str, words: str
) -> None:
    assert_problem(await client.post(path, **sent), status, param=param, words=words)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/encode", "/encode does not take GET; send POST$"),
        ("PUT", "/sample", "/sample does not take PUT; send GET or POST$"),
        ("POST", "/models", "/models does not take POST; send GET$"),
        ("POST", "/openapi.json", "/openapi.json does not take POST; send GET$"),
        ("POST", "/playground/page.js", "/playground/page.js does not take POST; send GET$"),
    ],
)
async def test_a_wrong_method_is_answered_with_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, words: str
) -> None:
    assert_problem(await client.request(method, path), 405, words=words)
