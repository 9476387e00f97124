"""The load balancers' files: both programs take them, and their numbers fit the service's and each other."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from service.settings import Settings
from tests.balancer_files import SHIPPED, Name, write_haproxy, write_nginx
from tests.balancers import needs

HAPROXY = (SHIPPED / "haproxy" / "haproxy.cfg").read_text()
NGINX = (SHIPPED / "nginx" / "nginx.conf").read_text()
NGINX_REPLICAS = [(SHIPPED / "nginx" / name).read_text() for name in ("replicas.conf", "replicas-dns.conf")]
VARIABLE = re.compile(r"\$\{(BALANCER_\w+)-([^}]*)\}")
DEFAULTS = dict(VARIABLE.findall(HAPROXY))
UNITS = {"ms": 0.001, "s": 1, "k": 2**10, "m": 2**20, "r": 1, "": 1}


def setting(name: str) -> float:
    """A setting of the service that nobody has changed."""
    return float(Settings.model_fields[name].default)


def number(text: str, name: str) -> float:
    """The one number that a file has after a name, in seconds or bytes."""
    [(digits, unit)] = re.findall(rf"(?<![\w-]){name}[ =](\d+)(ms|[skmr]?)\b", text)
    return float(digits) * UNITS[unit]


@needs("haproxy")
@pytest.mark.parametrize("replicas", [["127.0.0.1:8000", "127.0.0.1:8001"], Name("vae:8000", "127.0.0.1:53")])
def test_haproxy_takes_its_files_without_a_warning(tmp_path: Path, replicas: list[str] | Name) -> None:
    command = write_haproxy(tmp_path, replicas, port=8080, operations_port=8404, edits={})
    said = subprocess.run([*command, "-c"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "WARNING" not in said.stderr


@needs("nginx")
def test_nginx_takes_its_files_without_a_warning(tmp_path: Path) -> None:
    command = write_nginx(tmp_path, ["127.0.0.1:8000"], port=8080, operations_port=8404, edits={})
    said = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr


@pytest.mark.parametrize(
    "path", sorted((SHIPPED / "haproxy" / "errors").iterdir()), ids=lambda path: path.name
)
def test_an_error_of_haproxy_is_a_problem_of_its_status(path: Path) -> None:
    head, _, body = path.read_bytes().decode().rpartition("\r\n\r\n")
    problem = json.loads(body)
    assert set(problem) == {"type", "title", "status", "detail", "param", "request_id"}
    assert path.name.startswith(str(problem["status"]))
    assert path.name in HAPROXY
    if path.suffix == ".http":
        status, *headers = head.splitlines()
        assert status.split()[1] == str(problem["status"])
        assert f"content-length: {len(body)}" in headers
    else:
        assert problem["request_id"] == "%[var(txn.request_id)]"


def test_haproxy_notices_that_a_replica_drains_well_before_it_ends() -> None:
    noticed = number(HAPROXY, "inter") * number(HAPROXY, "fall")
    assert noticed + 2 <= setting("drain_seconds")


def test_the_services_own_deadline_comes_first() -> None:
    assert number(HAPROXY, "timeout server") > setting("request_timeout_seconds")
    assert number(NGINX, "proxy_read_timeout") > setting("request_timeout_seconds")
    assert number(HAPROXY, "hard-stop-after") > number(HAPROXY, "timeout server")


def test_a_request_waits_for_its_body_no_longer_than_the_service_would() -> None:
    assert number(HAPROXY, "timeout http-request") < setting("request_timeout_seconds")
    assert number(NGINX, "client_body_timeout") < setting("request_timeout_seconds")


def test_the_balancer_closes_an_idle_connection_before_the_service_does() -> None:
    assert all(number(text, "keepalive_timeout") < setting("keep_alive_seconds") for text in NGINX_REPLICAS)
    # HAProxy closes half of a replica's idle connections each time: of so many, none is left after log2.
    halvings = int(DEFAULTS["BALANCER_REPLICA_CONNECTIONS"]).bit_length()
    assert halvings * number(HAPROXY, "pool-purge-delay") < setting("keep_alive_seconds")


def test_all_let_the_same_bodies_through() -> None:
    assert int(DEFAULTS["BALANCER_MAX_BODY_BYTES"]) == setting("max_body_bytes")
    assert number(NGINX, "client_max_body_size") == setting("max_body_bytes")


def test_headers_of_the_size_allowed_fit_a_buffer_of_haproxy() -> None:
    assert number(HAPROXY, "length gt") <= number(HAPROXY, "tune.bufsize") / 2


def test_both_allow_a_client_the_same_rate() -> None:
    assert int(DEFAULTS["BALANCER_REQUESTS_PER_SECOND"]) == number(NGINX, "rate")


def test_the_readme_lists_every_variable_with_its_default() -> None:
    files = (SHIPPED / "haproxy").glob("*.cfg")
    used = {pair for path in files for pair in VARIABLE.findall(path.read_text())}
    text = (SHIPPED / "README.md").read_text()
    listed = set(re.findall(r"^\| `(BALANCER_\w+)` \| `([^`]*)` \|", text, re.MULTILINE))
    assert used == listed
