"""The pictures that are sent and trained on: real faces where they are, generated ones where not."""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from service.metadata import Preprocessing
from training.data.preparation import prepare
from training.data.sprites import draw_sprites

FACES = Path(__file__).parents[3] / "shared" / "data" / "celeba-original-558.zip"
WIDTH, HEIGHT = 178, 218
PREPROCESSING = Preprocessing(crop=148)


def are_faces() -> bool:
    """Whether the real faces are there."""
    return FACES.is_file()


def jpeg() -> bytes:
    """One JPEG of 178x218, about 11 kB."""
    if are_faces():
        return _faces(1)[0]
    rows = torch.linspace(0, 1, HEIGHT)[:, None]
    columns = torch.linspace(0, 1, WIDTH)[None, :]
    noise = np.random.default_rng(0).normal(0, 6, (HEIGHT, WIDTH, 3))
    sprite = draw_sprites(1, height=HEIGHT, width=WIDTH, seed=0).images[0].permute(1, 2, 0).numpy()
    shade = (120 * rows * columns)[..., None].numpy()
    pixels = np.clip(0.6 * sprite + shade + noise, 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=90)
    return content.getvalue()


def training_images(image_shape: tuple[int, int, int]) -> torch.Tensor:
    """uint8 (N, C, H, W): what the benchmark's network is briefly trained on."""
    if not are_faces():
        return draw_sprites(512, height=image_shape[1], width=image_shape[2], seed=0).images
    rows = [
        prepare(Image.open(io.BytesIO(content)), preprocessing=PREPROCESSING, image_shape=image_shape)
        for content in _faces(None)
    ]
    return torch.from_numpy(np.stack(rows))


def _faces(num: int | None) -> list[bytes]:
    with zipfile.ZipFile(FACES) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        return [archive.read(name) for name in names[:num]]
