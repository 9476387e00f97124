"""The service called with httpx and NumPy alone, no generated code: copy what you need.

BASE_URL=http://127.0.0.1:8000 API_KEY=... python openapi/python/client.py [photo.jpg]
"""

import io
import os
import sys
from pathlib import Path

import httpx
import numpy as np

NPY = "application/x-npy"


class VAE:
    """Arrays in and out: images uint8 (n, height, width, channels), latents float32 (n, latent_dim)."""

    def __init__(self, base_url: str, api_key: str = "") -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=60)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Images that are drawn; the same for the same seed."""
        return self._call("/sample", json={"n": n, "seed": seed})

    def encode(self, photo: bytes) -> tuple[np.ndarray, np.ndarray]:
        """mu and log_var of a PNG, JPEG, WebP or BMP file."""
        mu, log_var = self._call("/encode", files={"image": photo})
        return mu, log_var

    def decode(self, z: np.ndarray) -> np.ndarray:
        """The images of latents."""
        body = io.BytesIO()
        np.save(body, np.asarray(z, np.float32))
        return self._call("/decode", content=body.getvalue(), headers={"Content-Type": NPY})

    def _call(self, path: str, headers: dict[str, str] | None = None, **body: object) -> np.ndarray:
        answer = self._http.post(path, headers={"Accept": NPY, **(headers or {})}, **body)
        if answer.is_error:  # every error says what is wrong and names the field
            sys.exit(f"{answer.status_code}: {answer.json()['detail']}")
        return np.load(io.BytesIO(answer.content))


if __name__ == "__main__":
    vae = VAE(os.environ.get("BASE_URL", "http://127.0.0.1:8000"), os.environ.get("API_KEY", ""))
    images = vae.sample(2, seed=42)
    print(f"two samples: {images.shape} of {images.dtype}")
    if len(sys.argv) > 1:
        mu, log_var = vae.encode(Path(sys.argv[1]).read_bytes())
        print(f"a photo is {mu.size} numbers, of which mu[0] is {mu[0, 0]:.3f}")
        between = mu * np.linspace(0, 1, 8)[:, None]  # from the middle of the latent space to the photo
        np.save("between.npy", vae.decode(between))
        print("eight images between, in between.npy")
