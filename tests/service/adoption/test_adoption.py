"""A checkpoint made of a module from elsewhere answers as the module does, and says no more than is known."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from service import checkpoint
from service.adoption import Told, adopt
from service.errors import CannotAdopt, InvalidCheckpoint
from service.metadata import Metadata
from service.scripted import VAEModule, as_vae
from tests import foreign_vaes, planted
from tests.foreign_vaes import IMAGE_SHAPE, LATENT_DIM, scripted, traced, write

Adopt = Callable[..., tuple[VAEModule, Metadata]]


@pytest.fixture
def adopted(tmp_path: Path) -> Adopt:
    """Export, adopt and load a module: the loaded one, and its metadata."""

    def run(module: torch.jit.ScriptModule, **told: object) -> tuple[VAEModule, Metadata]:
        target = tmp_path / "model.pt"
        source = write(module, tmp_path / "vae.pt")
        adopt(source, target, told=Told(**told), say=lambda line: None)
        loaded = checkpoint.load(target)
        return as_vae(loaded.module), loaded.metadata

    return run


def images_and_noise(image_shape: tuple[int, int, int], latent_dim: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randint(0, 256, (3, *image_shape), generator=generator).to(torch.uint8)
    return images, torch.randn(3, latent_dim, generator=generator)


@pytest.mark.parametrize(
    ("vae", "export", "black", "white"),
    [
        (foreign_vaes.ConvVAE, scripted, 0, 1),
        (foreign_vaes.TanhVAE, scripted, -1, 1),
        (foreign_vaes.TupleVAE, traced, 0, 1),
    ],
)
@torch.inference_mode()
def test_it_answers_as_the_network_does_on_pixels_in_its_range(
    adopted: Adopt,
    vae: type[nn.Module],
    black: int,
    white: int,
    export: Callable[..., torch.jit.ScriptModule],
) -> None:
    network = vae().eval()
    module, _ = adopted(export(vae()))
    images, z = images_and_noise(IMAGE_SHAPE, LATENT_DIM)
    mu, log_var = network.encode(images / 255 * (white - black) + black)
    torch.testing.assert_close(module.encode(images), (mu, log_var))
    means = (network.decode(z) - black) / (white - black)
    levels = module.decode(z)
    assert levels.dtype == torch.uint8
    assert (levels - 255 * means).abs().max() <= 0.5 + 1e-3
    torch.testing.assert_close(torch.sigmoid(module.decode_logits(z)), means, atol=2e-6, rtol=0)


@torch.inference_mode()
def test_rows_and_maps_become_images_and_latents(adopted: Adopt) -> None:
    network = foreign_vaes.RowVAE().eval()
    module, metadata = adopted(scripted(foreign_vaes.RowVAE()), image_shape=(1, 28, 28))
    images, z = images_and_noise((1, 28, 28), 20)
    torch.testing.assert_close(module.encode(images), network.encode(images.flatten(1) / 255))
    assert (module.decode(z).flatten(1) - 255 * network.decode(z)).abs().max() <= 0.5 + 1e-3
    assert (metadata.image_shape, metadata.latent_dim) == ((1, 28, 28), 20)

    network = foreign_vaes.MapVAE().eval()
    module, metadata = adopted(scripted(foreign_vaes.MapVAE()), image_shape=(3, 16, 16))
    images, z = images_and_noise((3, 16, 16), 32)
    mu, log_var = network.encode(images / 255)
    torch.testing.assert_close(module.encode(images), (mu.flatten(1), log_var.flatten(1)))
    assert (module.decode(z) - 255 * network.decode(z.view(-1, 2, 4, 4))).abs().max() <= 0.5 + 1e-3
    assert metadata.latent_dim == 32


@torch.inference_mode()
def test_a_module_that_keeps_the_contract_is_taken_as_it_is(adopted: Adopt) -> None:
    network = foreign_vaes.LevelsVAE().eval()
    module, _ = adopted(scripted(foreign_vaes.LevelsVAE()))
    images, z = images_and_noise(IMAGE_SHAPE, LATENT_DIM)
    torch.testing.assert_close(module.encode(images), network.encode(images))
    torch.testing.assert_close(module.decode(z), network.decode(z), atol=1, rtol=0)


def test_its_metadata_holds_what_is_known_and_no_more(adopted: Adopt, tmp_path: Path) -> None:
    _, metadata = adopted(scripted(foreign_vaes.ConvVAE()))
    assert (metadata.name, metadata.architecture) == ("vae", "ConvVAE")
    assert metadata.preprocessing.crop == "square"
    assert metadata.likelihood is metadata.likelihood_scale is None
    assert metadata.prior == "standard"
    assert metadata.quality == metadata.export_difference == {}
    provenance = metadata.provenance
    assert provenance.origin == "adopted"
    assert provenance.source_sha256 == hashlib.sha256((tmp_path / "vae.pt").read_bytes()).hexdigest()
    assert provenance.command == "python -m service adopt vae.pt"
    unknown = ("dataset", "num_training_images", "preset", "commit", "epochs", "steps", "torch_version")
    assert [getattr(provenance, name) for name in unknown] == [None] * len(unknown)


def test_what_a_person_tells_is_in_the_metadata(adopted: Adopt) -> None:
    told = {
        "image_shape": IMAGE_SHAPE,
        "latent_dim": LATENT_DIM,
        "pixel_range": (-1.0, 1.0),
        "crop": 12,
        "name": "faces",
        "likelihood": "gaussian",
        "likelihood_scale": 0.1,
    }
    _, metadata = adopted(scripted(foreign_vaes.TanhVAE()), **told)
    assert (metadata.name, metadata.preprocessing.crop) == ("faces", 12)
    assert (metadata.likelihood, metadata.likelihood_scale) == ("gaussian", 0.1)
    assert metadata.provenance.command == (
        "python -m service adopt vae.pt --image-shape 3 16 16 --latent-dim 5 --pixel-range -1.0 1.0 --crop 12"
        " --name faces --likelihood gaussian --likelihood-scale 0.1"
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"name": "no spaces"}, "^--name: "),
        ({"crop": "round"}, "^--crop: "),
        ({"crop": 0}, "^--crop: "),
        ({"likelihood_scale": -1.0}, "^--likelihood-scale: "),
        ({"pixel_range": (1.0, 1.0)}, "^--pixel-range: "),
        ({"pixel_range": (0.0, float("nan"))}, "^--pixel-range: "),
    ],
)
def test_what_cannot_be_meant_is_named_by_its_flag(
    adopted: Adopt, tmp_path: Path, told: dict[str, object], words: str
) -> None:
    with pytest.raises(CannotAdopt, match=words):
        adopted(scripted(foreign_vaes.ConvVAE()), **told)
    assert [path.name for path in tmp_path.iterdir()] == ["vae.pt"]


@pytest.mark.parametrize(
    ("vae", "words"),
    [
        (foreign_vaes.NoisyVAE, r"otherwise each time: call eval\(\) before"),
        (foreign_vaes.CrowdVAE, r"depends on the others in the batch: call eval\(\) before"),
        (foreign_vaes.PairVAE, "fails on a batch of 1 or of 8: .*must take any number of rows"),
        (foreign_vaes.SingleVAE, r"module\.decode fails on 32x5: .*must take any number of rows"),
    ],
)
def test_a_module_that_cannot_be_batched_is_refused_with_the_reason(
    adopted: Adopt, tmp_path: Path, vae: type[nn.Module], words: str
) -> None:
    with pytest.raises(CannotAdopt, match=words):
        adopted(scripted(vae()), image_shape=IMAGE_SHAPE)
    assert [path.name for path in tmp_path.iterdir()] == ["vae.pt"]


def test_an_encoder_that_seems_to_give_deviations_is_warned_of(tmp_path: Path) -> None:
    said: list[str] = []
    source = write(scripted(foreign_vaes.DeviationVAE()), tmp_path / "vae.pt")
    adopt(source, tmp_path / "model.pt", told=Told(), say=said.append)
    assert [line for line in said if "warning" in line] == [
        "  warning: the second output of encode was nowhere negative; is it log_var?"
    ]


def test_what_was_found_out_is_said_and_what_was_told_is_told_apart(tmp_path: Path) -> None:
    said: list[str] = []
    source = write(scripted(foreign_vaes.ConvVAE()), tmp_path / "vae.pt")
    adopt(source, tmp_path / "model.pt", told=Told(pixel_range=(0.0, 1.0)), say=said.append)
    told = {line.split("  ")[1]: line for line in said}
    assert list(told) == ["image shape", "latent size", "pixels", "crop", "likelihood"]
    assert "3x16x16" in told["image shape"]
    assert "as told" not in told["image shape"]
    assert "0 to 1" in told["pixels"]
    assert "as told" in told["pixels"]
    assert "unknown" in told["likelihood"]


def test_nothing_of_a_file_runs_before_it_is_checked(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    source = write(planted.scripted(planted.InDecode(sentinel)), tmp_path / "vae.pt")
    with pytest.raises(InvalidCheckpoint, match="uses aten::from_file"):
        adopt(source, tmp_path / "model.pt", told=Told(), say=lambda line: None)
    source.write_bytes(b"no archive")
    with pytest.raises(InvalidCheckpoint, match="not a TorchScript archive"):
        adopt(source, tmp_path / "model.pt", told=Told(), say=lambda line: None)
    assert not sentinel.exists()


def test_a_checkpoint_is_not_adopted_again(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotAdopt, match=r"tiny\.pt is a checkpoint already"):
        adopt(tiny_checkpoint, tmp_path / "model.pt", told=Told(), say=lambda line: None)


@pytest.mark.parametrize(
    ("file", "name"), [("my vae (1).pt", "my-vae-1"), ("--.pt", None), ("a" * 80, "a" * 64)]
)
def test_a_model_is_named_as_its_file_as_far_as_it_can_be(
    tmp_path: Path, file: str, name: str | None
) -> None:
    source = write(scripted(foreign_vaes.ConvVAE()), tmp_path / file)
    if name is None:
        with pytest.raises(CannotAdopt, match="give it a name with --name"):
            adopt(source, tmp_path / "model.pt", told=Told(), say=lambda line: None)
    else:
        assert adopt(source, tmp_path / "model.pt", told=Told(), say=lambda line: None).name == name
