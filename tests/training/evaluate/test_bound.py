import math

import pytest
import torch
from torch import Tensor

from training.evaluate.bound import bits_per_dimension, distortions
from training.likelihoods import BernoulliLikelihood


class Coin:
    """Decodes every latent to pixels that are white with the probability sigmoid(z)."""

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def decode_logits(self, z: Tensor) -> Tensor:
        return z[:, :, None, None].expand(-1, 1, 4, 5)


def test_distortions_are_those_of_each_image_under_its_own_latent() -> None:
    images = torch.zeros(300, 1, 4, 5, dtype=torch.uint8)
    images[:, 0, 0, 0] = 255
    probability = torch.linspace(0.1, 0.9, 300)
    found = distortions(Coin(), BernoulliLikelihood().eval(), images, z=torch.logit(probability)[:, None])
    torch.testing.assert_close(found, -(probability.log() + 19 * (1 - probability).log()))


def test_pixels_that_are_all_as_likely_take_as_many_bits_as_they_have() -> None:
    assert bits_per_dimension(100 * math.log(256), 100) == pytest.approx(8)
