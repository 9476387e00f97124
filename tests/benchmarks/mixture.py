"""Everything that clients do, right and wrong: each form of body and of answer, each error, and leaving."""

import base64
import dataclasses
import json
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from service.metrics import OTHER, REQUEST_OPERATIONS
from tests.benchmarks.connections import request
from tests.pictures import file_of, noise, picture

JSON = "application/json"
IMAGE_FORMS = (JSON, "image/png", "application/zip")
BOUNDARY = "boundary"
# What a request that is right may be answered: a busy machine may have no place for it.
RIGHT = (200, 429)


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of request.

    Attributes:
        name: As shown where its answer is wrong.
        operation: Under which it is counted, None where it is no HTTP and reaches nothing that counts.
        content: What is sent.
        statuses: That it may be answered with.
        leaves: Whether its client does not wait for the answer.
    """

    name: str
    operation: str | None
    content: bytes
    statuses: tuple[int, ...]
    leaves: bool = False


def every_kind(*, model: str, latent_dim: int, key: str) -> list[Kind]:
    """All of them, for a server with the shipped limits.

    Args:
        model: The name of the one that is served.
        latent_dim: Of it.
        key: The API key that it asks for.
    """
    builder = _Builder({"Authorization": f"Bearer {key}"})
    return [
        *_samples(builder, model),
        *_latents(builder, latent_dim),
        *_uploads(builder),
        *_asked_by_machines(builder, model),
        *_refused(builder, latent_dim),
        *_late(builder),
        *_leaving(builder),
    ]


@dataclasses.dataclass(frozen=True)
class _Builder:
    headers: Mapping[str, str]

    def get(self, path: str, *statuses: int, method: str = "GET") -> Kind:
        """A request without a body."""
        content = request(method, path, headers=self.headers)
        return Kind(f"{method} {path}", _operation(path), content, statuses)

    def post(
        self,
        name: str,
        path: str,
        body: bytes | dict[str, object],
        *statuses: int,
        content_type: str = JSON,
        leaves: bool = False,
        **headers: str,
    ) -> Kind:
        """A request with a body; headers by their names with `_` for `-`."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {key.replace("_", "-"): value for key, value in headers.items()}
        sent = request("POST", path, content, content_type=content_type, headers={**self.headers, **more})
        return Kind(f"{path}: {name}", _operation(path), sent, statuses or RIGHT, leaves)


def _samples(builder: _Builder, model: str) -> Iterator[Kind]:
    for form in IMAGE_FORMS:
        for num in (1, 5, 16, 64):
            yield builder.post(f"n={num} as {form}", "/sample", {"n": num}, Accept=form)
    everything = {"n": 3, "seed": 7, "temperature": 0.5, "prior": "standard", "model": model}
    yield builder.post("every field", "/sample", everything)
    yield builder.post("empty body", "/sample", b"")
    yield builder.post("with a deadline", "/sample", {"n": 2}, X_Request_Timeout_Ms="20000")


def _latents(builder: _Builder, latent_dim: int) -> Iterator[Kind]:
    z = np.random.default_rng(0).normal(size=(64, latent_dim)).round(4).tolist()
    for form in IMAGE_FORMS:
        for num in (1, 64):
            yield builder.post(f"{num} as {form}", "/decode", {"z": z[:num]}, Accept=form)


def _uploads(builder: _Builder) -> Iterator[Kind]:
    for path in ("/encode", "/reconstruct"):
        for name, (file, content_type) in _files().items():
            yield builder.post(name, path, file, content_type=content_type)
        yield from _uploads_of_several(builder, path)
    png, _ = _files()["png"]
    for form in IMAGE_FORMS:
        yield builder.post(f"as {form}", "/reconstruct", png, content_type="image/png", Accept=form)


def _files() -> dict[str, tuple[bytes, str]]:
    small, photo = picture(noise(48, 64, 3)), picture(np.full((1500, 2000, 3), 90, np.uint8))
    return {
        "png": (file_of(small), "image/png"),
        "jpeg": (file_of(small, "JPEG"), "image/jpeg"),
        "webp": (file_of(small, "WEBP"), "image/webp"),
        "bmp": (file_of(small, "BMP"), "image/bmp"),
        "grey": (file_of(small.convert("L")), "image/png"),
        "alpha": (file_of(small.convert("RGBA")), "image/png"),
        "palette": (file_of(small.convert("P")), "image/png"),
        "cmyk": (file_of(small.convert("CMYK"), "JPEG"), "image/jpeg"),
        "photo": (file_of(photo, "JPEG"), "image/jpeg"),
    }


