"""The checkpoint files: read at start, and read again when they change, without a pause.

A changed file is loaded beside the model that is served, checked and warmed, and only then takes its place.
Whatever is wrong with it, the model that was there stays. What callers rely on stays too: a file whose model
has another name or other shapes than the one that it replaces is refused.
"""

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from service.engine.engine import Engine
from service.errors import InvalidCheckpoint
from service.metadata import Metadata
from service.metrics import Metrics

PATTERN = "*.pt"

# Modification time, size and inode: what tells that a file is another one.
Signature = tuple[int, int, int]
Build = Callable[[Path], Engine]

log = logging.getLogger(__name__)


@dataclasses.dataclass
class _File:
    """What is known of a checkpoint file.

    Attributes:
        seen, tried, loaded: As it was then.
        metadata: What it says.
        num_missed: In how many looks in a row it was not there.
    """

    seen: Signature | None = None
    tried: Signature | None = None
    loaded: Signature | None = None
    metadata: Metadata | None = None
    num_missed: int = 0


class Reloader:
    """Keeps the models that are served up to date with their files.

    Args:
        source: A checkpoint file, or a folder of them.
        build: From a file to a warmed engine, not yet started.
        metrics: Where to count.
        watch_seconds: Between two looks at the files; 0 to look only when asked. A file is taken once it was
            the same in two looks, so that one that is still being written is left alone.
    """

    def __init__(self, source: Path, build: Build, metrics: Metrics, *, watch_seconds: float) -> None:
        self._source = source
        self._build = build
        self._metrics = metrics
        self._watch_seconds = watch_seconds
        self._files: dict[Path, _File] = {}
        # Told of by signals, which come between any two instructions: an Event's lock would not do.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_closed = False

    def load_all(self) -> list[Engine]:
        """Build an engine of each file.

        Raises:
            InvalidCheckpoint: There is none, one cannot be used, or two have the same name.
        """
        engines = []
        for path in self._paths():
            seen = _signature(path)
            try:
                engine = self._built(path)
            except InvalidCheckpoint as error:
                error.path = path if self._source.is_dir() else None
                raise
            self._check_name(path, engine.runtime.metadata)
            engines.append(engine)
            self._files[path] = _File(seen, seen, seen, engine.runtime.metadata)
        if not engines:
            raise InvalidCheckpoint("file", f"there is no {PATTERN} in {self._source}{self._deeper()}")
        return engines

    def start(self, put: Callable[[Engine], None]) -> None:
        """Begin to watch; `put` is given each new engine, from another thread."""
        threading.Thread(target=self._run, args=(put,), name="reloader", daemon=True).start()

    def reload(self) -> None:
        """Look at the files now, also at those that were refused; may be called from a signal handler."""
        self._wake.put(None)

    def look(self, put: Callable[[Engine], None], *, is_asked: bool = False) -> None:
        """Look at the files once; where asked, also take those that were just written or once refused."""
        for path in self._changed(is_asked=is_asked):
            self._reload(path, put)
        self._say_what_is_gone()

    def close(self) -> None:
        """Look no more."""
        self._is_closed = True
        self._wake.put(None)

    def _run(self, put: Callable[[Engine], None]) -> None:
        while True:
            is_asked = self._wait()
            if self._is_closed:
                return
            self.look(put, is_asked=is_asked)

    def _wait(self) -> bool:
        """Wait for the time of the next look; whether one was asked for, be it several times."""
        with suppress(queue.Empty):
            self._wake.get(timeout=self._watch_seconds or None)
            while not self._wake.empty():
                self._wake.get()
            return True
        return False

    def _changed(self, *, is_asked: bool) -> list[Path]:
        changed = []
        for path in self._paths():
            file = self._files.setdefault(path, _File())
            signature = _signature(path)
            is_settled = signature == file.seen
            file.seen = signature
            known = file.loaded if is_asked else file.tried
            if signature not in (None, known) and (is_asked or is_settled):
                changed.append(path)
        return changed

    def _reload(self, path: Path, put: Callable[[Engine], None]) -> None:
        file = self._files[path]
        file.tried = file.seen
        log.info("loading %s, which %s", path, "changed" if file.loaded else "is new")
        try:
            engine = self._built(path)
            self._follow(path, engine.name)
            self._check_replaces(path, engine.runtime.metadata)
        except Exception as error:  # whatever a file may do, what is served stays
            self._metrics.reloaded("refused")
            log.error("%s is refused, what was served stays: %s", path, error)
            return
        file.loaded, file.metadata = file.tried, engine.runtime.metadata
        self._metrics.reloaded("loaded")
        log.info("%s is served from now on: %s, version %s", path, engine.name, engine.runtime.version)
        put(engine)

    def _built(self, path: Path) -> Engine:
        started = time.perf_counter()
        engine = self._build(path)
        self._metrics.model_loaded(time.perf_counter() - started)
        return engine

    def _say_what_is_gone(self) -> None:
        """After two looks: in the second, a file of another name may have taken its place."""
        for path, file in self._files.items():
            file.num_missed = file.num_missed + 1 if file.metadata and not path.exists() else 0
            if file.num_missed == 2:
                log.warning("%s is gone; the model is served until the service is started again", path)

    def _follow(self, path: Path, name: str) -> None:
        """Where the file of a model has another name now, take what was known of it over."""
        if self._files[path].metadata is None:
            for other, file in self._files.items():
                if file.metadata and file.metadata.name == name and not other.exists():
                    self._files[path].metadata = self._files.pop(other).metadata
                    return

    def _check_replaces(self, path: Path, new: Metadata) -> None:
        self._check_name(path, new)
        old = self._files[path].metadata
        for field in ("name", "image_shape", "latent_dim") if old else ():
            if getattr(new, field) != getattr(old, field):
                problem = f"{getattr(new, field)}, but callers rely on {getattr(old, field)}, which is served"
                raise InvalidCheckpoint(f"metadata.{field}", f"{problem}; restart the service to change it")

    def _check_name(self, path: Path, new: Metadata) -> None:
        for other, file in self._files.items():
            if other != path and file.metadata and file.metadata.name == new.name:
                problem = f"{path.name} is named {new.name}, as {other.name} is, and callers ask by the name"
                raise InvalidCheckpoint("metadata.name", f"{problem}; take one of the two away")

    def _paths(self) -> list[Path]:
        return sorted(self._source.glob(PATTERN)) if self._source.is_dir() else [self._source]

    def _deeper(self) -> str:
        """What could be meant where the folder itself holds nothing: a file one folder down."""
        found = min(self._source.glob(f"*/{PATTERN}"), default=None)
        return f", but there is {found}: name that file, or its folder" if found else ""


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
