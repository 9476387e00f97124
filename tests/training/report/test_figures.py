import pytest

from tests import tiny_vae
from training.report.evaluation import Evaluation
from training.report.figures import key_figures, measured_on, readable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (109.1311, "109.1"),
        (-4554.23, "\N{MINUS SIGN}4,554"),
        (0.0220123, "0.02201"),
        (0.0131, "0.01310"),
        (8.0, "8"),
        (-0.0, "0"),
        (123456.7, "123,457"),
        (0.00001234, "1.234e\N{MINUS SIGN}05"),
        (float("inf"), "inf"),
    ],
)
def test_a_figure_has_four_digits(value: float, text: str) -> None:
    assert readable(value) == text


def test_known_figures_come_first_each_with_its_unit_and_a_line() -> None:
    quality = {"other_thing": 1.5, "active_units": 3.0, "rate": 2.0, "elbo": -9.0, "num_test_images": 7.0}
    figures = key_figures(tiny_vae.metadata(quality=quality), None)
    assert [figure.label for figure in figures] == ["ELBO", "Rate", "Active units", "other thing"]
    assert [figure.unit for figure in figures] == ["nats an image", "nats an image", "of 4 latent units", ""]
    assert all(figure.text for figure in figures[:3])


def test_an_evaluation_counts_more_than_the_export() -> None:
    evaluation = Evaluation(
        figures={"mse": 0.25, "nll_iw5000": 80.5, "prior_gap_fitted": 1.5}, split="test", num_images=10_000
    )
    metadata = tiny_vae.metadata(quality={"mse": 0.5, "sigma": 0.125})
    figures = {figure.label: figure.value for figure in key_figures(metadata, evaluation)}
    assert figures == {
        "NLL, 5,000 samples": "80.50",
        "MSE": "0.2500",
        "Sigma": "0.1250",
        "Prior gap, fitted prior": "1.500",
    }
    assert "10,000 images of the test split" in measured_on(metadata, evaluation)


def test_figures_kept_in_the_metadata_say_what_they_were_measured_on() -> None:
    assert "7 images of the test split" in measured_on(
        tiny_vae.metadata(quality={"num_test_images": 7.0}), None
    )
    assert "validation images" in measured_on(tiny_vae.metadata(), None)
    assert "Nothing has been measured" in measured_on(tiny_vae.metadata(quality={}), None)
