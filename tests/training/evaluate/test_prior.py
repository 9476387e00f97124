import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from service.prior import Mixture
from training.evaluate.prior import Prior

CPU = torch.device("cpu")
WEIGHTS = torch.tensor([0.2, 0.8])
MEANS = torch.tensor([[4.0, -3.0, 0.0], [0.0, 1.0, 2.0]])
FACTORS = torch.tensor(
    [
        [[0.5, 0.0, 0.0], [0.3, 0.2, 0.0], [-0.1, 0.4, 0.6]],
        [[1.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.9, 0.0, 0.3]],
    ]
)


FITTED = Prior(3, Mixture(WEIGHTS.numpy(), MEANS.numpy(), FACTORS.numpy()))


def test_the_density_of_the_mixture_is_that_of_torch_distributions() -> None:
    mixture = MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(MEANS, scale_tril=FACTORS))
    z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    density = FITTED.log_density(z)
    torch.testing.assert_close(density.float(), mixture.log_prob(z))


def test_the_density_of_the_standard_normal_is_that_of_torch_distributions() -> None:
    z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    expected = MultivariateNormal(torch.zeros(3), torch.eye(3)).log_prob(z)
    torch.testing.assert_close(Prior(3).log_density(z).float(), expected)


def test_what_is_drawn_has_the_moments_of_the_mixture() -> None:
    z = FITTED.draw(200_000, seed=0, device=CPU)
    mixture = MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(MEANS, scale_tril=FACTORS))
    torch.testing.assert_close(z.mean(dim=0), mixture.mean, atol=0.02, rtol=0)
    inner = (FACTORS @ FACTORS.mT + MEANS[:, :, None] * MEANS[:, None]) * WEIGHTS[:, None, None]
    covariance = inner.sum(dim=0) - torch.outer(mixture.mean, mixture.mean)
    torch.testing.assert_close(torch.cov(z.T), covariance, atol=0.05, rtol=0)


def test_the_same_seed_draws_the_same_latents() -> None:
    for prior in (Prior(3), FITTED):
        assert torch.equal(prior.draw(9, seed=4, device=CPU), prior.draw(9, seed=4, device=CPU))
        assert not torch.equal(prior.draw(9, seed=4, device=CPU), prior.draw(9, seed=5, device=CPU))
