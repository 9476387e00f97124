"""The queue's promises, with a clock that is moved by hand and no device."""

import threading
from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.batcher import Batcher
from service.engine.jobs import Batch, Job, Result
from service.engine.line import OLDEST_SHARE
from service.engine.steps import Task
from service.errors import DeadlineExceeded, InferenceFailed, NotReady
from service.metrics import Metrics
from service.vae.operations import Operation
from tests.scrape import samples
from tests.service.engine.fakes import Clock, ClosedLoop, Recorder, answers, items_of, make_batcher, make_job

JOIN_SECONDS = 30


def submit(batcher: Batcher, jobs: Iterable[Job]) -> None:
    for job in jobs:
        batcher.submit(job)


def take(batcher: Batcher) -> Batch:
    batch = batcher.take(wait=False)
    assert batch is not None
    return batch


def work_off(batcher: Batcher) -> list[Batch]:
    """Take and finish until nothing waits."""
    batches = []
    while (batch := batcher.take(wait=False)) is not None:
        batcher.finish(batch, answers(batch))
        batches.append(batch)
    return batches


def assert_answered(job: Job) -> None:
    result = job.future.outcome
    assert isinstance(result, Result)
    doubled, negated = result.outputs
    np.testing.assert_array_equal(doubled, 2 * job.inputs)
    np.testing.assert_array_equal(negated, -job.inputs)


def test_a_batch_leaves_at_once_with_whatever_waits() -> None:
    batcher, job = make_batcher(limit=8), make_job(3)
    batcher.submit(job)
    assert take(batcher).num_items == 3
    assert batcher.num_queued == 0


def test_without_work_there_is_no_batch() -> None:
    assert make_batcher().take(wait=False) is None


def test_jobs_that_wait_together_share_a_batch() -> None:
    batcher, jobs = make_batcher(limit=8), [make_job(1, first=10 * index) for index in range(5)]
    submit(batcher, jobs)
    batch = take(batcher)
    assert [piece.job for piece in batch.slices] == jobs
    batcher.finish(batch, answers(batch))
    for job in jobs:
        assert_answered(job)


def test_a_batch_is_never_larger_than_its_limit() -> None:
    batcher = make_batcher(limit=8)
    submit(batcher, [make_job(5) for _ in range(5)])
    assert [batch.num_items for batch in work_off(batcher)] == [8, 8, 8, 1]


def test_a_batch_holds_one_operation_and_the_oldest_job_chooses_it() -> None:
    batcher = make_batcher()
    encode = make_job(1, operation=Operation.ENCODE, arrived=1)
    decode = make_job(1, operation=Operation.DECODE, arrived=2)
    late_encode = make_job(1, operation=Operation.ENCODE, arrived=3)
    submit(batcher, [encode, decode, late_encode])
    first, second = work_off(batcher)
    assert [piece.job for piece in first.slices] == [encode, late_encode]
    assert [piece.job for piece in second.slices] == [decode]


