"""Inputs that are still to be made: their steps run side by side, and the last one submits the job."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from service.engine.jobs import Job, resolve
from service.engine.steps import Step, Task
from service.vae.operations import Array


class Making:
    """The rows of one job in the making.

    Whatever a step raises is what the job's future gets, and the job is not submitted.

    Args:
        job: Without inputs so far.
        steps: Each gives some rows, in order.
        submit: Takes the job once it has its inputs; may raise, as a step.
        post: Passes a task on to a thread for its length.
    """

    def __init__(
        self,
        job: Job,
        steps: Sequence[Step],
        *,
        submit: Callable[[Job], None],
        post: Callable[[Task, bool], None],
    ) -> None:
        self._job = job
        self._steps = list(steps)
        self._submit = submit
        self._post = post
        self._rows: dict[int, Array] = {}
        self._num_made = 0
        self._changing = threading.Lock()

    def start(self, num_threads: int) -> None:
        """Pass the steps on, neighbours together, to so many threads."""
        indices = range(len(self._steps))
        size = -(-len(indices) // num_threads)
        for start in indices[::size]:
            self._pass_on(indices[start : start + size])

    def _pass_on(self, part: Sequence[int]) -> None:
        is_short = all(self._steps[index].is_short for index in part)
        self._post(Task(partial(self._make, part), self._fail), is_short)

    def _make(self, part: Sequence[int]) -> None:
        try:
            longer = [index for index in part if not self._is_made(index)]
            if longer:
                self._pass_on(longer)
            if self._is_last(len(part) - len(longer)):
                self._hand_on()
        except BaseException as error:
            self._fail(error)

    def _is_made(self, index: int) -> bool:
        """Do a step; whether it gave rows, and not a longer step."""
        if self._job.is_abandoned:
            return True
        made = self._steps[index].function()
        if isinstance(made, Step):
            self._steps[index] = made
            return False
        self._rows[index] = made
        return True

    def _is_last(self, num_made: int) -> bool:
        """Whether every step is done, which only the last thread is told."""
        with self._changing:
            self._num_made += num_made
            return num_made > 0 and self._num_made == len(self._steps)

    def _hand_on(self) -> None:
        job = self._job
        if job.is_abandoned:
            return
        rows = [self._rows[index] for index in range(len(self._steps))]
        job.inputs = rows[0] if len(rows) == 1 else np.concatenate(rows)
        now = time.perf_counter()
        job.prepare_seconds = now - job.arrived_seconds
        job.arrived_seconds = now
        self._submit(job)

    def _fail(self, error: BaseException) -> None:
        resolve([(self._job, error)])
