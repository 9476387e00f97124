import pytest
import torch
from torch import Tensor

from tests.training.evaluate.linear_gaussian import GaussianAroundLogits, LinearGaussian, drawn_images
from training.evaluate.importance import ImportanceSampler
from training.evaluate.posterior import encode_images

NUM_IMAGES = 12


def estimated(model: LinearGaussian, *, num_samples: int, indices: list[int] | None = None) -> Tensor:
    images = drawn_images(NUM_IMAGES)
    sampler = ImportanceSampler(model, GaussianAroundLogits(), num_samples=num_samples, seed=0)
    nll = torch.full((NUM_IMAGES,), torch.nan, dtype=torch.float64)
    posterior = encode_images(model, images, seed=0)
    for block, values in sampler.estimates(images, posterior, indices=indices or range(NUM_IMAGES)):
        nll[block] = values
    return nll


def test_with_the_exact_posterior_one_sample_is_the_log_likelihood() -> None:
    model = LinearGaussian()
    expected = -model.log_likelihood(drawn_images(NUM_IMAGES))
    torch.testing.assert_close(estimated(model, num_samples=1), expected, atol=1e-3, rtol=0)


def test_with_another_posterior_many_samples_come_to_the_log_likelihood() -> None:
    model = LinearGaussian(inflation=2.5)
    expected = -model.log_likelihood(drawn_images(NUM_IMAGES))
    few, many = (estimated(model, num_samples=num) for num in (2, 20_000))
    torch.testing.assert_close(many, expected, atol=0.05, rtol=0)
    assert float((many - expected).abs().mean()) < 0.1 * float((few - expected).abs().mean())


def test_fewer_samples_give_a_looser_bound_on_average() -> None:
    model = LinearGaussian(inflation=2.5)
    means = [float(estimated(model, num_samples=num).mean()) for num in (1, 10, 1000)]
    expected = -float(model.log_likelihood(drawn_images(NUM_IMAGES)).mean())
    assert means[0] > means[1] > means[2] > expected - 0.05


def test_an_image_has_the_same_estimate_whatever_others_are_taken_with_it() -> None:
    model = LinearGaussian(inflation=2.5)
    everything = estimated(model, num_samples=3)
    some = estimated(model, num_samples=3, indices=[7, 2])
    torch.testing.assert_close(some[[7, 2]], everything[[7, 2]])
    assert int(some.isnan().sum()) == NUM_IMAGES - 2


def test_the_number_of_threads_is_as_before_even_where_it_was_stopped() -> None:
    before = torch.get_num_threads()
    model = LinearGaussian()
    images = drawn_images(NUM_IMAGES)
    sampler = ImportanceSampler(model, GaussianAroundLogits(), num_samples=10_000, seed=0)
    estimates = sampler.estimates(images, encode_images(model, images, seed=0), indices=range(NUM_IMAGES))
    next(estimates)
    estimates.close()
    assert torch.get_num_threads() == before
    with pytest.raises(StopIteration):
        next(estimates)
