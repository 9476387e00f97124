"""Every setting, with its default, its limits and its meaning; the only reader of the environment.

A setting `max_images` is set by VAE_MAX_IMAGES or by the flag --max-images, which wins.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.logs import LogFormat
from service.vae.precision import Precision

SHIPPED_CHECKPOINT = Path(__file__).parent / "pretrained" / "fashion-mnist.pt"

Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]
Operator = Annotated[str, Field(pattern=r"^\w+(::|\.)[\w.]+$")]
# As browsers send it: scheme, host and port, in lower case and without a slash at the end.
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+")


class Settings(BaseSettings):
    """Settings of one server process."""

    model_config = SettingsConfigDict(env_prefix="VAE_", frozen=True, extra="ignore")

    checkpoint: Path = Field(
        SHIPPED_CHECKPOINT, description="The checkpoint file to serve, or a folder of them (*.pt)"
    )
    checkpoint_sha256: Annotated[tuple[Sha256, ...], NoDecode] = Field(
        (), description="Refuse a checkpoint unless its SHA-256 is one of these, commas between"
    )
    allowed_operators: Annotated[tuple[Operator, ...], NoDecode] = Field(
        (), description="Operators that a checkpoint may use beside tensor arithmetic, commas between"
    )
    default_model: str | None = Field(
        None, description="The model of requests that name none; unset, that of the first file by name"
    )
    watch_seconds: float = Field(
        5.0, ge=0, description="Changed checkpoint files are looked for so often; 0 for on SIGHUP only"
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every one")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    api_keys: SecretStr | None = Field(
        None,
        description="API keys, commas between; a request must bear one. As a flag they are seen in lists of"
        " processes",
    )
    api_keys_file: Path | None = Field(None, description="A file of API keys, one a line, # comments")
    cors_origins: Annotated[tuple[str, ...], NoDecode] | None = Field(
        None, description="Origins, commas between, whose pages may call from a browser; * for every one"
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that share the port and the cores, each with a model and a queue of its own",
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Answer /metrics on this port alone; unset, on the same port"
    )
    device: str = Field("auto", description="auto (CUDA where there is one), cpu, cuda or cuda:N")
    precision: Precision = Field(
        Precision.AUTO,
        description="Of decoding: auto (the fastest within tolerance), float32, tf32, bfloat16, float16",
    )
    encode_precision: Precision = Field(
        Precision.FLOAT32, description="Of what gives numbers, encoding and scores, likewise"
    )
    max_images: int = Field(64, ge=1, le=4096, description="Images, or n, a request may have")
    max_body_bytes: int = Field(10 * 1024**2, ge=1024, description="Bytes a request body may have")
    max_header_bytes: int = Field(
        16 * 1024, ge=1024, description="Bytes that request line and header may have"
    )
    header_timeout_seconds: float = Field(
        5.0, gt=0, description="A header may take so long from its first byte, or the connection's start"
    )
    max_image_pixels: int = Field(16_000_000, ge=1, le=2**26, description="Pixels an uploaded image may have")
    max_image_side: int = Field(8192, ge=1, description="Pixels its longer side may have")
    max_decode_bytes: int = Field(
        64 * 1024**2,
        ge=1024,
        description="Memory that decoding it may take, on each codec thread: 4 bytes a pixel, 16 for WebP,"
        " more for progressive JPEG and lossless WebP",
    )
    max_batch_size: int | None = Field(None, ge=1, description="Items in a batch; unset, the measured best")
    max_queued_items: int | None = Field(
        None,
        ge=1,
        description="Items that may be admitted at a time; unset, 8 times the largest batch or request",
    )
    request_timeout_seconds: float = Field(
        30.0,
        gt=0,
        description="A request takes no longer, from its arrival: its upload, its wait and its batch",
    )
    device_threads: int | None = Field(
        None,
        ge=1,
        description="Batches run side by side on the CPU, small images between; unset, one for each core",
    )
    codec_threads: int | None = Field(
        None,
        ge=1,
        description="Threads for images that take long, and beside CUDA for all; unset, one for each core",
    )
    png_compression: int = Field(1, ge=0, le=3, description="0 (fast), or 1 to 3 (small), which are alike")
    keep_alive_seconds: int = Field(
        75, ge=1, description="Idle connections stay open so long: longer than the load balancer keeps them"
    )
    drain_seconds: float = Field(
        5.0,
        ge=0,
        description="After SIGTERM requests are answered so long while /readyz says 503: longer than the load"
        " balancer takes to notice",
    )
    shutdown_grace_seconds: int = Field(
        20, ge=0, description="After that, requests in flight may take so long to end; then they get 503"
    )
    watchdog_seconds: float = Field(
        30.0,
        gt=0,
        description="While a batch takes longer, /readyz says 503; after twice as long the process ends",
    )
    log_format: LogFormat = Field("auto", description="auto (text on a terminal, else json), json or text")
    log_level: str = Field("info", description="debug, info, warning or error")

    @field_validator("checkpoint_sha256", "allowed_operators", mode="before")
    @classmethod
    def _listed(cls, values: object) -> object:
        if not isinstance(values, str):
            return values
        if not values.strip():
            raise ValueError("must not be empty; leave it unset to give none")
        return values.replace(",", " ").split()

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _known_origins(cls, origins: object) -> object:
        if not isinstance(origins, str):
            return origins
        listed = tuple(origin.strip() for origin in origins.split(",") if origin.strip())
        if not listed or not all(ORIGIN.fullmatch(origin) for origin in listed):
            raise ValueError("must be origins such as https://example.org, without a path, or *")
        return listed

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
