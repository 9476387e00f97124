"""Results to answers: images and numbers in the form that was negotiated.

Shapes: N images, H height, W width, C channels, D latent size.
"""

import base64
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import orjson

from service.api.archives import npy_of, tar_of, zip_of
from service.api.negotiation import Form
from service.errors import BadOutput
from service.scoring.distribution import anomaly, percentile
from service.scoring.figures import SURPRISES, figures, kl_divergence
from service.scripted import Float32Array, UInt8Array
from service.vae.images import contact_sheet, encode_lossy
from service.vae.operations import Array, Arrays
from service.vae.png import encode_png
from service.vae.runtime import Runtime

SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp"}

SCORE_FIGURES = ("elbo", "rate", "distortion", "mse")
# For each image its figures by name; None where a figure has no finite value.
Figures = Sequence[Mapping[str, float | None]]
# What JSON says of each image beside its file, of the inputs and the outputs of a job.
Beside = Callable[[Array, Arrays], Sequence[Mapping[str, object]]]


@dataclasses.dataclass(frozen=True)
class Rendering:
    """How a job's images are answered with, and what is known of them.

    Attributes:
        runtime: The model that decodes them.
        operation: `sample`, `decode` or `reconstruct`.
        form: Of the answer.
        compression: Of PNG, 0 to 3.
        output_format: What image files are in JSON, zip and tar: `png`, `jpeg` or `webp`.
        provenance: How they came about, by name: the seed of a sample, say; told in every form that can.
        beside: What the JSON form says of each image; nothing where absent.
    """

    runtime: Runtime
    operation: str
    form: Form
    compression: int
    output_format: str = "png"
    provenance: Mapping[str, str | float] = dataclasses.field(default_factory=dict)
    beside: Beside | None = None

    def body(self, inputs: Array, outputs: Arrays) -> bytes:
        """The body of the answer, of what a job took and gave, its images first: uint8 (N, H, W, C).

        Raises:
            BadOutput: What it gave beside them is not finite.
        """
        pixels, *numbers = outputs
        check_finite(*numbers)
        match self.form:
            case Form.JSON:
                return self._json(pixels, self.beside(inputs, outputs) if self.beside else ())
            case Form.ZIP:
                return zip_of(self._packed(pixels))
            case Form.TAR:
                return tar_of(self._packed(pixels))
            case Form.NPY:
                return npy_of(pixels)
            case Form.PNG:
                return self._sheet(pixels)
        return encode_lossy(contact_sheet(pixels)[0], self.form.partition("/")[2].upper())

    def _json(self, pixels: UInt8Array, beside: Sequence[Mapping[str, object]]) -> bytes:
        _, height, width = self.runtime.metadata.image_shape
        body = {
            **_head(self.runtime),
            **self.provenance,
            "output_format": self.output_format,
            "size": f"{width}x{height}",
            "data": [
                {"index": index, "b64_json": _base64(file), **(beside[index] if beside else {})}
                for index, file in enumerate(self._files(pixels))
            ],
        }
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _sheet(self, pixels: UInt8Array) -> bytes:
        num = len(pixels)
        texts = self._texts("0" if num == 1 else f"0-{num - 1}")
        (file,) = encode_png(contact_sheet(pixels), [texts], compression=self.compression)
        return file

    def _packed(self, pixels: UInt8Array) -> list[tuple[str, bytes]]:
        """A file an image, and a manifest: names and contents."""
        suffix = f"_seed{self.provenance['seed']}" if "seed" in self.provenance else ""
        suffix += f".{SUFFIXES[self.output_format]}"
        names = [f"{self.operation}_{index:03d}{suffix}" for index in range(len(pixels))]
        manifest = {
            "model": self.runtime.metadata.name,
            "model_version": self.runtime.version,
            **self.provenance,
            "data": [{"index": index, "file": name} for index, name in enumerate(names)],
        }
        return [*zip(names, self._files(pixels), strict=True), ("manifest.json", orjson.dumps(manifest))]

    def _files(self, pixels: UInt8Array) -> list[bytes]:
        if self.output_format != "png":
            return [encode_lossy(image, self.output_format.upper()) for image in pixels]
        texts = [self._texts(str(index)) for index in range(len(pixels))]
        return encode_png(pixels, texts, compression=self.compression)

    def _texts(self, index: str) -> dict[str, str]:
        """The tEXt chunks of one image: how it came about, its index, its model."""
        provenance = {name.title(): str(value) for name, value in self.provenance.items()}
        return {**provenance, "Index": index, "Model": f"{self.runtime.metadata.name} {self.runtime.version}"}


