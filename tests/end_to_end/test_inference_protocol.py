"""Triton's own client reads metadata and infers through /v2, to the bit as the other paths answer."""

import io
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests.live_server import LiveServer
from tests.pictures import noise

http = pytest.importorskip("tritonclient.http", reason="there is no tritonclient")

NAME = "fashion-mnist"
PIXELS = np.stack([noise(28, 28, 1, seed) for seed in range(5)])
KEY = "the-key-of-the-protocol"


@pytest.fixture
def client(server: LiveServer) -> Iterator["http.InferenceServerClient"]:
    with http.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def tensor(name: str, values: np.ndarray, *, binary: bool = True) -> "http.InferInput":
    datatypes = {"uint8": "UINT8", "float32": "FP32"}
    made = http.InferInput(name, values.shape, datatypes[values.dtype.name])
    return made.set_data_from_numpy(values, binary_data=binary)


def posted(server: LiveServer, path: str, values: np.ndarray) -> np.ndarray:
    """What an operation makes of an array that is sent and taken as npy."""
    body = io.BytesIO()
    np.save(body, values)
    headers = {"content-type": "application/x-npy", "accept": "application/x-npy"}
    answer = httpx.post(server.url + path, content=body.getvalue(), headers=headers)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def z_of(client: "http.InferenceServerClient") -> np.ndarray:
    (latent_dim,) = {
        tensor["shape"][1] for tensor in client.get_model_metadata(NAME)["inputs"] if tensor["name"] == "z"
    }
    return np.random.default_rng(0).standard_normal((5, latent_dim)).astype(np.float32)


def test_the_client_reads_server_and_model(client: "http.InferenceServerClient", server: LiveServer) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    model = httpx.get(f"{server.url}/models/{NAME}").json()
    metadata = client.get_model_metadata(NAME)
    assert metadata["versions"] == [model["model_version"]]
    assert metadata["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]},
        {"name": "z", "datatype": "FP32", "shape": [-1, model["latent_dim"]]},
    ]
    assert client.get_model_metadata(NAME, metadata["versions"][0]) == metadata
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, metadata["versions"][0])
    assert not client.is_model_ready(NAME, "1")
    assert not client.is_model_ready("other")


@pytest.mark.parametrize("binary", [True, False])
def test_images_encode_to_what_encode_says(
    client: "http.InferenceServerClient", server: LiveServer, binary: bool
) -> None:
    outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("mu", "log_var")]
    result = client.infer(NAME, [tensor("images", PIXELS, binary=binary)], outputs=outputs)
    expected = posted(server, "/encode", PIXELS)
    np.testing.assert_array_equal(np.stack([result.as_numpy("mu"), result.as_numpy("log_var")]), expected)


@pytest.mark.parametrize("binary", [True, False])
def test_z_decodes_to_what_decode_says(
    client: "http.InferenceServerClient", server: LiveServer, binary: bool
) -> None:
    z = z_of(client)
    version = client.get_model_metadata(NAME)["versions"][0]
    outputs = [http.InferRequestedOutput("images", binary_data=binary)]
    sent = tensor("z", z, binary=binary)
    result = client.infer(NAME, [sent], outputs=outputs, model_version=version, request_id="42")
    assert result.get_response()["id"] == "42"
    np.testing.assert_array_equal(result.as_numpy("images"), posted(server, "/decode", z))


def test_without_wishes_all_comes_as_bytes_and_several_requests_run_side_by_side(server: LiveServer) -> None:
    with http.InferenceServerClient(server.url.removeprefix("http://"), concurrency=4) as client:
        waiting = [client.async_infer(NAME, [tensor("images", PIXELS[i : i + 1])]) for i in range(5)]
        found = np.concatenate([one.get_result().as_numpy("mu") for one in waiting])
    np.testing.assert_array_equal(found, posted(server, "/encode", PIXELS)[0])


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("images", PIXELS.transpose(0, 3, 1, 2), "inputs[0].shape of images must be [n, 28, 28, 1]"),
        ("z", np.zeros((2, 3), np.float32), "inputs[0].shape of z must be [n, "),
        ("images", np.zeros((1, 784), np.float32), "inputs[0].datatype of images must be UINT8, got FP32"),
        ("noise", PIXELS, "inputs[0].name: Input should be 'images' or 'z'"),
    ],
)
def test_a_tensor_that_is_wrong_is_refused_with_the_field_named(
    client: "http.InferenceServerClient", name: str, values: np.ndarray, words: str
) -> None:
    with pytest.raises(http.InferenceServerException) as caught:
        client.infer(NAME, [tensor(name, np.ascontiguousarray(values))])
    assert caught.value.status() == "422"
    assert words in caught.value.message()


def test_the_client_sends_a_key_as_a_header(request: pytest.FixtureRequest) -> None:
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device, "--api-keys", KEY) as server:
        address = server.url.removeprefix("http://")
        with http.InferenceServerClient(address) as client:
            assert client.is_server_live()
            with pytest.raises(http.InferenceServerException, match="an API key is needed"):
                client.get_server_metadata()
            sent = tensor("images", PIXELS)
            result = client.infer(NAME, [sent], headers={"Authorization": f"Bearer {KEY}"})
            assert result.as_numpy("mu").shape[0] == 5
