"""Three times the capacity: what can be answered is, the rest is told so at once, and every count adds up.

The times that it takes are measured by `python -m tests.benchmarks.overload`; here they are only bounded.
"""

import pytest
import uvloop

from tests.benchmarks.excess import Overload, Plan, measure
from tests.live_server import LiveServer

PLAN = Plan(num_images=64, seconds=8.0, capacity_seconds=3.0)


@pytest.fixture(scope="module")
def overload(request: pytest.FixtureRequest) -> Overload:
    with LiveServer("--device", str(request.config.getoption("--device"))) as live:
        return uvloop.run(measure(live.url, PLAN))


def test_nothing_breaks_and_every_count_adds_up(overload: Overload) -> None:
    assert overload.faults() == []


def test_what_can_be_answered_is_answered(overload: Overload) -> None:
    # Who else used the machine under the load may have come after the first measurement.
    assert overload.load.goodput > 0.3 * min(overload.before.goodput, overload.after.goodput)


def test_refusals_are_told_at_once_and_probes_get_through(overload: Overload) -> None:
    assert overload.load.of(429).percentile(50) < overload.load.of(200).percentile(50)
    assert overload.load.of(429).percentile(99) < 2
    assert overload.probes.percentile(99) < 2


def test_a_client_that_is_refused_comes_back_after_whole_seconds(overload: Overload) -> None:
    assert all(int(str(outcome.retry_after)) >= 1 for outcome in overload.load.of(429).outcomes)
