"""GET and HEAD /sample: what POST gives, asked for in the query, and kept by caches where it has a seed."""

from pathlib import Path

import httpx
import pytest

from tests import tiny_vae
from tests.conftest import RunningApp
from tests.scrape import samples
from tests.service.api.problems import assert_problem
from tests.service.api.test_sample import files_of

pytestmark = pytest.mark.anyio

FORMS = ["image/png", "image/jpeg", "image/webp", "application/zip", "application/x-tar", "application/x-npy"]
# What browsers send for an image of a page.
BROWSERS = {
    "Chromium": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Firefox": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "older Firefox": "image/avif,image/webp,*/*",
    "Safari": "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,"
    "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
}


async def num_batches(client: httpx.AsyncClient) -> float:
    found = samples((await client.get("/metrics")).text)
    return found['vae_batch_items_count{operation="decode"}']


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("seed=7", {"seed": 7}),
        ("seed=18446744073709551615", {"seed": 2**64 - 1}),
        ("n=5&seed=7", {"n": 5, "seed": 7}),
        ("n=64&seed=7&temperature=0.5", {"n": 64, "seed": 7, "temperature": 0.5}),
        ("seed=7&prior=standard&output_format=webp", {"seed": 7, "output_format": "webp"}),
        ("seed=7&model=tiny", {"seed": 7}),
    ],
)
async def test_it_gives_what_post_gives(
    client: httpx.AsyncClient, query: str, body: dict[str, object]
) -> None:
    get, post = await client.get(f"/sample?{query}"), await client.post("/sample", json=body)
    assert get.status_code == 200, get.text
    assert files_of(get) == files_of(post)
    volatile = {"created": 0, "data": []}
    assert {**get.json(), **volatile} == {**post.json(), **volatile}
    assert get.headers["x-seed"] == post.headers["x-seed"]


@pytest.mark.parametrize("form", FORMS)
async def test_it_has_every_form_of_post_byte_by_byte(client: httpx.AsyncClient, form: str) -> None:
    headers = {"accept": form}
    get = await client.get("/sample?n=3&seed=7", headers=headers)
    post = await client.post("/sample", json={"n": 3, "seed": 7}, headers=headers)
    assert get.headers["content-type"] == form
    assert get.content == post.content
    assert get.headers.get("x-layout") == post.headers.get("x-layout")


@pytest.mark.parametrize("browser", BROWSERS)
async def test_an_image_tag_of_a_page_gets_an_image(client: httpx.AsyncClient, browser: str) -> None:
    answer = await client.get("/sample?seed=1", headers={"accept": BROWSERS[browser]})
    assert answer.headers["content-type"] in ("image/png", "image/webp")


async def test_without_a_seed_each_answer_is_new_and_nobody_may_keep_it(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/sample", headers={"accept": "image/png"}) for _ in range(2)]
    assert first.headers["x-seed"] != second.headers["x-seed"]
    assert first.headers["cache-control"] == "no-store"
    assert "etag" not in first.headers


@pytest.mark.parametrize("form", [*FORMS, "application/json"])
async def test_with_a_seed_caches_may_keep_it(client: httpx.AsyncClient, form: str) -> None:
    first, second = [await client.get("/sample?seed=7", headers={"accept": form}) for _ in range(2)]
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert first.headers["etag"] == second.headers["etag"]
    is_strong = not first.headers["etag"].startswith("W/")
    assert is_strong == (form != "application/json")  # which says when it was created
    if is_strong:
        assert first.content == second.content
    assert "Accept" in first.headers["vary"]


async def test_where_a_key_is_needed_only_the_callers_own_cache_may_keep_it(running_app: RunningApp) -> None:
    async with running_app(api_keys="key") as (_, client):
        answer = await client.get("/sample?seed=7", headers={"x-api-key": "key"})
        assert answer.headers["cache-control"] == "private, max-age=3600"
        assert (await client.get("/sample?seed=7")).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("sent", ["{tag}", '"other", {tag}', "W/{tag}", '"a", W/{tag} ,"b"', "*"])
async def test_who_has_it_is_told_so_and_the_device_is_not_asked(
    client: httpx.AsyncClient, method: str, sent: str
) -> None:
    tag = (await client.get("/sample?seed=7", headers={"accept": "image/png"})).headers["etag"]
    before = await num_batches(client)
    headers = {"accept": "image/png", "if-none-match": sent.format(tag=tag)}
    answer = await client.request(method, "/sample?seed=7", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert await num_batches(client) == before


async def test_the_weak_tag_of_json_is_known_again(client: httpx.AsyncClient) -> None:
    tag = (await client.get("/sample?seed=7")).headers["etag"]
    assert (await client.get("/sample?seed=7", headers={"if-none-match": tag})).status_code == 304


@pytest.mark.parametrize("sent", ['"other"', "", "nonsense", 'W/"other"'])
async def test_who_has_another_gets_it(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/sample?seed=7", headers={"if-none-match": sent})
    assert answer.status_code == 200


async def test_what_is_drawn_anew_is_never_known(client: httpx.AsyncClient) -> None:
    assert (await client.get("/sample", headers={"if-none-match": "*"})).status_code == 200


async def test_a_tag_is_of_all_that_the_bytes_depend_on(running_app: RunningApp, tmp_path: Path) -> None:
    queries = ["", "&n=2", "&temperature=0.5", "&prior=standard", "&output_format=jpeg", "&model=other"]
    tiny_vae.save(tmp_path / "a.pt", name="fitted", module=tiny_vae.FittedVAE(), prior="fitted")
    tiny_vae.save(tmp_path / "b.pt", name="other")
    async with running_app(checkpoint=tmp_path) as (_, client):
        png = {"accept": "image/png"}
        answers = [await client.get(f"/sample?seed=7{query}", headers=png) for query in queries]
        answers += [await client.get("/sample?seed=8", headers=png)]
        answers += [await client.get("/sample?seed=7", headers={"accept": form}) for form in FORMS[1:]]
        tags = [answer.headers["etag"] for answer in answers]
        assert len(set(tags)) == len(tags)
        for same in ("n=1&seed=7", "seed=7&temperature=1", "temperature=1.0&seed=7", "seed=7&prior=fitted"):
            assert (await client.head(f"/sample?{same}", headers=png)).headers["etag"] == tags[0]


@pytest.mark.parametrize("query", ["seed=7", "n=4&seed=7", "seed=7&output_format=webp"])
@pytest.mark.parametrize("accept", ["*/*", "image/*", "application/zip"])
async def test_head_says_what_get_would_and_asks_no_device(
    client: httpx.AsyncClient, query: str, accept: str
) -> None:
    get = await client.get(f"/sample?{query}", headers={"accept": accept})
    before = await num_batches(client)
    head = await client.head(f"/sample?{query}", headers={"accept": accept})
    assert (head.status_code, head.content) == (200, b"")
    # How long it is and how long it took are not known.
    mine = {name: value for name, value in head.headers.items() if name != "x-request-id"}
    theirs = {name: value for name, value in get.headers.items() if name in mine}
    assert mine == theirs
    assert set(get.headers) - set(head.headers) == {"content-length", "server-timing"}
    assert await num_batches(client) == before


async def test_head_without_a_seed_may_not_be_kept_either(client: httpx.AsyncClient) -> None:
    assert (await client.head("/sample")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "status", "param", "words"),
    [
        ("n=0", 422, "n", "n must be between 1 and 64, got 0"),
        ("n=65", 422, "n", "n must be between 1 and 64, got 65"),
        ("n=many", 422, "n", "n must be a whole number between 1 and 64, got 'many'"),
        ("n=1.5", 422, "n", "whole number"),
        ("n=", 422, "n", "got ''"),
        ("n=1&n=2", 422, "n", "given twice"),
        ("seed=-1", 422, "seed", "between 0 and 18446744073709551615, got -1"),
        ("seed=18446744073709551616", 422, "seed", "between 0 and"),
        ("seed=" + "9" * 30, 422, "seed", "whole number between 0 and"),
        ("seed=null", 422, "seed", "whole number"),
        ("temperature=3", 422, "temperature", "between 0 and 2, got 3"),
        ("temperature=NaN", 422, "temperature", "a number between 0"),
        ("prior=other", 422, "prior", "'fitted' or 'standard', got 'other'"),
        ("prior=fitted", 422, "prior", "tiny holds no fitted prior"),
        ("output_format=gif", 422, "output_format", "'png', 'jpeg' or 'webp'"),
        ("sed=5", 422, "sed", "no field 'sed'; there are n, seed"),
        ("model=other", 404, "model", "tiny"),
        ("model=", 404, "model", "tiny"),
        ("model=tiny&model=tiny", 422, "model", "given twice"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_wrong_query_is_refused_naming_the_parameter(
    client: httpx.AsyncClient, method: str, query: str, status: int, param: str, words: str
) -> None:
    answer = await client.request(method, f"/sample?{query}")
    assert answer.status_code == status
    if method == "GET":
        assert_problem(answer, status, param=param, words=words)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_form_that_cannot_be_given_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sample?seed=7", headers={"accept": "text/html"})
    assert_problem(answer, 406, param="Accept", words="image/png")


async def test_a_deadline_is_kept(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sample?seed=7", headers={"x-request-timeout-ms": "0.001"})
    assert_problem(answer, 408 if answer.status_code == 408 else 504)


async def test_a_body_that_it_has_no_use_for_is_bounded(running_app: RunningApp) -> None:
    async with running_app(max_body_bytes=1024) as (_, client):
        answer = await client.request("GET", "/sample?seed=7", content=b"x" * 2000)
        assert_problem(answer, 413, words="1024 bytes")
        assert (await client.request("GET", "/sample?seed=7", content=b"x" * 1000)).status_code == 200


async def test_a_full_queue_is_429_and_who_has_it_is_still_told_so(running_app: RunningApp) -> None:
    async with running_app(max_queued_items=2) as (app, client):
        tag = (await client.get("/sample?seed=7")).headers["etag"]
        engine = app.state.service.models.default
        with engine.admission.places(2, timeout_seconds=30):
            answer = await client.get("/sample?seed=7")
            assert_problem(answer, 429, words="queue is full")
            assert "retry-after" in answer.headers
            known = await client.get("/sample?seed=7", headers={"if-none-match": tag})
            assert known.status_code == 304
