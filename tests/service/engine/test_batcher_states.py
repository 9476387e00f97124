"""The batcher driven through any order of events: each future is resolved once, with its own rows."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.engine.jobs import Batch, Job, Result
from service.errors import DeadlineExceeded, InferenceFailed, NotReady
from service.vae.operations import Operation
from tests.service.engine.fakes import Clock, answers, make_batcher, make_job

LIMIT = 4
NUM_LANES = 2
ENDLESS = 1e6


class BatcherStates(RuleBasedStateMachine):
    """Submits, takes, finishes, fails, cancels, waits and closes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.batcher = make_batcher(self.clock, limit=LIMIT, num_lanes=NUM_LANES)
        self.jobs: list[Job] = []
        self.running: list[Batch] = []
        self.is_closed = False
        self.is_aborted = False

    @rule(
        num_items=st.integers(1, 10),
        operation=st.sampled_from(Operation),
        patience=st.sampled_from([0.5, 5.0, ENDLESS]),
    )
    def submit(self, num_items: int, operation: Operation, patience: float) -> None:
        now = self.clock.now
        job = make_job(
            num_items,
            first=100 * len(self.jobs),
            operation=operation,
            arrived=now,
            deadline=now + patience,
        )
        try:
            self.batcher.submit(job)
        except NotReady:
            assert self.is_closed
        else:
            assert not self.is_closed
            self.jobs.append(job)

    @precondition(lambda self: len(self.running) < NUM_LANES)
    @rule()
    def take(self) -> None:
        batch = self.batcher.take(wait=False)
        if batch is None:
            assert self.batcher.num_queued == 0
            return
        assert 1 <= batch.num_items <= LIMIT
        for piece in batch.slices:
            assert piece.job.operation is batch.operation
            assert not piece.job.future.is_cancelled
            assert piece.job.deadline_seconds >= self.clock.now
        self.running.append(batch)

    @precondition(lambda self: self.running)
    @rule(place=st.integers(0, NUM_LANES - 1))
    def finish(self, place: int) -> None:
        batch = self.running.pop(place % len(self.running))
        self.batcher.finish(batch, answers(batch))

    @precondition(lambda self: self.running)
    @rule(place=st.integers(0, NUM_LANES - 1))
    def fail(self, place: int) -> None:
        self.batcher.fail(self.running.pop(place % len(self.running)), InferenceFailed("broken"))

    @precondition(lambda self: self.jobs)
    @rule(place=st.integers(0, 1000), is_told=st.booleans())
    def cancel(self, place: int, is_told: bool) -> None:
        job = self.jobs[place % len(self.jobs)]
        if not job.future.done():
            job.future.cancel()
        if is_told and job.future.done():
            self.batcher.withdraw(job)
            assert job.num_waiting == 0

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def close(self) -> None:
        self.is_closed = True
        self.batcher.close("over")

    @precondition(lambda self: not self.is_aborted)
    @rule(blames=st.booleans())
    def abort(self, blames: bool) -> None:
        self.is_closed = self.is_aborted = True
        blamed = self.running[:1] if blames else []
        self.batcher.abort("gone", blamed=blamed, cause=ValueError("broken"))
        assert self.batcher.num_queued == 0
        assert all(job.future.done() for job in self.jobs)

    @invariant()
    def what_waits_is_counted(self) -> None:
        assert self.batcher.num_queued == sum(job.num_waiting for job in self.jobs)

    @invariant()
    def no_future_is_resolved_twice(self) -> None:
        for job in self.jobs:
            assert len(job.future.outcomes) + job.future.is_cancelled <= 1

    def teardown(self) -> None:
        while self.running:
            self.finish(0)
        while (batch := self.batcher.take(wait=False)) is not None:
            self.batcher.finish(batch, answers(batch))
        for job in self.jobs:
            if not job.future.is_cancelled:
                self.check(job)

    def check(self, job: Job) -> None:
        outcome = job.future.outcome
        if isinstance(outcome, Result):
            np.testing.assert_array_equal(outcome.outputs[0], 2 * job.inputs)
        else:
            assert isinstance(outcome, InferenceFailed | DeadlineExceeded | NotReady)


TestBatcherStates = BatcherStates.TestCase
TestBatcherStates.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
