"""When the watchdog looks, and what it makes of what it sees; seconds are moved by hand."""

import logging
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.watchdog import SLACK_SECONDS, Watchdog
from tests.service.engine.fakes import LONG_SECONDS

LIMIT = 10.0


class Batch:
    """A batch on the device, which tells for how long."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def make(batch: Batch, given_up: list[float]) -> Watchdog:
    return Watchdog(batch, limit_seconds=LIMIT, on_hang=given_up.append)


@pytest.mark.parametrize(
    ("seconds", "trouble", "next_look"),
    [(0, False, 10), (4, False, 6), (10, False, 0), (10.5, True, 9.5), (19, True, 1), (20, True, 0)],
)
def test_it_looks_again_when_the_next_limit_could_be_passed(
    seconds: float, trouble: bool, next_look: float
) -> None:
    batch, given_up = Batch(), []
    watchdog = make(batch, given_up)
    batch.seconds = seconds
    assert watchdog.look() == pytest.approx(next_look + SLACK_SECONDS)
    assert bool(watchdog.trouble) == trouble
    assert given_up == []


def test_trouble_says_for_how_long() -> None:
    batch = Batch()
    batch.seconds = 12.34
    assert "12.3 s" in make(batch, []).trouble


def test_above_twice_the_limit_the_device_is_given_up_once_and_not_looked_at_again() -> None:
    batch, given_up = Batch(), []
    watchdog = make(batch, given_up)
    batch.seconds = 20.5
    assert watchdog.look() is None
    assert given_up == [20.5]


def test_trouble_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    batch = Batch()
    watchdog = make(batch, [])
    with caplog.at_level(logging.WARNING):
        for batch.seconds in (4, 11, 15, 1, 2):
            watchdog.look()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


@settings(deadline=None)
@given(launches=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 19)), max_size=5), pause=st.floats(0, 50))
def test_a_batch_that_never_comes_back_is_given_up_at_twice_the_limit(
    launches: list[tuple[float, float]], pause: float
) -> None:
    """Batches that do come back, each after a pause, and then one that does not."""
    now, spans = 0.0, []
    for idle, took in launches:
        spans.append((now + idle, now + idle + took))
        now += idle + took
    hung = now + pause
    looked = 0.0

    def busy_seconds() -> float:
        since = [start for start, end in [*spans, (hung, float("inf"))] if start <= looked < end]
        return looked - since[0] if since else 0.0

    given_up: list[float] = []
    watchdog = Watchdog(busy_seconds, limit_seconds=LIMIT, on_hang=given_up.append)
    looked = LIMIT
    while (wait := watchdog.look()) is not None:
        looked += wait
    assert 2 * LIMIT < looked - hung <= 2 * LIMIT + 2 * SLACK_SECONDS


def test_it_looks_by_itself() -> None:
    batch, given_up = Batch(), threading.Event()
    batch.seconds = 1
    watchdog = Watchdog(batch, limit_seconds=0.01, on_hang=lambda _: given_up.set())
    assert not given_up.is_set()
    watchdog.start()
    assert given_up.wait(LONG_SECONDS)


def test_it_looks_no_more_when_it_is_stopped() -> None:
    before = set(threading.enumerate())
    watchdog = Watchdog(Batch(), limit_seconds=1000, on_hang=lambda _: None)
    watchdog.start()
    (thread,) = set(threading.enumerate()) - before
    watchdog.stop()
    thread.join(LONG_SECONDS)
    assert not thread.is_alive()