@pytest.mark.parametrize("num_items", [1, 8, 9, 64])
def test_a_split_job_is_joined_again_in_order(num_items: int) -> None:
    batcher, job = make_batcher(limit=8), make_job(num_items, first=7)
    batcher.submit(job)
    assert len(work_off(batcher)) == -(-num_items // 8)
    assert_answered(job)


def test_a_split_job_is_joined_in_order_though_its_batches_end_in_another() -> None:
    batcher, job = make_batcher(limit=4, num_lanes=3), make_job(12)
    batcher.submit(job)
    batches = [take(batcher) for _ in range(3)]
    for batch in (batches[2], batches[0], batches[1]):
        assert job.future.outcomes == []
        batcher.finish(batch, answers(batch))
    assert_answered(job)


def test_one_image_goes_with_the_next_batch_beside_a_job_of_64() -> None:
    batcher, large, small = make_batcher(limit=8), make_job(64), make_job(1, arrived=101)
    batcher.submit(large)
    first = take(batcher)
    batcher.submit(small)
    batcher.finish(first, answers(first))
    second = take(batcher)
    assert items_of(second, small) == [0]
    assert second.num_items == 8


def test_small_jobs_overtake_but_the_oldest_always_gets_its_share() -> None:
    limit = 8
    batcher, large = make_batcher(limit=limit), make_job(64)
    batcher.submit(large)
    rounds = 0
    while not large.future.outcomes:
        rounds += 1
        submit(batcher, [make_job(1, arrived=100 + rounds) for _ in range(limit)])
        batch = take(batcher)
        assert len(items_of(batch, large)) >= limit * OLDEST_SHARE
        batcher.finish(batch, answers(batch))
    assert rounds == 64 / (limit * OLDEST_SHARE)


def test_idle_lanes_share_one_request() -> None:
    batcher, job = make_batcher(limit=8, num_lanes=4), make_job(8)
    batcher.submit(job)
    assert [take(batcher).num_items for _ in range(4)] == [2, 2, 2, 2]


def test_what_is_too_small_to_be_worth_it_is_not_shared() -> None:
    batcher = make_batcher(limit=8, num_lanes=4, min_share=3)
    batcher.submit(make_job(8))
    assert [take(batcher).num_items for _ in range(3)] == [3, 3, 2]


def test_a_busy_lane_gets_no_share() -> None:
    batcher = make_batcher(limit=8, num_lanes=2)
    batcher.submit(make_job(1))
    take(batcher)
    batcher.submit(make_job(6))
    assert take(batcher).num_items == 6


@pytest.mark.parametrize("ends", ["finish", "fail", "release"])
def test_a_lane_that_is_done_with_its_batch_shares_again(ends: str) -> None:
    batcher = make_batcher(limit=8, num_lanes=2)
    batcher.submit(make_job(1))
    batch = take(batcher)
    if ends == "finish":
        batcher.finish(batch, answers(batch))
    elif ends == "fail":
        batcher.fail(batch, ValueError("broken"))
    else:
        batcher.release(batch)
    batcher.submit(make_job(6))
    assert take(batcher).num_items == 3


def test_the_backlog_takes_what_its_items_take_at_the_pace_of_their_operation() -> None:
    batcher = make_batcher(limit=4)
    batcher.submit(make_job(20))
    assert batcher.backlog_seconds() == 0  # nothing is known yet
    batcher.pace.learn(Operation.DECODE, 4, 1.0)
    batcher.pace.learn(Operation.ENCODE, 4, 0.5)
    batcher.submit(make_job(16, operation=Operation.ENCODE))
    assert batcher.backlog_seconds() == pytest.approx(20 / 4 + 16 / 8)
    take(batcher)
    assert batcher.backlog_seconds() == pytest.approx(16 / 4 + 16 / 8)


def test_a_withdrawn_job_gives_up_what_waits_of_it() -> None:
    metrics = Metrics()
    batcher, job, other = make_batcher(limit=4, metrics=metrics), make_job(8), make_job(2, first=50)
    batcher.submit(job)
    taken = take(batcher)
    batcher.submit(other)
    job.future.cancel()
    batcher.withdraw(job)
    assert batcher.num_queued == 2
    batcher.withdraw(job)  # a second time, nothing is left
    batcher.finish(taken, answers(taken))
    assert [piece.job for piece in take(batcher).slices] == [other]
    assert samples(metrics.render())['vae_cancelled_total{stage="running"}'] == 1


def test_a_job_whose_deadline_passed_never_reaches_the_device() -> None:
    clock = Clock()
    batcher = make_batcher(clock)
    late, punctual = make_job(2, deadline=105.0), make_job(1, deadline=106.0)
    submit(batcher, [late, punctual])
    clock.now = 105.5
    (batch,) = work_off(batcher)
    assert [piece.job for piece in batch.slices] == [punctual]
    assert isinstance(late.future.outcome, DeadlineExceeded)
    assert "5.500 s" in str(late.future.outcome)
    assert batcher.num_queued == 0


def test_a_deadline_that_is_just_reached_is_still_met() -> None:
    clock = Clock()
    batcher, job = make_batcher(clock), make_job(1, deadline=105.0)
    batcher.submit(job)
    clock.now = 105.0
    work_off(batcher)
    assert_answered(job)


def test_a_cancelled_job_does_not_shift_its_neighbours() -> None:
    metrics = Metrics()
    batcher = make_batcher(metrics=metrics)
    before, cancelled, after = (make_job(2, first=10 * index) for index in range(3))
    submit(batcher, [before, cancelled, after])
    cancelled.future.cancel()
    (batch,) = work_off(batcher)
    assert [piece.job for piece in batch.slices] == [before, after]
    assert_answered(before)
    assert_answered(after)
    assert cancelled.future.outcomes == []
    assert samples(metrics.render())['vae_cancelled_total{stage="queued"}'] == 1


def test_a_job_cancelled_in_a_batch_does_not_shift_its_neighbours() -> None:
    metrics = Metrics()
    batcher = make_batcher(metrics=metrics)
    before, cancelled, after = (make_job(2, first=10 * index) for index in range(3))
    submit(batcher, [before, cancelled, after])
    batch = take(batcher)
    cancelled.future.cancel()
    batcher.finish(batch, answers(batch))
    assert_answered(before)
    assert_answered(after)
    assert cancelled.future.outcomes == []
    found = samples(metrics.render())
    assert found['vae_cancelled_total{stage="running"}'] == 1
    assert found['vae_cancelled_total{stage="queued"}'] == 0


def test_what_waits_of_a_cancelled_job_is_dropped() -> None:
    batcher, job = make_batcher(limit=4), make_job(12)
    batcher.submit(job)
    first = take(batcher)
    job.future.cancel()
    assert batcher.take(wait=False) is None
    assert batcher.num_queued == 0
    batcher.finish(first, answers(first))
    assert job.future.outcomes == []


def test_a_failed_batch_fails_each_of_its_jobs_and_no_other() -> None:
    batcher = make_batcher(limit=4)
    inside, outside = [make_job(2), make_job(2)], make_job(3, arrived=101)
    submit(batcher, [*inside, outside])
    batch = take(batcher)
    error = ValueError("broken")
    batcher.fail(batch, error)
    failures = [job.future.outcome for job in inside]
    assert [type(failure) for failure in failures] == [InferenceFailed, InferenceFailed]
    assert [failure.__cause__ for failure in failures] == [error, error]
    assert failures[0] is not failures[1]
    work_off(batcher)
    assert_answered(outside)


def test_a_split_job_fails_once_though_its_other_batches_succeed() -> None:
    batcher, job = make_batcher(limit=4, num_lanes=2), make_job(12)
    batcher.submit(job)
    first, second = take(batcher), take(batcher)
    error = ValueError("broken")
    batcher.fail(first, error)
    batcher.finish(second, answers(second))
    assert batcher.take(wait=False) is None
    assert batcher.num_queued == 0
    assert job.future.outcome.__cause__ is error


def test_a_closed_batcher_admits_nothing_and_serves_what_waits() -> None:
    batcher, job = make_batcher(), make_job(3)
    batcher.submit(job)
    batcher.close("over")
    with pytest.raises(NotReady, match="over"):
        batcher.submit(make_job(1))
    work_off(batcher)
    assert_answered(job)
    assert batcher.take() is None


def test_aborting_answers_what_waits_and_what_was_taken_and_admits_nothing() -> None:
    batcher = make_batcher(limit=4)
    split, waiting = make_job(6), make_job(2, operation=Operation.ENCODE, arrived=101)
    submit(batcher, [split, waiting])
    batch = take(batcher)
    batcher.abort("the device is gone")
    for job in (split, waiting):
        assert isinstance(job.future.outcome, NotReady)
        assert "the device is gone" in str(job.future.outcome)
    assert split.future.outcome is not waiting.future.outcome
    assert batcher.num_queued == 0
    with pytest.raises(NotReady, match="the device is gone"):
        batcher.submit(make_job(1))
    batcher.finish(batch, answers(batch))
    assert isinstance(split.future.outcome, NotReady)
    assert batcher.take() is None


def test_of_an_abort_those_that_are_blamed_are_told_the_cause_and_the_others_are_not() -> None:
    batcher, error = make_batcher(limit=2, num_lanes=2), ValueError("broken")
    blamed, other, waiting = make_job(3), make_job(2, arrived=101), make_job(1, arrived=102)
    submit(batcher, [blamed])
    fatal = take(batcher)
    submit(batcher, [other, waiting])
    batch = take(batcher)
    batcher.abort("the device is gone", blamed=[fatal], cause=error)
    assert isinstance(blamed.future.outcome, InferenceFailed)
    assert blamed.future.outcome.__cause__ is error
    batcher.finish(batch, answers(batch))
    assert [type(job.future.outcome) for job in (other, waiting)] == [NotReady, NotReady]


def test_what_was_finished_is_no_part_of_an_abort() -> None:
    batcher, job = make_batcher(), make_job(2)
    batcher.submit(job)
    work_off(batcher)
    batcher.abort("the device is gone")
    assert_answered(job)


def test_an_event_loop_that_has_ended_stops_nobody() -> None:
    batcher = make_batcher()
    gone, here = make_job(1, loop=ClosedLoop()), make_job(1, first=5)
    submit(batcher, [gone, here])
    work_off(batcher)
    assert_answered(here)


def test_waiting_threads_are_woken_by_work_and_by_closing() -> None:
    batcher = make_batcher(limit=8, num_lanes=2)
    jobs = [make_job(4, first=10 * index) for index in range(10)]

    def work() -> None:
        while (batch := batcher.take()) is not None:
            batcher.finish(batch, answers(batch))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    submit(batcher, jobs)
    batcher.close("over")
    for thread in threads:
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive()
    for job in jobs:
        assert_answered(job)


def test_a_result_says_how_long_it_waited_and_how_long_it_was_computed() -> None:
    clock = Clock()
    batcher, job = make_batcher(clock, limit=4), make_job(8, arrived=100.0)
    batcher.submit(job)
    clock.now = 103.0
    first = take(batcher)
    clock.now = 104.0
    batcher.finish(first, answers(first))
    second = take(batcher)
    clock.now = 108.0
    batcher.finish(second, answers(second))
    result = job.future.outcome
    assert (result.queue_seconds, result.device_seconds) == (3.0, 5.0)


def test_the_metrics_show_what_waits_and_how_long_it_waited() -> None:
    clock, metrics = Clock(), Metrics()
    batcher = make_batcher(clock, limit=4, metrics=metrics)
    batcher.submit(make_job(6, arrived=100.0))
    assert samples(metrics.render())["vae_queued_items"] == 6
    clock.now = 102.0
    take(batcher)
    found = samples(metrics.render())
    assert found["vae_queued_items"] == 2
    assert found["vae_queue_seconds_count"] == 1
    assert found["vae_queue_seconds_sum"] == 2.0


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    limit=st.integers(1, 16),
    num_lanes=st.integers(1, 4),
)
def test_every_item_is_computed_exactly_once(sizes: list[int], limit: int, num_lanes: int) -> None:
    batcher = make_batcher(limit=limit, num_lanes=num_lanes)
    jobs = [make_job(size, first=100 * index, arrived=100.0 + index) for index, size in enumerate(sizes)]
    submit(batcher, jobs)
    batches = work_off(batcher)
    assert all(1 <= batch.num_items <= limit for batch in batches)
    for job in jobs:
        items = [index for batch in batches for index in items_of(batch, job)]
        assert items == list(range(job.num_items))
        assert_answered(job)


