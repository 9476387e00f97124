"""Images in, in every form of body, to /encode and /reconstruct: the same picture gives the same numbers."""

import base64
import math
from collections.abc import Awaitable, Callable, Sequence

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import tiny_vae
from tests.pictures import base64_body, file_of, noise, picture, pixels_of
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

OPERATIONS = ["/encode", "/reconstruct", "/score"]
IMAGES = np.stack([noise(8, 8, 3, seed) for seed in range(64)])
FILES = [file_of(picture(image)) for image in IMAGES]
GIF = file_of(Image.new("RGB", (8, 8)), "GIF")
TRUNCATED = FILES[0][: len(FILES[0]) // 2]
TEXT = b"this is a text file\n"

Send = Callable[[httpx.AsyncClient, str, Sequence[bytes]], Awaitable[httpx.Response]]


async def raw(client: httpx.AsyncClient, path: str, files: Sequence[bytes]) -> httpx.Response:
    (file,) = files
    return await client.post(path, content=file, headers={"content-type": "image/png"})


async def multipart(client: httpx.AsyncClient, path: str, files: Sequence[bytes]) -> httpx.Response:
    parts = [("image", (f"{index}.png", file, "image/png")) for index, file in enumerate(files)]
    return await client.post(path, files=parts)


async def untyped_multipart(client: httpx.AsyncClient, path: str, files: Sequence[bytes]) -> httpx.Response:
    parts = [("image", ("file", file, "application/octet-stream")) for file in files]
    return await client.post(path, files=parts)


async def in_base64(client: httpx.AsyncClient, path: str, files: Sequence[bytes]) -> httpx.Response:
    return await client.post(path, json=base64_body(files))


async def data_uri(client: httpx.AsyncClient, path: str, files: Sequence[bytes]) -> httpx.Response:
    images = [f"data:image/png;base64,{base64.b64encode(file).decode()}" for file in files]
    return await client.post(path, json={"images": images})


SENDERS = [raw, multipart, untyped_multipart, in_base64, data_uri]
PARAMS = {"raw": "body", "multipart": "image[0]", "in_base64": "images[0]", "data_uri": "images[0]"}
every_form = pytest.mark.parametrize("send", SENDERS, ids=lambda send: send.__name__)
every_operation = pytest.mark.parametrize("path", OPERATIONS)


def param_of(send: Send) -> str:
    return PARAMS[send.__name__.removeprefix("untyped_")]


def reconstructions_of(answer: httpx.Response) -> np.ndarray:
    return np.stack([pixels_of(base64.b64decode(item["b64_json"])) for item in answer.json()["data"]])


@every_form
async def test_an_image_is_encoded_as_computed_by_hand(client: httpx.AsyncClient, send: Send) -> None:
    answer = await send(client, "/encode", FILES[:1])
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert body["latent_dim"] == 4
    assert body["model"] == tiny_vae.NAME
    (item,) = body["data"]
    assert item["index"] == 0
    np.testing.assert_allclose(item["mu"], tiny_vae.encoded_mu(IMAGES[:1])[0], atol=1e-5)
    assert item["log_var"] == list(tiny_vae.LOG_VAR)


@every_form
async def test_an_image_is_reconstructed_as_computed_by_hand(client: httpx.AsyncClient, send: Send) -> None:
    answer = await send(client, "/reconstruct", FILES[:1])
    expected = tiny_vae.decoded(tiny_vae.encoded_mu(IMAGES[:1]))
    difference = np.abs(reconstructions_of(answer).astype(int) - expected)
    assert difference.max() <= 1  # a tie at half a level may round the other way


@pytest.mark.parametrize("send", [multipart, in_base64, data_uri], ids=lambda send: send.__name__)
@pytest.mark.parametrize("num", [2, 64])
async def test_many_images_come_back_in_order(client: httpx.AsyncClient, send: Send, num: int) -> None:
    answer = await send(client, "/encode", FILES[:num])
    data = answer.json()["data"]
    assert [item["index"] for item in data] == list(range(num))
    np.testing.assert_allclose([item["mu"] for item in data], tiny_vae.encoded_mu(IMAGES[:num]), atol=1e-5)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
async def test_every_format_is_taken_as_a_raw_body(client: httpx.AsyncClient, kind: str) -> None:
    flat = np.full((8, 8, 3), 200, np.uint8)
    content = file_of(picture(flat), kind)
    headers = {"content-type": f"image/{kind.lower()}"}
    answer = await client.post("/encode", content=content, headers=headers)
    np.testing.assert_allclose(answer.json()["data"][0]["mu"], [(200 - 128) / 32] * 4, atol=0.1)


async def test_an_upload_is_prepared_as_the_checkpoint_says(client: httpx.AsyncClient) -> None:
    # Square crop: the black borders left and right must not be seen.
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = IMAGES[0]
    answer = await client.post("/encode", files={"image": file_of(picture(wide))})
    np.testing.assert_allclose(answer.json()["data"][0]["mu"], tiny_vae.encoded_mu(IMAGES[:1])[0], atol=1e-5)


async def test_reconstruction_figures_follow_their_formulas(client: httpx.AsyncClient) -> None:
    answer = await in_base64(client, "/reconstruct", FILES[:3])
    mu = tiny_vae.encoded_mu(IMAGES[:3]).astype(float)
    errors = (IMAGES[:3].astype(float) - reconstructions_of(answer)) / 255
    variance = np.exp(tiny_vae.LOG_VAR)
    for item, error, means in zip(answer.json()["data"], errors, mu, strict=True):
        mse = (error**2).mean()
        kl = sum(
            -math.log(math.sqrt(v)) + (v + m * m) / 2 - 0.5 for v, m in zip(variance, means, strict=True)
        )
        assert item["mse"] == pytest.approx(mse, rel=1e-4)
        assert item["psnr"] == pytest.approx(10 * math.log10(1 / mse), rel=1e-4)
        assert item["kl"] == pytest.approx(kl, rel=1e-4)


@pytest.mark.parametrize("way", ["json", "multipart", "query"])
async def test_an_image_is_shown_as_the_network_saw_it_where_that_is_asked_for(
    client: httpx.AsyncClient, way: str
) -> None:
    # Square crop: of a wide picture with black borders the middle is left.
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = IMAGES[0]
    files = [file_of(picture(wide)), FILES[1]]
    for asked in (True, False):
        match way:
            case "json":
                body = {"json": {**base64_body(files), "return_input": asked}}
            case "multipart":
                body = {"files": [("image", file) for file in files], "data": {"return_input": asked}}
            case _:
                body = {"json": base64_body(files), "params": {"return_input": asked}}
        items = (await client.post("/reconstruct", **body)).json()["data"]
        shown = [item["input_b64_json"] for item in items if "input_b64_json" in item]
        if asked:
            seen = [pixels_of(base64.b64decode(text)) for text in shown]
            np.testing.assert_array_equal(seen, IMAGES[:2])
        else:
            assert shown == []


@pytest.mark.parametrize("value", ["", "1", "True", "yes"])
async def test_return_input_is_true_or_false(client: httpx.AsyncClient, value: str) -> None:
    answer = await in_base64(client, f"/reconstruct?return_input={value}", FILES[:1])
    assert_problem(answer, 422, param="return_input", words="true or false")


async def test_a_perfect_reconstruction_has_no_psnr(client: httpx.AsyncClient) -> None:
    image = tiny_vae.decoded(np.zeros((1, 4), np.float32))[0]
    answer = await in_base64(client, "/reconstruct", [file_of(picture(image))])
    (item,) = answer.json()["data"]
    assert (item["mse"], item["psnr"]) == (0, None)


async def test_reconstructions_are_given_as_picture_and_as_zip(client: httpx.AsyncClient) -> None:
    sheet = await client.post("/reconstruct", json=base64_body(FILES[:4]), headers={"accept": "image/png"})
    assert sheet.headers["x-layout"] == "grid"
    assert pixels_of(sheet.content).shape == (16, 16, 3)
    packed = await client.post(
        "/reconstruct", json=base64_body(FILES[:4]), headers={"accept": "application/zip"}
    )
    assert packed.headers["content-type"] == "application/zip"
    assert b"reconstruct_003.png" in packed.content


@every_form
@every_operation
@pytest.mark.parametrize("content", [TEXT, TRUNCATED, GIF], ids=["text", "truncated", "gif"])
async def test_what_is_no_image_is_refused_naming_its_field(
    client: httpx.AsyncClient, path: str, send: Send, content: bytes
) -> None:
    assert_problem(await send(client, path, [content]), 400, param=param_of(send))
    assert (await send(client, path, FILES[:1])).status_code == 200


@every_operation
@pytest.mark.parametrize("send", [multipart, in_base64, data_uri], ids=lambda send: send.__name__)
async def test_the_damaged_image_among_many_is_named(
    client: httpx.AsyncClient, path: str, send: Send
) -> None:
    answer = await send(client, path, [*FILES[:5], TRUNCATED, *FILES[:2]])
    assert_problem(answer, 400, param=param_of(send).replace("[0]", "[5]"), words="damaged")


@every_operation
@pytest.mark.parametrize("sent_as", ["image/jpeg", "image/webp", "image/bmp"])
async def test_a_png_sent_as_another_kind_is_refused(
    client: httpx.AsyncClient, path: str, sent_as: str
) -> None:
    answer = await client.post(path, content=FILES[0], headers={"content-type": sent_as})
    assert_problem(answer, 400, param="body", words=f"sent as {sent_as}, but it is PNG")


@every_operation
async def test_a_false_claim_of_a_part_or_of_a_data_uri_is_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    part = await client.post(path, files={"image": ("a.jpg", FILES[0], "image/jpeg")})
    assert_problem(part, 400, param="image[0]", words="sent as image/jpeg, but it is PNG")
    uri = f"data:image/webp;base64,{base64.b64encode(FILES[0]).decode()}"
    assert_problem(
        await client.post(path, json={"images": [uri]}), 400, param="images[0]", words="image/webp"
    )


@every_operation
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("image/png", 400),
        ("multipart/form-data; boundary=x", 400),
        ("multipart/form-data", 400),
        ("application/json", 422),
        (None, 415),
    ],
)
async def test_an_empty_body_is_refused(
    client: httpx.AsyncClient, path: str, content_type: str | None, status: int
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.post(path, content=b"", headers=headers)
    assert answer.status_code in ({400, 422} if "multipart" in str(content_type) else {status})
    assert_problem(answer, answer.status_code, param=answer.json()["param"])


@every_operation
@pytest.mark.parametrize("content_type", [None, "image/gif", "text/plain", "application/octet-stream", "png"])
async def test_another_content_type_is_refused_naming_those_that_are_taken(
    client: httpx.AsyncClient, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.post(path, content=FILES[0], headers=headers)
    words = "image/bmp, multipart/form-data, application/json, application/x-npy"
    assert_problem(answer, 415, param="Content-Type", words=words)


@every_operation
@pytest.mark.parametrize("send", [multipart, in_base64], ids=lambda send: send.__name__)
async def test_more_images_than_allowed_are_refused(client: httpx.AsyncClient, path: str, send: Send) -> None:
    answer = await send(client, path, [*FILES, FILES[0]])
    assert answer.status_code == 422, answer.text
    assert_problem(answer, 422, param=answer.json()["param"], words="1 to 64 images, got 65")
    assert answer.json()["param"] == param_of(send).removesuffix("[0]")


@every_operation
@pytest.mark.parametrize(
    ("content", "status", "param"),
    [
        ('{"images": []}', 422, "images"),
        ('{"images": "text"}', 422, "images"),
        ('{"images": [5]}', 422, "images"),
        ('{"images": null}', 422, "images"),
        ('{"image": ["aGk="]}', 422, "images"),
        ("{}", 422, "images"),
        ("[]", 422, "images"),
        ('{"images": ["no base64!"]}', 400, "images[0]"),
        ('{"images": ["aGk"]}', 400, "images[0]"),
        ('{"images": ["é"]}', 400, "images[0]"),
        ('{"images": [""]}', 400, "images[0]"),
        ('{"images": ["data:image/png;base64"]}', 400, "images[0]"),
        ('{"images": ["http://localhost/a.png"]}', 400, "images[0]"),
        ('{"images": [NaN]}', 422, None),
        ('{"images": ["', 400, None),
    ],
)
async def test_a_wrong_json_body_is_refused(
    client: httpx.AsyncClient, path: str, content: str, status: int, param: str | None
) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.post(path, content=content.encode(), headers=headers)
    assert_problem(answer, status, param=param)


@every_operation
async def test_a_field_of_another_name_is_not_an_image(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, files={"picture": FILES[0]})
    assert answer.status_code == 422
    assert "image" in answer.json()["detail"]


@every_operation
@pytest.mark.parametrize(
    "content", [b"no boundary here", b"--x\r\n", b"--x\r\nnonsense\r\n\r\n--x--", b"\0" * 100], ids=range(4)
)
async def test_a_broken_multipart_body_is_refused(
    client: httpx.AsyncClient, path: str, content: bytes
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.post(path, content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code, param=answer.json()["param"])
    assert (await multipart(client, path, FILES[:1])).status_code == 200


@every_operation
@pytest.mark.parametrize("charset", ["undefined", "punycode", "unicode_escape", "utf-7", "é", ""])
async def test_a_form_in_a_charset_that_may_fail_is_refused(
    client: httpx.AsyncClient, path: str, charset: str
) -> None:
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}".encode("latin-1")}
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    answer = await client.post(path, content=part + FILES[0] + b"\r\n--x--\r\n", headers=headers)
    assert_problem(answer, 400, param="Content-Type", words="one of utf-8, us-ascii")


@pytest.mark.parametrize("charset", ["UTF-8", "iso-8859-1"])
async def test_a_form_may_say_its_charset(client: httpx.AsyncClient, charset: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    answer = await client.post("/encode", content=part + FILES[0] + b"\r\n--x--\r\n", headers=headers)
    assert answer.status_code == 200, answer.text


async def test_numbers_are_not_given_as_a_picture(client: httpx.AsyncClient) -> None:
    answer = await client.post("/encode", files={"image": FILES[0]}, headers={"accept": "image/png"})
    assert_problem(answer, 406, param="Accept", words="application/json")
