"""JSON of many levels or parts, to every route that takes JSON: refused, and no fault of ours."""

import httpx
import pytest

from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

HEADERS = {"content-type": "application/json"}
# orjson refuses what has more levels than 1024.
DEPTHS = [100, 1000, 1030, 1_000_000]
FIELDS = [
    *[("/sample", name) for name in ("n", "seed", "temperature", "prior", "output_format", "model", "other")],
    *[("/decode", name) for name in ("z", "output_format", "model")],
    *[("/interpolate", name) for name in ("from", "to", "steps", "mode", "images")],
    *[(path, name) for path in ("/encode", "/score") for name in ("images", "model")],
    *[("/reconstruct", name) for name in ("images", "return_input")],
]
INFER = "/v2/models/tiny/infer"


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("path", "name"), FIELDS)
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
async def test_a_deep_field_is_refused(
    client: httpx.AsyncClient, path: str, name: str, depth: int, brackets: tuple[str, str]
) -> None:
    opening, closing = brackets
    content = f'{{"to": 1, "{name}": {opening * depth}1{closing * depth}}}'.encode()
    answer = await client.post(path, content=content, headers=HEADERS)
    assert_problem(answer, 422 if depth < 1024 else 400, param=answer.json()["param"])


@pytest.mark.parametrize("path", ["/sample", "/decode", "/interpolate", INFER])
@pytest.mark.parametrize("part", ["[]", "{}", '""'])
async def test_a_million_parts_are_refused_before_they_are_parsed(
    client: httpx.AsyncClient, path: str, part: str
) -> None:
    content = f'{{"z": [{",".join([part] * 1_000_000)}'.encode()  # parsed, it would be no JSON
    answer = await client.post(path, content=content, headers=HEADERS)
    assert answer.status_code == 400
    assert "the body has more than 100,000 lists, objects and texts" in answer.text


async def test_as_many_numbers_are_not(client: httpx.AsyncClient) -> None:
    content = f'{{"z": [[{",".join(["0"] * 1_000_000)}]]}}'.encode()
    answer = await client.post("/decode", content=content, headers=HEADERS)
    assert_problem(answer, 422, param="z[0]")


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", ["id", "inputs", "outputs", "parameters", "shape", "data"])
async def test_a_deep_field_of_the_inference_protocol_is_refused(
    client: httpx.AsyncClient, name: str, depth: int
) -> None:
    deep = "[" * depth + "1" + "]" * depth
    tensor = {"name": '"z"', "datatype": '"FP32"', "shape": "[1, 4]", "data": "[0, 0, 0, 0]"}
    tensor |= {name: deep} if name in tensor else {}
    inputs = "[{" + ", ".join(f'"{key}": {value}' for key, value in tensor.items()) + "}]"
    fields = {"inputs": inputs} | ({} if name in tensor else {name: deep})
    content = "{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}"
    answer = await client.post(INFER, content=content.encode(), headers=HEADERS)
    assert answer.status_code == (422 if depth < 1024 else 400), answer.text[:200]
    assert set(answer.json()) == {"error"}
    assert len(answer.text) < 300