def test_halves_cut_a_slice_in_the_middle_and_keep_the_order() -> None:
    batcher, first, second = make_batcher(limit=8), make_job(2), make_job(5, first=10)
    submit(batcher, [first, second])
    batch = take(batcher)
    left, right = batch.halves()
    assert (left.num_items, right.num_items) == (3, 4)
    rows = np.concatenate(left.parts + right.parts)
    np.testing.assert_array_equal(rows, np.concatenate(batch.parts))
    for half in (right, left):
        batcher.finish(half, answers(half))
    assert_answered(first)
    assert_answered(second)


def test_a_task_that_came_before_a_job_is_done_before_its_batch() -> None:
    batcher, seen = make_batcher(), Recorder()
    batcher.put(seen.task(1, arrived=1))
    submit(batcher, [make_job(1, arrived=2)])
    batcher.put(seen.task(3, arrived=3))
    first, second, third = [batcher.take(wait=False) for _ in range(3)]
    assert isinstance(first, Task)
    assert isinstance(second, Batch)
    assert isinstance(third, Task)
    first.run()
    third.run()
    assert seen.done == [1, 3]
    assert batcher.take(wait=False) is None


def test_jobs_whose_inputs_are_made_meanwhile_share_a_batch() -> None:
    clock = Clock()
    batcher, made = make_batcher(clock), []

    def make(number: int) -> None:
        clock.now += 1
        made.append(make_job(1, first=number, arrived=clock.now))
        batcher.submit(made[-1])

    seen = Recorder()
    for number in range(4):
        batcher.put(seen.task(number, arrived=clock.now, first=partial(make, number)))
    work = [batcher.take(wait=False)]
    while isinstance(work[-1], Task):
        work[-1].run()
        work.append(batcher.take(wait=False))
    assert [piece.job for piece in work[-1].slices] == made
    assert len(made) == 4


