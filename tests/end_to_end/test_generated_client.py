"""A typed Python client, generated from openapi.json, calls a live server."""

import asyncio
import base64
import importlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture, pixels_of

GENERATOR = Path(sys.executable).with_name("openapi-python-client")
NAME = "vae_client"
SECONDS = 120
KEY = "the-key-of-the-client"
PIXELS = noise(28, 28, 1)

pytestmark = pytest.mark.skipif(not GENERATOR.exists(), reason="there is no openapi-python-client")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The client as a package that can be imported; what the generator said."""
    folder = tmp_path_factory.mktemp("generated")
    document, config = ROOT / "openapi" / "openapi.json", ROOT / "openapi" / "python" / "generator.yaml"
    done = subprocess.run(
        [
            str(GENERATOR), "generate", "--path", str(document), "--config", str(config),
            "--output-path", str(folder / NAME), "--meta", "none",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield done.stdout + done.stderr
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def models(generated: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.models")


@pytest.fixture(scope="module")
def types(generated: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.types")


@pytest.fixture
def client(generated: str, server: LiveServer) -> Iterator[object]:
    with importlib.import_module(NAME).Client(base_url=server.url) as client:
        yield client


def operation(name: str) -> ModuleType:
    """One operation of the client, such as operations.sample."""
    return importlib.import_module(f"{NAME}.api.{name}")


def test_all_is_generated_but_bodies_that_are_a_picture_alone(generated: str) -> None:
    left_out = re.findall(r"WARNING.*?\n+(.*)\n", generated)
    assert left_out
    assert all(re.fullmatch(r"Unsupported content type image/\w+", line) for line in left_out)
    assert "ERROR" not in generated


def test_samples_come_as_objects_with_types(client: object, models: ModuleType, server: LiveServer) -> None:
    answer = operation("operations.sample").sync(client=client, body=models.SampleRequest(n=2, seed=42))
    assert isinstance(answer, models.ImagesAnswer)
    assert (answer.seed, answer.size, [item.index for item in answer.data]) == (42, "28x28", [0, 1])
    headers = {"accept": "application/x-npy"}
    expected = httpx.post(f"{server.url}/sample", json={"n": 2, "seed": 42}, headers=headers).content
    images = [pixels_of(base64.b64decode(item.b64_json)) for item in answer.data]
    np.testing.assert_array_equal(images, np.load(io.BytesIO(expected)))


def test_a_picture_is_sent_as_multipart_and_as_base64(
    client: object, models: ModuleType, types: ModuleType, server: LiveServer
) -> None:
    file = file_of(picture(PIXELS))
    upload = types.File(payload=io.BytesIO(file), file_name="noise.png", mime_type="image/png")
    encode = operation("operations.encode")
    answers = [
        encode.sync(client=client, body=models.MultipartImages(image=[upload])),
        encode.sync(client=client, body=models.Base64Images(images=[base64.b64encode(file).decode()])),
    ]
    expected = httpx.post(f"{server.url}/encode", files={"image": file}).json()["data"][0]
    for answer in answers:
        assert isinstance(answer, models.EncodeAnswer)
        assert (answer.data[0].mu, answer.data[0].log_var) == (expected["mu"], expected["log_var"])


def test_latents_are_sent_as_json_and_as_npy(client: object, models: ModuleType, types: ModuleType) -> None:
    (model,) = operation("models.list_models").sync(client=client).data
    z = np.random.default_rng(0).standard_normal((2, model.latent_dim)).astype(np.float32)
    npy = io.BytesIO()
    np.save(npy, z)
    npy.seek(0)
    decode = operation("operations.decode")
    first, second = [
        decode.sync(client=client, body=body)
        for body in (models.DecodeRequest(z=z.tolist()), types.File(payload=npy))
    ]
    assert [item.b64_json for item in first.data] == [item.b64_json for item in second.data]


def test_a_model_is_described_with_its_types(client: object, models: ModuleType) -> None:
    model = operation("models.show_model").sync("fashion-mnist", client=client)
    assert isinstance(model, models.ModelDescription)
    assert model.image_shape == [1, 28, 28]
    assert model.created_at.year >= 2024
    assert model.provenance.origin == "trained"


def test_tensors_are_inferred(client: object, models: ModuleType) -> None:
    tensor = models.InputTensor(
        name="images", shape=[1, 28, 28, 1], datatype="UINT8", data=PIXELS.ravel().tolist()
    )
    request = models.InferenceRequest(inputs=[tensor], id="7")
    answer = operation("inference_protocol.infer").sync("fashion-mnist", client=client, body=request)
    assert isinstance(answer, models.InferenceAnswer)
    assert answer.id == "7"
    assert [output.name for output in answer.outputs] == ["mu", "log_var"]


def test_an_error_comes_as_an_object_that_names_the_field(client: object, models: ModuleType) -> None:
    answer = operation("operations.sample").sync(client=client, body=models.SampleRequest(n=0))
    assert isinstance(answer, models.Problem)
    assert (answer.status, answer.param) == (422, "n")
    answer = operation("models.show_model").sync("other", client=client)
    assert (answer.status, answer.title) == (404, "No such model")


def test_a_key_is_sent_and_calls_may_be_awaited(
    request: pytest.FixtureRequest, generated: str, models: ModuleType
) -> None:
    device = str(request.config.getoption("--device"))
    package, sample = importlib.import_module(NAME), operation("operations.sample")

    async def draw(url: str) -> object:
        async with package.AuthenticatedClient(base_url=url, token=KEY) as client:
            return await sample.asyncio(client=client, body=models.SampleRequest())

    with LiveServer("--device", device, "--api-keys", KEY) as server:
        assert len(asyncio.run(draw(server.url)).data) == 1
        with package.Client(base_url=server.url) as client:
            assert sample.sync(client=client, body=models.SampleRequest()).status == 401
