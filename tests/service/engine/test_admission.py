"""Places for items: what fits is admitted, what does not is refused at once and says when to come back."""

from contextlib import suppress

import pytest

from service.engine.admission import Admission
from service.errors import QueueFull
from service.metrics import Metrics
from tests.scrape import samples

PATIENT = 1e6


def make_admission(max_items: int = 8, *, backlog_seconds: float = 0.0) -> tuple[Admission, Metrics]:
    metrics = Metrics()
    return Admission(max_items, lambda: backlog_seconds, metrics), metrics


def num_admitted(metrics: Metrics) -> float:
    return samples(metrics.render())["vae_admitted_items"]


def test_what_fits_is_admitted_and_counted() -> None:
    admission, metrics = make_admission(8)
    with admission.places(5, timeout_seconds=PATIENT), admission.places(3, timeout_seconds=PATIENT):
        assert num_admitted(metrics) == 8
    assert num_admitted(metrics) == 0


def test_what_does_not_fit_is_refused_and_told_how_long_the_backlog_takes() -> None:
    admission, metrics = make_admission(8, backlog_seconds=2.5)
    with admission.places(6, timeout_seconds=PATIENT):
        message = "6 of 8 places are taken, 3 more were asked for"
        with pytest.raises(QueueFull, match=message) as caught, admission.places(3, timeout_seconds=PATIENT):
            pass
        assert caught.value.retry_after_seconds == 2.5
        assert num_admitted(metrics) == 6
        with admission.places(2, timeout_seconds=PATIENT):
            assert num_admitted(metrics) == 8


def test_a_place_is_free_again_whatever_became_of_the_request() -> None:
    admission, metrics = make_admission(1)
    for _ in range(3):
        with suppress(ValueError), admission.places(1, timeout_seconds=PATIENT):
            raise ValueError
    assert num_admitted(metrics) == 0


def test_a_request_larger_than_all_places_is_admitted_alone() -> None:
    admission, _ = make_admission(2)
    with admission.places(3, timeout_seconds=PATIENT):
        assert admission.refusal(1, timeout_seconds=PATIENT) is not None


def test_a_deadline_that_the_backlog_rules_out_is_refused_at_once() -> None:
    admission, _ = make_admission(backlog_seconds=3.0)
    with admission.places(1, timeout_seconds=PATIENT):
        refusal = admission.refusal(1, timeout_seconds=2.9)
        assert refusal is not None
        assert "deadline cannot be met: the queue holds 3.000 s" in refusal.message
        assert refusal.retry_after_seconds == 3.0
        assert admission.refusal(1, timeout_seconds=3.1) is None
