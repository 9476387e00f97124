import json
import math
from pathlib import Path

import pytest

pytest.importorskip("rich")
pytest.importorskip("lightning")

from tests.benchmarks import autoscaling, networks
from tests.benchmarks.__main__ import main


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_floor_of_a_tiny_network_is_measured_and_written(tmp_path: Path) -> None:
    target = tmp_path / "floor.json"

    assert main(["--quick", "--only", "floor", "--architecture", "tiny", "--json", str(target)]) == 0

    results = json.loads(target.read_text())
    assert results["machine"]["cores"] >= 1
    assert all(row["items_per_second"] > 0 for row in results["floor"]["model"])
    assert {row["form"] for row in results["floor"]["model"]} >= {"as written", "fast"}
    assert results["floor"]["codecs"]["encode_png"] > 0


@pytest.mark.slow
def test_networks_are_measured_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert networks.main(["vanilla:4,8", "residual:8,16", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[:2]] == ["vanilla:4,8", "residual:8,16"]
    assert len(lines) % (2 * len(networks.SIZES)) == 0


@pytest.mark.parametrize(("load", "replicas"), [(0.5, 1), (2.1, 3), (6.3, 9)])
def test_the_simulated_autoscaler_settles_where_a_constant_load_keeps_replicas_as_busy_as_asked(
    load: float, replicas: int
) -> None:
    policy = autoscaling.Policy(queue_target=64, busy_target=0.7, stabilization_seconds=60)
    cluster = autoscaling.Cluster(capacity=100, queue=512, start_seconds=10)
    outcome = autoscaling.simulate(policy, cluster, lambda _: 100 * load, seconds=1800, slo_seconds=1)
    assert math.isclose(cluster.ready, replicas, abs_tol=1)
    assert cluster.waiting == 0
    assert outcome.peak >= cluster.ready


def test_the_simulated_cluster_refuses_what_its_queue_cannot_hold() -> None:
    cluster = autoscaling.Cluster(capacity=100, queue=50, start_seconds=10)
    assert cluster.step(0.0, 100.0) == 100 - 10 - 50
    assert (cluster.waiting, cluster.busy) == (50, 1)
