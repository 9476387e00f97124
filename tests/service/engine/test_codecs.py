import threading
import weakref

import numpy as np
import pytest

from service.engine.codecs import Codecs
from service.engine.steps import Task
from service.errors import NotReady
from tests.service.engine.fakes import LONG_SECONDS, Recorder


def test_tasks_are_done_in_their_order() -> None:
    codecs, seen = Codecs(1), Recorder()
    for number in range(5):
        codecs.put(seen.task(number))
    codecs.close()
    assert seen.done == [0, 1, 2, 3, 4]


def test_threads_work_side_by_side() -> None:
    codecs, seen = Codecs(2), Recorder()
    together = threading.Barrier(2)
    for _ in range(2):
        codecs.put(seen.task(0, first=lambda: together.wait(LONG_SECONDS)))
    codecs.close()
    assert seen.done == [0, 0]


def test_a_thread_that_waits_holds_on_to_nothing() -> None:
    codecs, seen = Codecs(1), Recorder()
    picture = np.zeros(9)
    gone = weakref.ref(picture)
    codecs.put(seen.task(0, first=picture.sum))
    del picture
    seen.wait(1)
    codecs.put(seen.task(1))  # its turn comes when the thread has let go of the task before
    seen.wait(2)
    assert gone() is None
    codecs.close()


def test_what_comes_after_the_end_is_refused_and_what_came_before_is_finished() -> None:
    codecs, seen = Codecs(1), Recorder()
    codecs.put(seen.task(0))
    codecs.close()
    assert seen.done == [0]
    codecs.put(seen.task(1))
    assert seen.done == [0]
    (refused,) = seen.refused
    assert isinstance(refused, NotReady)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_there_are_no_more_threads_than_tasks_at_a_time(num_threads: int) -> None:
    codecs, names = Codecs(num_threads), set()
    together = threading.Barrier(num_threads)

    def run() -> None:
        names.add(threading.current_thread().name)
        together.wait(LONG_SECONDS)

    for _ in range(num_threads):
        codecs.put(Task(run, lambda error: None))
    codecs.close()
    assert names == {f"codec-{number}" for number in range(num_threads)}


def test_a_thread_that_cannot_be_started_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    codecs, seen = Codecs(2), Recorder()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        codecs.put(seen.task(0))
    (refused,) = seen.refused
    assert "no codec thread can be started: can't start new thread" in str(refused)
    release = threading.Event()
    codecs.put(seen.task(1, first=lambda: release.wait(LONG_SECONDS)))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        codecs.put(seen.task(2))  # is done by the thread that there is
    release.set()
    codecs.close()
    assert seen.done == [1, 2]
