"""Half a minute of every kind of request: nothing is answered wrongly, nothing is kept, every count adds up.

`python -m tests.benchmarks.soak --minutes 10` is the long form, which bounds the growth of memory closely.
"""

import pytest
import uvloop

from tests.benchmarks.endurance import Endurance, endure
from tests.benchmarks.soak import KEY, kinds_for
from tests.live_server import LiveServer

SECONDS, WARM_UP_SECONDS = 30.0, 10.0
# What 600 requests would keep that leak 33 kB each.
MAX_GROWTH_BYTES = 20e6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endurance(request: pytest.FixtureRequest) -> Endurance:
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device, "--api-keys", KEY) as live:
        return uvloop.run(
            endure(
                live.url,
                live.pid,
                kinds_for(live.url, KEY),
                requests_per_second=30,
                seconds=SECONDS,
                warm_up_seconds=WARM_UP_SECONDS,
            )
        )


def test_every_answer_is_one_that_its_request_may_get_and_nothing_is_kept(endurance: Endurance) -> None:
    assert endurance.faults() == []


def test_memory_does_not_grow(endurance: Endurance) -> None:
    first, *_, last = endurance.warm
    assert last.rss_bytes - first.rss_bytes < MAX_GROWTH_BYTES
