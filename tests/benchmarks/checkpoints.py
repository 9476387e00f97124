"""The article's network in two forms: as its author would export it, and as this project does.

Weights do not change the speed, but the size of a PNG does, so the network is trained briefly; that is
kept in results/ and done once. The forms are exported anew in every run.
"""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from service.checkpoint import save
from service.metadata import Metadata, Provenance
from service.scripted import without_deprecation_warning
from tests.benchmarks import pictures
from training.config import Config, load_preset
from training.export.module import build_module
from training.lightning_module import VAETraining, as_unit_range, seeded_noise
from training.models.vanilla import VanillaVAE

AS_WRITTEN, FAST = "as written", "fast"


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of a network, and how long it is trained."""

    name: str
    image_shape: tuple[int, int, int]
    latent_dim: int
    hidden_channels: tuple[int, ...]
    num_steps: int


ARCHITECTURES = {
    "article": Architecture("article", (3, 64, 64), 128, (32, 64, 128, 256, 512), 150),
    "tiny": Architecture("tiny", (3, 16, 16), 8, (4, 8), 2),
}


class AsWritten(nn.Module):
    """The trained network with nothing done to it but pixels being uint8: what a user already has."""

    def __init__(self, model: VanillaVAE) -> None:
        super().__init__()
        self.encoder, self.mu, self.log_var = model.encoder, model.mu, model.log_var
        self.decoder_input, self.decoder = model.decoder_input, model.decoder

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(images.to(self.mu.weight.dtype) / 255)
        return self.mu(features).to(torch.float32), self.log_var(features).to(torch.float32)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        logits = self.decoder(self.decoder_input(z.to(self.mu.weight.dtype)))
        return torch.sigmoid(logits.to(torch.float32)).mul(255).round().to(torch.uint8)


def article(*, folder: Path, say: Callable[[str], None]) -> Path:
    """The article's network in its fast form, where it is."""
    return make(ARCHITECTURES["article"], folder=folder, say=say)[FAST]


def make(architecture: Architecture, *, folder: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Write both forms into a folder and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    training = VAETraining(_config(architecture))
    weights = folder / f"{architecture.name}-{'faces' if pictures.are_faces() else 'sprites'}.weights"
    if not weights.exists():
        _train(training, architecture, say=say)
        torch.save(training.state_dict(), weights)
    training.load_state_dict(torch.load(weights, weights_only=True))
    model = training.model.eval().to(memory_format=torch.contiguous_format)
    paths = {form: folder / f"{architecture.name}-{form.replace(' ', '-')}.pt" for form in (AS_WRITTEN, FAST)}
    for form, module in {AS_WRITTEN: AsWritten(model), FAST: build_module(model)}.items():
        with without_deprecation_warning():
            scripted = torch.jit.script(module.requires_grad_(False).eval())
        save(paths[form], scripted, _metadata(architecture, training.config))
    return paths


def _config(architecture: Architecture) -> Config:
    changes = {
        "data.image_shape": architecture.image_shape,
        "model.latent_dim": architecture.latent_dim,
        "model.hidden_channels": architecture.hidden_channels,
        "loss.scale": "optimal",
    }
    return load_preset("celeba-vanilla", changes=changes)


def _train(training: VAETraining, architecture: Architecture, *, say: Callable[[str], None]) -> None:
    torch.manual_seed(0)
    images = pictures.training_images(architecture.image_shape)
    optimizer = torch.optim.Adam(training.parameters(), lr=1e-3)
    training.train()
    for step in range(architecture.num_steps):
        say(f"training the benchmark's network, step {step + 1} of {architecture.num_steps}")
        batch = images[torch.randint(len(images), (64,))]
        noise = seeded_noise(1, len(batch), architecture.latent_dim, seed=step)
        terms = training.measure(as_unit_range(batch), noise=noise)
        optimizer.zero_grad()
        training.objective(terms, kl_weight=1.0).backward()
        torch.nn.utils.clip_grad_norm_(training.parameters(), 1000.0)
        optimizer.step()


def _metadata(architecture: Architecture, config: Config) -> Metadata:
    return Metadata(
        name=f"benchmark-{architecture.name}",
        created_at=datetime(2000, 1, 1, tzinfo=UTC),
        architecture=config.model.architecture,
        image_shape=architecture.image_shape,
        latent_dim=architecture.latent_dim,
        preprocessing=pictures.PREPROCESSING,
        likelihood=config.loss.likelihood,
        provenance=Provenance(
            dataset="celeba" if pictures.are_faces() else "sprites",
            num_training_images=558 if pictures.are_faces() else 512,
            preset=config.preset,
            command="python -m tests.benchmarks",
            config={},
            epochs=0,
            steps=architecture.num_steps,
            torch_version=str(torch.__version__),
        ),
        quality={},
        export_difference={},
    )
