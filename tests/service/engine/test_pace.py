"""What a backlog is said to take, and what it does take; batches take what a hand-moved clock says."""

import heapq
import itertools

import pytest

from service.engine.batcher import Batcher
from service.engine.jobs import Batch
from service.engine.pace import WEIGHT, Pace
from service.vae.operations import Operation
from tests.service.engine.fakes import Clock, answers, make_batcher, make_job

LIMIT = 8
FULL = dict.fromkeys(Operation, LIMIT)
DECODE, ENCODE, RECONSTRUCT, SCORE = Operation
# A batch takes the first, and each of its items the second.
SECONDS = {DECODE: (0.1, 0.2), ENCODE: (0.1, 0.01), RECONSTRUCT: (0.2, 0.25), SCORE: (0.3, 0.6)}


def took(batch: Batch) -> float:
    first, each = SECONDS[batch.operation]
    return first + each * batch.num_items


def work_off(batcher: Batcher, clock: Clock, num_lanes: int) -> None:
    """Run everything that waits on so many lanes, and move the clock to when the last batch was back."""
    running: list[tuple[float, int, Batch]] = []
    numbers = itertools.count()
    while True:
        while len(running) < num_lanes and (batch := batcher.take(wait=False)) is not None:
            heapq.heappush(running, (clock.now + took(batch), next(numbers), batch))
        if not running:
            return
        clock.now, _, batch = heapq.heappop(running)
        batcher.finish(batch, answers(batch))
        batcher.pace.learn(batch.operation, batch.num_items, took(batch))


@pytest.mark.parametrize("num_lanes", [1, 2, 4])
@pytest.mark.parametrize(
    "backlog",
    [
        {DECODE: 200},
        {ENCODE: 200},
        {DECODE: 64, ENCODE: 320},
        {DECODE: 64, ENCODE: 64, RECONSTRUCT: 64, SCORE: 32},
    ],
    ids=lambda backlog: " and ".join(backlog),
)
def test_a_backlog_takes_as_long_as_is_said(backlog: dict[Operation, int], num_lanes: int) -> None:
    clock = Clock()
    batcher = make_batcher(clock, limit=LIMIT, num_lanes=num_lanes)
    for operation in Operation:  # of each some work was done, of decoding ten times as much
        for _ in range(10 if operation is DECODE else 1):
            batcher.submit(make_job(LIMIT * num_lanes, operation=operation))
            work_off(batcher, clock, num_lanes)
    for operation, num_items in backlog.items():
        for _ in range(num_items // 4):
            batcher.submit(make_job(4, operation=operation, arrived=clock.now))
    promised, started = batcher.backlog_seconds(), clock.now
    work_off(batcher, clock, num_lanes)
    a_batch = max(first + each * LIMIT for first, each in SECONDS.values())
    assert clock.now - started == pytest.approx(promised, abs=a_batch)


def test_small_batches_do_not_make_it_seem_slower() -> None:
    pace = Pace(1, FULL, dict.fromkeys(Operation, 1.0))
    for _ in range(100):
        pace.learn(DECODE, LIMIT - 1, 1.0)
    assert pace.seconds({DECODE: 80}) == pytest.approx(10)


def test_what_was_measured_at_the_start_is_believed_until_batches_teach_otherwise() -> None:
    pace = Pace(2, FULL, {DECODE: 1.0})
    assert pace.seconds({DECODE: 80}) == pytest.approx(5)
    pace.learn(DECODE, LIMIT, 2.0)
    assert pace.seconds({DECODE: 80}) == pytest.approx(80 / (16 - WEIGHT * 8))
    for _ in range(200):
        pace.learn(DECODE, LIMIT, 2.0)
    assert pace.seconds({DECODE: 80}) == pytest.approx(10)


def test_what_is_not_known_counts_nothing() -> None:
    assert Pace(1, FULL).seconds({DECODE: 80}) == 0


def test_batches_that_are_as_large_as_they_still_may_be_teach() -> None:
    pace = Pace(1, FULL, {DECODE: 1.0})
    pace.shrink(DECODE, 2)
    for _ in range(200):
        pace.learn(DECODE, 2, 1.0)
    assert pace.seconds({DECODE: 80}) == pytest.approx(40)