def test_a_task_is_given_out_though_every_job_before_it_is_gone() -> None:
    batcher, seen, job = make_batcher(), Recorder(), make_job(1, arrived=1)
    batcher.submit(job)
    batcher.put(seen.task(2, arrived=2))
    job.future.cancel()
    assert isinstance(batcher.take(wait=False), Task)


def test_a_thread_that_sleeps_wakes_for_a_task() -> None:
    batcher, seen = make_batcher(), Recorder()
    taken: list[object] = []
    sleeper = threading.Thread(target=lambda: taken.append(batcher.take()))
    sleeper.start()
    batcher.put(seen.task(1))
    sleeper.join(JOIN_SECONDS)
    assert isinstance(taken[0], Task)


def test_a_closed_batcher_still_gives_out_its_tasks_and_refuses_new_ones() -> None:
    batcher, seen = make_batcher(), Recorder()
    batcher.put(seen.task(1))
    batcher.close("over")
    batcher.put(seen.task(2))
    assert isinstance(batcher.take(), Task)
    assert batcher.take() is None
    (refused,) = seen.refused
    assert str(refused) == "over"


def test_aborting_refuses_the_tasks_that_wait() -> None:
    batcher, seen = make_batcher(), Recorder()
    for number in range(3):
        batcher.put(seen.task(number))
    batcher.abort("gone")
    assert [str(error) for error in seen.refused] == ["gone"] * 3
    assert batcher.take() is None