def _uploads_of_several(builder: _Builder, path: str) -> Iterator[Kind]:
    files = _files()
    png, jpeg = files["png"][0], files["jpeg"][0]
    text = base64.b64encode(png).decode()
    yield builder.post("base64", path, {"images": [text] * 3})
    yield builder.post("data URI", path, {"images": [f"data:image/png;base64,{text}"]})
    multipart = f"multipart/form-data; boundary={BOUNDARY}"
    yield builder.post("multipart", path, _multipart(png, jpeg), content_type=multipart)
    # More than a megabyte, so that the part is kept in a file.
    large = file_of(picture(noise(700, 700, 3)))
    yield builder.post("large part", path, _multipart(large), content_type=multipart)


def _multipart(*files: bytes) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'.encode() + file
        for file in files
    ]
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _asked_by_machines(builder: _Builder, model: str) -> Iterator[Kind]:
    paths = ("/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready", "/metrics", "/models")
    for path in (*paths, f"/models/{model}", "/", "/docs", "/openapi.json"):
        yield builder.get(path, 200)


def _refused(builder: _Builder, latent_dim: int) -> Iterator[Kind]:
    png, _ = _files()["png"]
    bomb = file_of(Image.new("1", (5000, 5000)))
    yield builder.post("broken JSON", "/sample", b'{"n":', 400, 429)
    yield builder.post("half a picture", "/encode", png[: len(png) // 2], 400, 429, content_type="image/png")
    yield builder.post("no base64", "/encode", {"images": ["?"]}, 400, 429)
    yield Kind("no key", "sample", request("POST", "/sample"), (401,))
    yield builder.get("/nowhere", 404)
    yield builder.post("no such model", "/sample", {"model": "nobody"}, 404, 429)
    yield builder.get("/encode", 405)
    yield builder.post("no such form", "/sample", {}, 406, 429, Accept="text/html")
    yield builder.post("too many pixels", "/encode", bomb, 413, 429, content_type="image/png")
    yield builder.post("no such body", "/encode", b"x", 415, 429, content_type="text/plain")
    yield builder.post("n=0", "/sample", {"n": 0}, 422, 429)
    yield builder.post("not finite", "/decode", b'{"z": [[NaN]]}', 422, 429)
    yield builder.post("wrong shape", "/decode", {"z": [[0.0] * (latent_dim + 1)]}, 422, 429)
    yield builder.post("no number", "/sample", {}, 422, X_Request_Timeout_Ms="soon")
    too_large = request("POST", "/encode", content_type="image/png", headers=dict(builder.headers))
    too_large = too_large.replace(b"Content-Length: 0", b"Content-Length: 99999999\r\nConnection: close")
    yield Kind("too large", "encode", too_large, (413, 429))
    yield Kind("no HTTP", OTHER, b"this is no HTTP\r\n\r\n", (400,))


def _late(builder: _Builder) -> Iterator[Kind]:
    """Deadlines that are not met, by the queue or by the upload."""
    yield builder.post("no time at all", "/sample", {}, 504, X_Request_Timeout_Ms="0.001")
    yield builder.post("little time", "/sample", {"n": 64}, 200, 429, 504, X_Request_Timeout_Ms="15")
    png, _ = _files()["png"]
    headers = {"Connection": "close", "X_Request_Timeout_Ms": "200"}
    whole = builder.post("upload that stops", "/encode", png, 408, 429, content_type="image/png", **headers)
    yield dataclasses.replace(whole, content=whole.content[:-100])


def _leaving(builder: _Builder) -> Iterator[Kind]:
    """Clients that do not wait for their answer, or not even for the end of their own request."""
    for num in (1, 64):
        yield builder.post(f"leaves, n={num}", "/sample", {"n": num}, leaves=True)
    png, _ = _files()["png"]
    whole = builder.post("leaves", "/reconstruct", png, content_type="image/png", leaves=True)
    yield whole
    yield dataclasses.replace(whole, name="leaves in its upload", content=whole.content[:-100])


def _operation(path: str) -> str:
    name = path.partition("?")[0].strip("/")
    return name if name in REQUEST_OPERATIONS else OTHER
