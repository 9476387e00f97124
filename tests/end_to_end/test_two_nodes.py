"""Training on two machines with torchrun: each a network namespace of its own, with one wire between them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from service import checkpoint
from tests.conftest import ROOT

TIMEOUT_SECONDS = 300
ADDRESSES = ("10.213.77.1", "10.213.77.2")
PORT = 29513
FLAGS = ("--preset", "sprites", "--limit", "128", "--epochs", "1", "--batch-size", "16", "--device", "cpu")


class Node:
    """A machine of its own as far as the network goes.

    Args:
        rank: 0 or 1.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.namespace = f"vae-test-{os.getpid()}-{rank}"
        self.device = f"vae{os.getpid() % 100_000}-{rank}"

    def start(self, runs: Path) -> "subprocess.Popen[str]":
        """torchrun with one process."""
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
        place = ["--node-rank", str(self.rank), "--nproc-per-node", "1"]
        meeting = ["--master-addr", ADDRESSES[0], "--master-port", str(PORT)]
        command = [*torchrun, *place, *meeting, "-m", "training", "train", *FLAGS, "--runs", str(runs)]
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command],
            cwd=ROOT,
            env={**os.environ, "GLOO_SOCKET_IFNAME": self.device, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def ip(*arguments: str) -> bool:
    """Whether the kernel did it."""
    return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    if shutil.which("ip") is None:
        pytest.skip("there is no ip: on Debian and Ubuntu 'apt install iproute2'")
    nodes = [Node(rank) for rank in range(2)]
    with ExitStack() as stack:
        for node in nodes:
            if not ip("netns", "add", node.namespace):
                pytest.skip(
                    "no network namespace can be made here: that needs root, and a kernel that has them"
                )
            stack.callback(ip, "netns", "delete", node.namespace)
        first, second = nodes
        ends = (first.device, "netns", first.namespace, "type", "veth", "peer", "name", second.device)
        if not ip("link", "add", *ends, "netns", second.namespace):
            pytest.skip("no pair of virtual network devices can be made here")
        for node, address in zip(nodes, ADDRESSES, strict=True):
            inside = ("-n", node.namespace)
            assert ip(*inside, "address", "add", f"{address}/24", "dev", node.device)
            assert ip(*inside, "link", "set", node.device, "up")
            assert ip(*inside, "link", "set", "lo", "up")
        yield nodes


@pytest.mark.slow
def test_two_nodes_train_one_network_and_the_first_exports_it(nodes: list[Node], tmp_path: Path) -> None:
    folders = [tmp_path / f"node-{node.rank}" for node in nodes]
    running = [node.start(folder) for node, folder in zip(nodes, folders, strict=True)]
    try:
        said = [process.communicate(timeout=TIMEOUT_SECONDS)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said
    assert "serve it" in said[0]
    assert "serve it" not in said[1]
    assert list(folders[1].rglob("*.pt")) == []
    (exported,) = folders[0].rglob("*.pt")
    loaded = checkpoint.load(exported)
    assert loaded.metadata.name == "sprites"
    # 128 images in batches of 16 on each of two nodes.
    assert loaded.metadata.provenance.steps == 128 // 16 // 2
    mu, _ = loaded.module.encode(torch.zeros(2, *loaded.metadata.image_shape, dtype=torch.uint8))
    assert mu.shape == (2, loaded.metadata.latent_dim)
