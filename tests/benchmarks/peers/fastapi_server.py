"""A plain FastAPI service: one sync handler an operation, run in Starlette's thread pool.

python -m tests.benchmarks.peers.fastapi_server PORT
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.benchmarks.peers.work import Work


def build() -> FastAPI:
    """One route for all operations."""
    app, work = FastAPI(), Work()

    @app.get("/health")
    def health() -> str:
        return "ok"

    @app.post("/{operation}")
    def answer(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        outputs = work.run(operation, work.read(operation, body))
        return work.write(operation, outputs)

    return app


if __name__ == "__main__":
    uvicorn.run(build(), port=int(sys.argv[1]), log_level="error", access_log=False)
