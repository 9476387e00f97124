"""The service as an operator starts it: a process of its own, on a free port, stopped by SIGTERM."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[1]
START_SECONDS = 120
STOP_SECONDS = 30


class LiveServer:
    """A running `python -m service serve`; a context manager, which may be entered again after it was left.

    Args:
        flags: Of `serve`, beside `--port 0 --drain-seconds 0`, which they may overrule.
        prelude: Python that runs first in its process, to plant a fault.
        environment: Beside that of the tests, less the developer's own settings.

    Attributes:
        url: Where it listens.
        exit_code: After it was stopped.
    """

    def __init__(self, *flags: str, prelude: str = "", environment: Mapping[str, str] | None = None) -> None:
        self._flags = flags
        self._environment = environment or {}
        self._prelude = prelude
        self.url = ""
        self.exit_code: int | None = None
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        program = ["-m", "service"]
        if self._prelude:
            program = ["-c", f"{self._prelude}\nfrom service.__main__ import main\nraise SystemExit(main())"]
        flags = ["serve", "--port", "0", "--drain-seconds", "0", *self._flags]
        command = [sys.executable, *program, *flags]
        own = {name: value for name, value in os.environ.items() if not name.startswith("VAE_")}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**own, **self._environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        ports: queue.Queue[str] = queue.Queue()
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr, ports), daemon=True)
        self._reader.start()
        self.url = ports.get(timeout=START_SECONDS)
        if not self.url:
            self.__exit__()
            raise RuntimeError(f"the server did not start: {self.log()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def terminate(self) -> None:
        """Send the first SIGTERM, and do not wait."""
        self._process.send_signal(signal.SIGTERM)

    def reload(self) -> None:
        """Send SIGHUP."""
        self._process.send_signal(signal.SIGHUP)

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Ask until something is so; the server's log is part of the failure."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come true in {seconds} s; the log:\n{self.log()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a machine that fails would, without any warning."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float) -> int:
        """Wait for its end, and for the last of its log; its exit status."""
        status = self._process.wait(seconds)
        self._reader.join(seconds)
        return status

    def log(self) -> str:
        """Everything it wrote to standard error so far."""
        return "".join(self._lines)

    def _read(self, stream: IO[str], urls: "queue.Queue[str]") -> None:
        for line in stream:
            self._lines.append(line)
            found = re.search(r"at (http://\S+)", _message(line))
            if found:
                urls.put(found[1])
        urls.put("")


def _message(line: str) -> str:
    try:
        return str(json.loads(line).get("message", ""))
    except ValueError:
        return ""
