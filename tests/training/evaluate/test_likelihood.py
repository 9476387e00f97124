import pytest
import torch
from torch.distributions import Independent, Normal

from tests import tiny_vae
from training.errors import NotComputable
from training.evaluate.likelihood import likelihood_from
from training.likelihoods import BernoulliLikelihood, DiscretizedLogisticLikelihood, GaussianLikelihood


@pytest.mark.parametrize(
    "changes", [{"likelihood_scale": 0.2}, {"likelihood_scale": None, "quality": {"sigma": 0.2}}]
)
def test_a_gaussian_has_the_scale_of_the_metadata_or_the_sigma_of_older_ones(
    changes: dict[str, object],
) -> None:
    images, logits = torch.rand(3, 3, 8, 8), torch.randn(3, 3, 8, 8)
    likelihood = likelihood_from(tiny_vae.metadata(**changes), has_logits=True)
    expected = -Independent(Normal(torch.sigmoid(logits), 0.2), 3).log_prob(images)
    assert isinstance(likelihood, GaussianLikelihood)
    torch.testing.assert_close(likelihood(images, logits), expected)


def test_the_others_are_what_the_metadata_name() -> None:
    bernoulli = tiny_vae.metadata(likelihood="bernoulli")
    logistic = tiny_vae.metadata(likelihood="discretized_logistic", likelihood_scale=0.05)
    assert isinstance(likelihood_from(bernoulli, has_logits=True), BernoulliLikelihood)
    found = likelihood_from(logistic, has_logits=False)
    assert isinstance(found, DiscretizedLogisticLikelihood)
    assert found.scale() == pytest.approx(0.05)


def test_a_likelihood_without_a_scale_is_refused() -> None:
    with pytest.raises(NotComputable, match="no likelihood_scale of its gaussian likelihood"):
        likelihood_from(tiny_vae.metadata(likelihood_scale=None), has_logits=True)


def test_a_bernoulli_likelihood_of_decoded_pixels_is_refused_with_the_reason() -> None:
    with pytest.raises(NotComputable, match=r"no decode_logits.*infinite"):
        likelihood_from(tiny_vae.metadata(likelihood="bernoulli"), has_logits=False)
