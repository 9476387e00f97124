"""Every setting, with its default, its limits and its meaning; the only reader of the environment.

A setting `max_images` is set by VAE_MAX_IMAGES or by the flag --max-images, which wins.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.logs import LogFormat
from service.vae.precision import Precision

SHIPPED_CHECKPOINT = Path(__file__).parent / "pretrained" / "fashion-mnist.pt"


class Settings(BaseSettings):
    """Settings of one server process."""

    model_config = SettingsConfigDict(env_prefix="VAE_", frozen=True, extra="ignore")

    checkpoint: Path = Field(SHIPPED_CHECKPOINT, description="The checkpoint file to serve")
    checkpoint_sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = Field(
        None, description="Refuse the checkpoint unless its SHA-256 is this"
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every one")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    device: str = Field("auto", description="auto (CUDA where there is one), cpu, cuda or cuda:N")
    precision: Precision = Field(
        Precision.AUTO,
        description="Of decoding: auto (the fastest within tolerance), float32, tf32, bfloat16, float16",
    )
    encode_precision: Precision = Field(Precision.FLOAT32, description="Of encoding, likewise")
    max_images: int = Field(64, ge=1, le=4096, description="Images, or n, a request may have")
    max_body_bytes: int = Field(10 * 1024**2, ge=1024, description="Bytes a request body may have")
    max_image_pixels: int = Field(16_000_000, ge=1, description="Pixels an uploaded image may have")
    max_batch_size: int | None = Field(None, ge=1, description="Items in a batch; unset, the measured best")
    max_queued_items: int | None = Field(
        None, ge=1, description="Items that may wait; unset, 8 times the largest batch or request"
    )
    request_timeout_seconds: float = Field(30.0, gt=0, description="A request waits no longer in the queue")
    device_threads: int | None = Field(
        None, ge=1, description="Batches run side by side on the CPU; unset, one for each core"
    )
    codec_threads: int | None = Field(
        None, ge=1, description="Threads that decode and encode images; unset, one for each core"
    )
    png_compression: int = Field(1, ge=0, le=3, description="0 (fast) to 3 (small)")
    keep_alive_seconds: int = Field(
        75, ge=1, description="Idle connections stay open so long: longer than the load balancer keeps them"
    )
    drain_seconds: float = Field(
        5.0,
        ge=0,
        description="After SIGTERM requests are answered so long while /readyz says 503: longer than the load"
        " balancer takes to notice",
    )
    log_format: LogFormat = Field("auto", description="auto (text on a terminal, else json), json or text")
    log_level: str = Field("info", description="debug, info, warning or error")

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        kind, _, number = device.partition(":")
        is_known = (kind in ("auto", "cpu") and not number) or (kind == "cuda" and (number or "0").isdigit())
        if not is_known or device.endswith(":"):
            raise ValueError("must be auto, cpu, cuda or cuda:N")
        return device

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return level.lower()
