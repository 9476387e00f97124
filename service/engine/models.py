"""The models that are served, each with an engine of its own, and how one is exchanged while requests run.

A request holds its engine for as long as it uses it. An engine that was replaced takes no new requests, and
is stopped once the last of its own is answered. Used from the event loop only.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from service.engine.engine import Engine
from service.errors import ModelNotFound
from service.metrics import Metrics


class Models:
    """Engines by the name of their model.

    Args:
        engines: Warmed, not yet started, of different names.
        default: The name of the model of requests that name none.
        metrics: Where to count.

    Attributes:
        is_draining: Whether load balancers are asked to send nothing more.
    """

    def __init__(self, engines: Iterable[Engine], default: str, metrics: Metrics) -> None:
        self._engines = {engine.name: engine for engine in engines}
        if default not in self._engines:
            raise ModelNotFound(f"no model is named {default}, there are {', '.join(self._engines)}")
        self._default = default
        self._metrics = metrics
        self._num_users: Counter[Engine] = Counter()
        self._retired: set[Engine] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._failure_callbacks: list[Callable[[], None]] = []
        self.is_draining = False
        metrics.ready_where(lambda: self.is_ready)

    @property
    def default(self) -> Engine:
        """The model of requests that name none."""
        return self._engines[self._default]

    @property
    def is_alive(self) -> bool:
        """Whether every engine works; not before start, and not after one has lost its device."""
        return all(engine.is_alive for engine in self._engines.values())

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here; while draining those that come are still answered."""
        return not self.is_draining and all(engine.is_ready for engine in self._engines.values())

    @property
    def has_failed(self) -> bool:
        """Whether a device was lost for good."""
        return any(engine.has_failed for engine in [*self._engines.values(), *self._retired])

    @property
    def is_running(self) -> bool:
        """Whether a device thread runs still; see Engine."""
        return any(engine.is_running for engine in [*self._engines.values(), *self._retired])

    @property
    def trouble(self) -> str:
        """What is wrong with a device, for people; empty while all is well."""
        return next((engine.trouble for engine in self._engines.values() if engine.trouble), "")

    def __iter__(self) -> Iterator[Engine]:
        return iter(list(self._engines.values()))

    def __getitem__(self, name: str) -> Engine:
        """The engine of a model.

        Raises:
            ModelNotFound: Naming those that there are.
        """
        if name not in self._engines:
            problem = f"no model of this name is served, there are {', '.join(self._engines)}"
            raise ModelNotFound(problem, param="model")
        return self._engines[name]

    @contextmanager
    def use(self, name: str | None) -> Iterator[Engine]:
        """Hold a model, the default for None, so that it is not stopped under a request; see __getitem__."""
        engine = self.default if name is None else self[name]
        self._num_users[engine] += 1
        try:
            yield engine
        finally:
            self._num_users[engine] -= 1
            if not self._num_users[engine]:
                del self._num_users[engine]
                self._stop_if_unused(engine)

    def start(self) -> None:
        """Begin to answer."""
        for engine in self._engines.values():
            self._start(engine)

    def put(self, engine: Engine) -> None:
        """Start an engine and serve it: beside the others, or in the place of the one of its name."""
        if self.is_draining:
            return
        old = self._engines.get(engine.name)
        if old is not None:
            self._metrics.model_retired(old.labels, old.admission.max_items)
            self._retired.add(old)
        self._engines[engine.name] = engine
        self._start(engine)
        if old is not None:
            self._stop_if_unused(old)

    def drain(self) -> None:
        """Ask load balancers to send nothing more; what comes is still answered, until stop."""
        self.is_draining = True

    async def stop(self) -> None:
        """Finish what was admitted, refuse the rest, and wait for every device thread to end."""
        self.is_draining = True
        await asyncio.gather(
            *self._stopping, *(asyncio.to_thread(engine.stop) for engine in self._engines.values())
        )

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Have a function called, from any thread, when a device is lost for good."""
        self._failure_callbacks.append(callback)

    def _start(self, engine: Engine) -> None:
        engine.when_failed(self._tell_of_failure)
        engine.start()
        batcher = engine.batcher
        largest = {str(name): partial(batcher.largest_batch, name) for name in engine.runtime.seconds}
        self._metrics.model_served(engine.labels, engine.admission.max_items, largest)

    def _stop_if_unused(self, engine: Engine) -> None:
        if engine in self._retired and engine not in self._num_users:
            task = asyncio.get_running_loop().create_task(self._stop(engine))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def _stop(self, engine: Engine) -> None:
        await asyncio.to_thread(engine.stop)
        if not engine.is_running:
            self._retired.discard(engine)
            # The engine itself may stay: the first one is frozen, and no collection looks at its cycles.
            engine.runtime.release()

    def _tell_of_failure(self) -> None:
        for callback in self._failure_callbacks:
            callback()
