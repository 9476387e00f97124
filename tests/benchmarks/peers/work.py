"""What a handler that was written in an afternoon does with the same checkpoint: the same work, no more.

Module as loaded, Pillow for every image, base64 in JSON; the answers have the fields of the service's.
"""

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from service import checkpoint
from service.scripted import as_vae
from training.data.preparation import prepare


class Work:
    """The three operations, from parsed JSON to a dict."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        loaded = checkpoint.load(Path(os.environ["BENCH_CHECKPOINT"]))
        self._module = as_vae(loaded.module)
        self._metadata = loaded.metadata

    def read(self, operation: str, body: dict[str, Any]) -> Tensor:
        """The network's input of one request: z, or uint8 images."""
        if operation == "sample":
            generator = torch.Generator()
            generator.seed()
            return torch.randn(body["n"], self._metadata.latent_dim, generator=generator)
        return torch.from_numpy(np.stack([self._picture(text) for text in body["images"]]))

    def run(self, operation: str, inputs: Tensor) -> list[Tensor]:
        """The network on one batch: images, or mu and log_var, or all three."""
        with torch.inference_mode():
            if operation == "sample":
                return [self._module.decode(inputs)]
            mu, log_var = self._module.encode(inputs)
            return [mu, log_var] if operation == "encode" else [self._module.decode(mu), mu, log_var]

    def write(self, operation: str, outputs: list[Tensor]) -> dict[str, Any]:
        """The answer to one request."""
        if operation == "encode":
            rows = zip(*outputs, strict=True)
            data = [{"mu": mu.tolist(), "log_var": log_var.tolist()} for mu, log_var in rows]
        else:
            data = [{"b64_json": self._png(image)} for image in outputs[0]]
        return {"model": self._metadata.name, "data": [{"index": i, **row} for i, row in enumerate(data)]}

    def _picture(self, text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        picture = Image.open(io.BytesIO(base64.b64decode(text)))
        shape = self._metadata.image_shape
        return prepare(picture, preprocessing=self._metadata.preprocessing, image_shape=shape)

    def _png(self, image: Tensor) -> str:
        content = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(content, "PNG")
        return base64.b64encode(content.getvalue()).decode()
