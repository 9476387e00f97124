"""Settings from defaults and the environment; what is wrong is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import SHIPPED_CHECKPOINT, Settings
from service.vae.precision import Precision

WRONG = [
    ("port", "70000"),
    ("metrics_port", "0"),
    ("port", "http"),
    ("metrics_port", "70000"),
    ("cors_origins", ""),
    ("cors_origins", "example.org"),
    ("cors_origins", "https://example.org/"),
    ("cors_origins", "https://example.org/page"),
    ("cors_origins", "https://Example.org"),
    ("cors_origins", "https://a.org https://b.org"),
    ("device", "gpu"),
    ("device", "cuda:"),
    ("device", "cuda:x"),
    ("device", "cpu:1"),
    ("precision", "int8"),
    ("encode_precision", "double"),
    ("workers", "0"),
    ("max_images", "0"),
    ("max_body_bytes", "10"),
    ("max_image_pixels", "0"),
    ("max_image_pixels", "67108865"),
    ("max_image_side", "0"),
    ("max_decode_bytes", "100"),
    ("max_header_bytes", "10"),
    ("header_timeout_seconds", "0"),
    ("max_batch_size", "0"),
    ("max_queued_items", "-1"),
    ("request_timeout_seconds", "0"),
    ("drain_seconds", "-1"),
    ("watch_seconds", "-1"),
    ("shutdown_grace_seconds", "-1"),
    ("watchdog_seconds", "0"),
    ("device_threads", "0"),
    ("codec_threads", "0"),
    ("png_compression", "4"),
    ("keep_alive_seconds", "0"),
    ("log_format", "xml"),
    ("log_level", "loud"),
    ("checkpoint_sha256", "abc"),
    ("checkpoint_sha256", ""),
    ("checkpoint_sha256", f"{64 * 'a'},{64 * 'g'}"),
    ("allowed_operators", "from_file"),
    ("allowed_operators", "aten::"),
]


def test_the_defaults_are_the_limits_of_the_contract() -> None:
    settings = Settings()
    assert settings.max_images == 64
    assert settings.max_body_bytes == 10 * 2**20
    assert settings.max_image_pixels == 16_000_000
    assert settings.max_image_side == 8192
    assert settings.max_decode_bytes == 64 * 2**20
    assert settings.request_timeout_seconds == 30
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_the_default_checkpoint_ships_with_the_package() -> None:
    assert Settings().checkpoint == SHIPPED_CHECKPOINT
    assert SHIPPED_CHECKPOINT.is_file()


def test_the_environment_sets_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_MAX_IMAGES", "3")
    monkeypatch.setenv("VAE_PRECISION", "bfloat16")
    monkeypatch.setenv("VAE_CHECKPOINT", "other/model.pt")
    settings = Settings()
    assert settings.max_images == 3
    assert settings.precision is Precision.BFLOAT16
    assert settings.checkpoint == Path("other/model.pt")


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_PORT", "1")
    assert Settings(port=2).port == 2


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_in_the_environment_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VAE_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"][0] for error in caught.value.errors()] == [name]


def test_every_setting_with_limits_has_a_wrong_value_above() -> None:
    free = {"checkpoint", "default_model", "host", "api_keys", "api_keys_file"}
    assert {name for name, _ in WRONG} == set(Settings.model_fields) - free


@pytest.mark.parametrize("separator", [",", ", ", " ", "\n"])
def test_a_list_is_separated_by_commas_or_spaces(separator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CHECKPOINT_SHA256", separator.join([64 * "a", 64 * "B"]))
    monkeypatch.setenv("VAE_ALLOWED_OPERATORS", separator.join(["aten::save", "torch.classes.cuda.Stream"]))
    assert Settings().checkpoint_sha256 == (64 * "a", 64 * "B")
    assert Settings().allowed_operators == ("aten::save", "torch.classes.cuda.Stream")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_devices_that_there_may_be_are_taken(device: str) -> None:
    assert Settings(device=device).device == device


@pytest.mark.parametrize("as_variable", [True, False], ids=["variable", "flag"])
def test_origins_are_a_list_with_commas(as_variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "https://a.org, http://localhost:3000,http://[::1]:80,"
    if as_variable:
        monkeypatch.setenv("VAE_CORS_ORIGINS", text)
    settings = Settings() if as_variable else Settings(cors_origins=text)
    assert settings.cors_origins == ("https://a.org", "http://localhost:3000", "http://[::1]:80")


def test_the_log_level_is_taken_in_any_case() -> None:
    assert Settings(log_level="INFO").log_level == "info"


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1
