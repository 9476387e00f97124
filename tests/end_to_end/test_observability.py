"""The shipped Prometheus and Grafana files against a real Prometheus and a live server."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.live_server import ROOT, LiveServer
from tests.pictures import file_of, noise, picture

PROMETHEUS = ROOT / "docker" / "prometheus"
DASHBOARD = ROOT / "docker" / "grafana" / "dashboards" / "vae.json"
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}
WAIT_SECONDS = 60


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: on Debian and Ubuntu `apt install prometheus`")
    return path


def promtool(*arguments: str | Path, text: str | None = None) -> str:
    """What promtool says; an error is a failure of the test."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def panel_expressions() -> list[str]:
    """Every query of the dashboard, its variables filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def rule_expressions() -> list[str]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def names_in(expressions: list[str]) -> set[str]:
    """The metrics that expressions are about."""
    text = "\n".join(re.sub(r'"[^"]*"|\{[^}]*\}', "", expression) for expression in expressions)
    return set(re.findall(r"\b(?:vae|process)_\w+", text))


@pytest.fixture(scope="module")
def families(server: LiveServer) -> dict[str, set[str]]:
    """Every metric of a live server, with the names of its samples as they may be queried."""
    text = httpx.get(f"{server.url}/metrics").text
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name: {family.name + suffix for suffix in suffixes[family.type]}
        for family in text_string_to_metric_families(text)
    }


def test_the_configuration_and_the_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", PROMETHEUS / "rules.yml")


def test_the_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "rules_test.yml")


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    fired = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == fired
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "remedy"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_query_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    rules = [{"record": f"query:{i}", "expr": text} for i, text in enumerate(panel_expressions())]
    assert len(rules) > 20
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


def test_every_name_that_is_asked_for_is_exported(families: dict[str, set[str]]) -> None:
    exported = set().union(*families.values())
    assert names_in(panel_expressions()) - exported == set()
    assert names_in(rule_expressions()) - exported == set()


def test_every_metric_that_is_exported_is_shown(families: dict[str, set[str]]) -> None:
    asked = names_in([*panel_expressions(), *rule_expressions()])
    unseen = {name for name, samples in families.items() if name.startswith("vae_") and not samples & asked}
    assert unseen == set()


def test_what_is_scraped_passes_prometheus_own_check(server: LiveServer) -> None:
    promtool("check", "metrics", text=httpx.get(f"{server.url}/metrics").text)


class Prometheus:
    """A real Prometheus with the shipped configuration, its targets replaced by one address.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, folder: Path, target: str) -> None:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        (config["scrape_configs"][0],) = [job for job in config["scrape_configs"] if job["job_name"] == "vae"]
        del config["scrape_configs"][1:], config["scrape_configs"][0]["dns_sd_configs"]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        shutil.copy(PROMETHEUS / "rules.yml", folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        self._process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The value of each series, by its labels; nothing while it starts."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression})
        except httpx.TransportError:
            return {}
        result = answer.json()["data"]["result"] if answer.status_code == 200 else []
        return {tuple(sorted(series["metric"].items())): float(series["value"][1]) for series in result}

    def wait_for(self, expression: str, expected: dict[tuple[tuple[str, str], ...], float]) -> None:
        """Ask until the answer is what is expected."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.query(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found}, not {expected}"
            time.sleep(0.2)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_SECONDS)


@pytest.fixture
def live() -> Iterator[LiveServer]:
    with LiveServer("--device", "cpu") as live:
        yield live
    assert live.exit_code == 0


@pytest.fixture
def prometheus(live: LiveServer, tmp_path: Path) -> Iterator[Prometheus]:
    prometheus = Prometheus(tmp_path, live.url.removeprefix("http://"))
    yield prometheus
    prometheus.close()


def send_mix(client: httpx.Client) -> Counter[tuple[str, str]]:
    """200 requests of every kind: how many of each operation and status."""
    file = file_of(picture(noise(28, 28, 3)))
    z = [0.0] * client.get("/models").json()["data"][0]["latent_dim"]
    kinds = [
        ("sample", 200, 80, {"json": {"n": 3}}),
        ("sample", 422, 20, {"json": {"n": 0}}),
        ("decode", 200, 40, {"json": {"z": [z, z]}}),
        ("decode", 400, 5, {"content": b"{", "headers": {"content-type": "application/json"}}),
        ("encode", 200, 30, {"files": {"image": file}}),
        ("encode", 415, 5, {"content": b"GIF89a", "headers": {"content-type": "image/gif"}}),
        ("reconstruct", 200, 20, {"files": {"image": file}}),
    ]
    for operation, status, num, request in kinds:
        for _ in range(num):
            assert client.post(f"/{operation}", **request).status_code == status
    return Counter({(operation, str(status)): num for operation, status, num, _ in kinds})


def test_prometheus_counts_exactly_what_was_sent(live: LiveServer, prometheus: Prometheus) -> None:
    with httpx.Client(base_url=live.url, timeout=60) as client:
        sent = send_mix(client)
    assert sent.total() == 200
    expected = {
        (("code", code), ("operation", operation)): float(num) for (operation, code), num in sent.items()
    }
    prometheus.wait_for('sum by (operation, code) (vae_requests_total{operation!="other"}) > 0', expected)
    items = {"decode": 80 * 3 + 40 * 2, "encode": 30, "reconstruct": 20, "score": 0}
    expected = {(("operation", operation),): float(num) for operation, num in items.items()}
    prometheus.wait_for("sum by (operation) (vae_batch_items_sum)", expected)
    prometheus.wait_for("sum(vae_queue_seconds_count)", {(): 170.0})
    prometheus.wait_for(
        "sum(vae_queued_items) + sum(vae_rejected_total) + sum(vae_cancelled_total)", {(): 0.0}
    )
    prometheus.wait_for("sum(vae_ready)", {(): 1.0})
    prometheus.wait_for("count(ALERTS) or vector(0)", {(): 0.0})
