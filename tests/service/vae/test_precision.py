"""A lower precision is used only where it stays true to the golden values."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from service import checkpoint
from service.errors import InvalidCheckpoint
from service.golden import MAX_PIXEL_DIFFERENCE
from service.scripted import without_deprecation_warning
from service.settings import SHIPPED_CHECKPOINT
from service.vae.precision import (
    Placed,
    Precision,
    native_precisions,
    place_decoder,
    place_encoder,
    place_scorer,
)
from tests import tiny_vae

Place = Callable[[checkpoint.Checkpoint, torch.device, Precision], tuple[Placed | None, list[str]]]


@pytest.fixture
def loaded(tiny_checkpoint: Path) -> checkpoint.Checkpoint:
    return checkpoint.load(tiny_checkpoint)


def test_the_precision_asked_for_is_used_where_it_is_within_tolerance(
    loaded: checkpoint.Checkpoint, device: torch.device
) -> None:
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        placed, refusals = place_decoder(loaded, device, precision)
        assert placed.precision is precision
        assert refusals == []


def test_a_placed_module_decodes_and_encodes_by_the_formula(
    loaded: checkpoint.Checkpoint, device: torch.device
) -> None:
    z = np.array([[0, 1, -1, 0.5]], np.float32)
    with torch.inference_mode():
        decoder, encoder = (
            Placed(loaded, device, Precision.FLOAT32, method=method, is_packed=device.type == "cpu")
            for method in ("decode", "encode")
        )
        images = decoder.decode(torch.from_numpy(z).to(device))
        mu, _ = encoder.encode(images)
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    np.testing.assert_array_equal(pixels, tiny_vae.decoded(z))
    np.testing.assert_allclose(mu.cpu(), tiny_vae.encoded_mu(pixels))


def test_placing_leaves_the_checkpoint_as_it_was(loaded: checkpoint.Checkpoint) -> None:
    with torch.inference_mode():
        Placed(loaded, torch.device("cpu"), Precision.BFLOAT16, method="decode", is_packed=True)
    assert {parameter.dtype for parameter in loaded.module.parameters()} == {torch.float32}


def test_a_precision_out_of_tolerance_gives_way_to_float32_and_says_why(tmp_path: Path) -> None:
    # One red pixel of latents 1 and 2, whose weights nearly cancel: bfloat16 loses what remains.
    loaded = checkpoint.load(save_cancelling(tmp_path / "model.pt"))
    placed, refusals = place_decoder(loaded, torch.device("cpu"), Precision.BFLOAT16)
    assert placed.precision is Precision.FLOAT32
    assert len(refusals) == 1
    assert refusals[0].startswith("bfloat16 is not used: decoded pixels differ by up to")


def test_auto_never_takes_a_precision_out_of_tolerance(tmp_path: Path) -> None:
    loaded = checkpoint.load(save_cancelling(tmp_path / "model.pt"))
    placed, refusals = place_decoder(loaded, torch.device("cpu"), Precision.AUTO)
    assert placed.precision is Precision.FLOAT32
    tried = [precision for precision in native_precisions(torch.device("cpu")) if precision != "float32"]
    assert [refusal.split()[0] for refusal in refusals] == tried


def test_golden_values_that_even_float32_misses_are_an_invalid_checkpoint(
    loaded: checkpoint.Checkpoint,
) -> None:
    images = loaded.golden.images.astype(int)
    shifted = np.where(images > 128, images - 9, images + 9).astype(np.uint8)
    wrong = dataclasses.replace(loaded, golden=dataclasses.replace(loaded.golden, images=shifted))
    with pytest.raises(InvalidCheckpoint, match=r"golden: out of tolerance on cpu: .*float32 is not used"):
        place_decoder(wrong, torch.device("cpu"), Precision.AUTO)


def test_an_encoder_out_of_tolerance_is_refused_by_its_own_golden_values(
    loaded: checkpoint.Checkpoint,
) -> None:
    wrong = dataclasses.replace(loaded, golden=dataclasses.replace(loaded.golden, mu=loaded.golden.mu + 1))
    with pytest.raises(InvalidCheckpoint, match="mu differs by up to 1"):
        place_encoder(wrong, torch.device("cpu"), Precision.FLOAT32)
    assert place_decoder(wrong, torch.device("cpu"), Precision.FLOAT32)[0].precision is Precision.FLOAT32


def test_auto_is_told_by_the_hardware(loaded: checkpoint.Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    # The bytes of a seed are the same after a restart and on another replica only if the arithmetic is.
    for capabilities, expected in [
        ({"avx512_bf16": True}, Precision.BFLOAT16),
        ({"amx_bf16": True}, Precision.BFLOAT16),
        ({"avx2": True, "avx512_bf16": False}, Precision.FLOAT32),
    ]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        placed, refusals = place_decoder(loaded, torch.device("cpu"), Precision.AUTO)
        assert (placed.precision, refusals) == (expected, [])


def save_cancelling(path: Path) -> Path:
    """A tiny checkpoint whose weights bfloat16, with its 8 bits, cannot hold apart: 1000 and 1001."""
    module = tiny_vae.TinyVAE()
    with torch.no_grad():
        module.decode_weight[1] = 1000.0
        module.decode_weight[2] = -1001.0
    with without_deprecation_warning():
        checkpoint.save(path, torch.jit.script(module.eval()), tiny_vae.metadata())
    assert MAX_PIXEL_DIFFERENCE < 8
    return path


@pytest.mark.parametrize("place", [place_decoder, place_encoder, place_scorer])
def test_every_method_of_the_shipped_checkpoint_runs_with_packed_weights(place: Place) -> None:
    shipped = checkpoint.load(SHIPPED_CHECKPOINT)
    _, refusals = place(shipped, torch.device("cpu"), Precision.FLOAT32)
    assert refusals == []
