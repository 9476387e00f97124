"""What the service says of itself is what the document says of it, no less and no more."""

import httpx
import pytest

from tests import tiny_vae

pytestmark = pytest.mark.anyio

Json = dict[str, object]


def properties(document: Json, name: str) -> set[str]:
    """The fields of a schema."""
    return set(document["components"]["schemas"][name]["properties"])


async def test_models_have_the_documented_fields(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    listed = (await client.get("/models")).json()
    assert set(listed) == properties(document, "ModelsAnswer")
    assert set(listed["limits"]) == properties(document, "RequestLimits")
    (model,) = listed["data"]
    assert set(model) == properties(document, "ModelDescription")
    assert set(model["provenance"]) == properties(document, "Provenance")


async def test_a_model_says_everything_that_its_checkpoint_says(client: httpx.AsyncClient) -> None:
    model = (await client.get(f"/models/{tiny_vae.NAME}")).json()
    said = tiny_vae.metadata().model_dump(mode="json")
    assert {name: model[name] for name in said} == said


async def test_uploads_are_documented_with_the_limit_of_this_server(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for name, field in (("MultipartImages", "image"), ("Base64Images", "images")):
        images = schemas[name]["properties"][field]
        assert (images["minItems"], images["maxItems"]) == (1, 64)
        assert schemas[name]["required"] == [field]