def check_finite(*arrays: Array) -> None:
    """See that the network gave numbers, for all else JSON has no word.

    Raises:
        BadOutput: It did not.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise BadOutput("the network gave numbers that are not finite")


def latents_beside(z: Array, _: Arrays) -> Sequence[Mapping[str, object]]:
    """What was decoded, float32 (N, D)."""
    return [{"z": row} for row in z]


def inputs_beside(images: UInt8Array, compression: int) -> Sequence[Mapping[str, object]]:
    """What was encoded, uint8 (N, H, W, C), as PNG."""
    return [{"input_b64_json": _base64(file)} for file in encode_png(images, compression=compression)]


def posteriors(runtime: Runtime, form: Form, _: Array, outputs: Arrays) -> bytes:
    """Posteriors, mu and log_var float32 (N, D), as JSON, or as NPY of float32 (2, N, D).

    Raises:
        BadOutput: They are not finite.
    """
    mu, log_var = outputs
    check_finite(mu, log_var)
    if form is Form.NPY:
        return npy_of(np.stack([mu, log_var]))
    body = {
        **_head(runtime),
        "latent_dim": runtime.metadata.latent_dim,
        "data": [{"index": index, "mu": mu[index], "log_var": log_var[index]} for index in range(len(mu))],
    }
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def reconstruction_figures(
    images: UInt8Array, reconstructions: UInt8Array, mu: Float32Array, log_var: Float32Array
) -> Figures:
    """How well each image came back.

    Args:
        images: uint8 (N, H, W, C), as the network saw them.
        reconstructions: uint8 (N, H, W, C).
        mu: float32 (N, D).
        log_var: float32 (N, D).

    Returns:
        For each image `mse` of pixels in [0, 1]; `psnr` in dB, None where the images are equal; and
        `kl` to the standard normal prior in nats; see kl_divergence.

    Raises:
        BadOutput: A divergence is not finite.
    """
    errors = (images.astype(np.float32) - reconstructions) / 255.0
    mse = np.square(errors).mean(axis=(1, 2, 3))
    kl = kl_divergence(mu, log_var)
    check_finite(kl)
    return [
        {"mse": float(m), "psnr": -10.0 * math.log10(m) if m > 0 else None, "kl": float(k)}
        for m, k in zip(mse, kl, strict=True)
    ]


def scores(runtime: Runtime, images: UInt8Array, measured: Arrays) -> bytes:
    """Scores as JSON.

    Args:
        runtime: The model that measured.
        images: uint8 (N, H, W, C), as they were measured.
        measured: See service.scoring.measurement.measure.

    Raises:
        BadOutput: They are not finite.
    """
    found = figures(images, measured, runtime.prior)
    columns: dict[str, Sequence[float | None]] = {name: found[name].tolist() for name in SCORE_FIGURES}
    check_finite(*(found[name] for name in (*SCORE_FIGURES, *SURPRISES)))
    columns["anomaly"] = columns["percentile"] = [None] * len(images)
    distribution = runtime.metadata.scores
    if distribution is not None:
        strangeness = anomaly(found, distribution)
        columns["anomaly"] = strangeness.tolist()
        columns["percentile"] = percentile(strangeness, distribution).tolist()
    data = [
        {"index": index, **{name: column[index] for name, column in columns.items()}}
        for index in range(len(images))
    ]
    return orjson.dumps({**_head(runtime), "data": data})


def _base64(file: bytes) -> orjson.Fragment:
    """A file as a JSON string, which needs no escapes."""
    return orjson.Fragment(b'"' + base64.b64encode(file) + b'"')


def _head(runtime: Runtime) -> Mapping[str, object]:
    return {
        "model": runtime.metadata.name,
        "model_version": runtime.version,
        "created": int(time.time()),
    }
