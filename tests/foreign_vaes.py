"""VAEs as others write and export them: no metadata, floats in and out, a list or a tuple of mu and log_var.

Weights are drawn from a seed, so that every file of a class holds the same network.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from service.scripted import without_deprecation_warning

IMAGE_SHAPE = (3, 16, 16)
LATENT_DIM = 5


class ConvVAE(nn.Module):
    """A convolutional VAE that ends in a sigmoid; encode gives a list."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(), nn.Flatten()
        )
        self.fc_mu = nn.Linear(8 * 8 * 8, LATENT_DIM)
        self.fc_var = nn.Linear(8 * 8 * 8, LATENT_DIM)
        self.decoder_input = nn.Linear(LATENT_DIM, 8 * 8 * 8)
        self.decoder = nn.Sequential(nn.LeakyReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))
        for parameter in self.decoder.parameters():
            parameter.data.mul_(20)  # as strong as those of a trained network

    def encode(self, x: Tensor) -> list[Tensor]:
        hidden = self.encoder(x)
        return [self.fc_mu(hidden), self.fc_var(hidden)]

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(self.decoder_input(z).view(-1, 8, 8, 8)))

    def forward(self, x: Tensor) -> list[Tensor]:
        mu, log_var = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        return [self.decode(z), x, mu, log_var]


class TupleVAE(ConvVAE):
    """Gives a tuple."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(x)
        return self.fc_mu(hidden), self.fc_var(hidden)


class TanhVAE(ConvVAE):
    """Ends in a hyperbolic tangent."""

    def decode(self, z: Tensor) -> Tensor:
        return torch.tanh(self.decoder(self.decoder_input(z).view(-1, 8, 8, 8)))


class LinearVAE(ConvVAE):
    """Ends in nothing, as those that are trained with a squared error often do."""

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.decoder_input(z).view(-1, 8, 8, 8))


class LevelsVAE(ConvVAE):
    """Keeps this project's contract, but for what is beside the code."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(x.float() / 255)
        return self.fc_mu(hidden), self.fc_var(hidden)

    def decode(self, z: Tensor) -> Tensor:
        pixels = torch.sigmoid(self.decoder(self.decoder_input(z).view(-1, 8, 8, 8)))
        return (pixels * 255).round().to(torch.uint8)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)[0])


class RowVAE(nn.Module):
    """The VAE of PyTorch's examples: images of MNIST as rows of 784."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1 = nn.Linear(784, 40)
        self.fc21 = nn.Linear(40, 20)
        self.fc22 = nn.Linear(40, 20)
        self.fc3 = nn.Linear(20, 40)
        self.fc4 = nn.Linear(40, 784)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = functional.relu(self.fc1(x))
        return self.fc21(hidden), self.fc22(hidden)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.fc4(functional.relu(self.fc3(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x.view(-1, 784))
        return self.decode(mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)), mu, log_var


class MapVAE(nn.Module):
    """Latents are maps: (B, 2, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(3, 4, 4, 4)
        self.decoder = nn.ConvTranspose2d(2, 3, 4, 4)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        both = self.encoder(x)
        return both[:, :2], both[:, 2:]

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)[0])


class DeviationVAE(TupleVAE):
    """Gives a standard deviation where a log variance is expected."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(x)
        return self.fc_mu(hidden), functional.softplus(self.fc_var(hidden))


class ThreeVAE(ConvVAE):
    """Gives three tensors."""

    def encode(self, x: Tensor) -> list[Tensor]:
        hidden = self.encoder(x)
        return [self.fc_mu(hidden), self.fc_var(hidden), hidden]

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)[0])


class MomentsVAE(ConvVAE):
    """Gives one tensor."""

    def encode(self, x: Tensor) -> Tensor:
        return self.fc_mu(self.encoder(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class ConditionalVAE(ConvVAE):
    """Asks for a label too."""

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(self.decoder_input(z + label).view(-1, 8, 8, 8)))

    def forward(self, x: Tensor) -> Tensor:
        mu, log_var = self.encode(x)
        return self.decode(mu, log_var)


class NameVAE(ConvVAE):
    """Has methods of other names."""

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


class NoisyVAE(ConvVAE):
    """Answers otherwise each time, as what was exported while it was trained may."""

    def decode(self, z: Tensor) -> Tensor:
        hidden = functional.dropout(self.decoder_input(z), 0.5, training=True)
        return torch.sigmoid(self.decoder(hidden.view(-1, 8, 8, 8)))


class CrowdVAE(ConvVAE):
    """A row's answer depends on the others."""

    def decode(self, z: Tensor) -> Tensor:
        z = (z - z.mean(0)) / (z.std(0, unbiased=False) + 1e-5)
        return torch.sigmoid(self.decoder(self.decoder_input(z).view(-1, 8, 8, 8)))


class PairVAE(ConvVAE):
    """Takes even numbers of rows only, as what was traced with a fixed size may."""

    def decode(self, z: Tensor) -> Tensor:
        pairs = self.decoder_input(z).view(-1, 2, 8 * 8 * 8)
        return torch.sigmoid(self.decoder(pairs.flatten(0, 1).view(-1, 8, 8, 8)))


class SingleVAE(ConvVAE):
    """Takes one row only, as what was traced with one may."""

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(self.decoder_input(z).view(1, 8, 8, 8)))


class NaNVAE(ConvVAE):
    """Decodes to what is no number."""

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(self.decoder_input(z).view(-1, 8, 8, 8))) + float("nan")


class RaisingVAE(ConvVAE):
    """Raises an error of its own."""

    def decode(self, z: Tensor) -> Tensor:
        if z.size(1) > 1:
            raise ValueError("no latents today")
        return z


def scripted(vae: nn.Module) -> torch.jit.ScriptModule:
    """As torch.jit.script makes it."""
    with without_deprecation_warning():
        return torch.jit.script(vae.eval())


def traced(vae: nn.Module) -> torch.jit.ScriptModule:
    """As torch.jit.trace_module makes it."""
    inputs = {"encode": torch.zeros(2, *IMAGE_SHAPE), "decode": torch.zeros(2, LATENT_DIM)}
    with without_deprecation_warning():
        return torch.jit.trace_module(vae.eval(), inputs)


def write(module: torch.jit.ScriptModule, path: Path) -> Path:
    """The file that its `save` makes."""
    with without_deprecation_warning():
        torch.jit.save(module, path)
    return path
