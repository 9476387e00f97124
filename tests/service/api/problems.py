"""The one shape of an error answer, checked the same way everywhere."""

import re

import httpx

FIELDS = {"type", "title", "status", "detail", "param", "request_id"}
INTERNALS = ("Traceback", "service/", ".py", "0x")


def assert_problem(
    answer: httpx.Response, status: int, *, param: str | None = None, words: str = ""
) -> dict[str, object]:
    """An error of `status` that names `param` and says `words` (a pattern); its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == FIELDS
    assert body["status"] == status
    assert body["param"] == param, body
    assert re.fullmatch(r"about:blank#[a-z0-9\[\]-]+", body["type"]), body["type"]
    assert body["title"]
    assert re.search(words, body["detail"]), body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    for trace in INTERNALS:
        assert trace not in answer.text
    return body
