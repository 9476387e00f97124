"""What a request needs beside the network: steps that make its inputs, and one that makes its answer.

A short step is done by a thread that runs batches, where that is on a core like any other: to pass it on
takes as long as the step. Long steps, and all those beside a CUDA device, are done by codec threads, so that
no batch waits for them.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A function, and whether it is short: done in less time than a small batch.

    One that makes inputs, and finds that it is not short after all, may give a long step to be done instead.
    """

    function: Callable[..., Any]
    is_short: bool


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A step on its way to a thread.

    Attributes:
        run: Does it, tells whoever waits, and raises nothing.
        refuse: Called in its place, with the reason, where it will never be run.
        arrived_seconds: By time.perf_counter.
    """

    run: Callable[[], None]
    refuse: Callable[[Exception], None]
    arrived_seconds: float = dataclasses.field(default_factory=time.perf_counter)


def resolving(future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop, step: Step) -> Task:
    """A task that resolves a future with what a step gives; the step is not begun once that is done."""

    def run() -> None:
        outcome = None
        try:
            if not future.done():
                outcome = step.function()
        except BaseException as error:
            outcome = error
        tell(outcome)

    def tell(outcome: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to wait
            loop.call_soon_threadsafe(settle, future, outcome)

    return Task(run, tell)


def settle(future: asyncio.Future[Any], outcome: object) -> None:
    """Resolve a future on its own loop, unless that was done meanwhile; an exception is raised there."""
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
