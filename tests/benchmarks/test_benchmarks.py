import json
from pathlib import Path

import pytest

pytest.importorskip("rich")
pytest.importorskip("lightning")

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
