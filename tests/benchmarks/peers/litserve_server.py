"""LitServe with dynamic batching; its settings come from the environment, as the search sets them.

python -m tests.benchmarks.peers.litserve_server PORT
"""

import json
import os
import sys
from typing import Any

import litserve
import torch
from torch import Tensor

from tests.benchmarks.peers.work import Work


class VaeAPI(litserve.LitAPI):
    """One operation. A request is a tensor of one or more rows; a batch is a list of requests."""

    def setup(self, device: str) -> None:
        self.work = Work()
        self.operation = os.environ["BENCH_OPERATION"]

    def decode_request(self, request: dict[str, Any]) -> Tensor:
        return self.work.read(self.operation, request)

    def batch(self, inputs: list[Tensor]) -> list[Tensor]:
        return inputs

    def predict(self, inputs: list[Tensor] | Tensor) -> list[list[Tensor]] | list[Tensor]:
        if isinstance(inputs, Tensor):  # max_batch_size is 1
            return self.work.run(self.operation, inputs)
        outputs = self.work.run(self.operation, torch.cat(inputs))
        parts = [output.split([len(rows) for rows in inputs]) for output in outputs]
        return [list(part) for part in zip(*parts, strict=True)]

    def unbatch(self, output: list[list[Tensor]]) -> list[list[Tensor]]:
        return output

    def encode_response(self, output: list[Tensor]) -> dict[str, Any]:
        return self.work.write(self.operation, output)


def main() -> None:
    """Serve until ended."""
    settings = json.loads(os.environ["BENCH_SETTINGS"])
    api = VaeAPI(
        max_batch_size=settings["max_batch_size"],
        batch_timeout=settings["batch_timeout"],
        api_path=f"/{os.environ['BENCH_OPERATION']}",
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=settings["workers_per_device"],
        fast_queue=settings["fast_queue"],
        timeout=60,
    )
    server.run(port=int(sys.argv[1]), host="127.0.0.1", log_level="error", generate_client_file=False)


if __name__ == "__main__":
    main()
