"""compose and Kubernetes: their validators take the files, and numbers fit the service's and each other."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"
OVERLAYS = [KUBERNETES / "overlays" / "cpu", KUBERNETES / "overlays" / "gpu", KUBERNETES / "training"]
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
# Kinds of operators, which no schema of Kubernetes' own knows.
CUSTOM = {"ScaledObject", "ServiceMonitor"}
METRIC = re.compile(r"vae_[a-z_]+")


def documents(folder: Path) -> list[dict[str, Any]]:
    """Every object that a folder's files hold."""
    files = [path for path in folder.rglob("*.yaml") if path.name != "kustomization.yaml"]
    found = [one for path in files for one in yaml.safe_load_all(path.read_text())]
    assert found
    return found


def built(folder: Path) -> list[dict[str, Any]]:
    """What kubectl would apply."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def setting(name: str) -> float:
    """A default of the service."""
    return float(Settings.model_fields[name].default)


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


class Loader(yaml.SafeLoader):
    """Knows compose's own tags."""


Loader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def compose(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((DOCKER / name).read_text(), Loader)
    return content


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(tmp_path: Path, version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for one in documents(KUBERNETES):
        if one["kind"] not in CUSTOM:
            validate.validate(one, version, strict=True)
    wrong = of_kind(documents(KUBERNETES / "base"), "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, version, strict=True)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: folder.name)
def test_kustomize_builds_what_kubernetes_takes(folder: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    objects = built(folder)
    for one in objects:
        if one["kind"] not in CUSTOM:
            validate.validate(one, VERSIONS[-1], strict=True)


def test_with_accelerators_each_replica_has_one_and_keda_alone_scales() -> None:
    objects = built(KUBERNETES / "overlays" / "gpu")
    (container,) = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "VAE_DEVICE", "value": "cuda"} in container["env"]
    kinds = [one["kind"] for one in objects]
    assert "ScaledObject" in kinds
    assert "HorizontalPodAutoscaler" not in kinds


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cpu.yaml"])
def test_compose_takes_its_files(tmp_path: Path, name: str) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    path = tmp_path / "compose.json"
    path.write_text(json.dumps(compose(name)))
    done = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    path.write_text(json.dumps({"services": {"vae": {"readonly": True}}}))
    assert subprocess.run([*command, str(path)], capture_output=True).returncode != 0


def test_what_compose_mounts_and_builds_is_there() -> None:
    services = compose("compose.yaml")["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (DOCKER / source).exists(), source
    build = services["vae"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()
    assert services["haproxy"]["environment"]["BALANCER_REPLICAS"] == "vae:8000"
    scraped = (DOCKER / "prometheus" / "prometheus.yml").read_text()
    assert "names: [vae]" in scraped


@pytest.mark.parametrize("name", ["vae", "haproxy", "prometheus", "grafana"])
def test_nothing_has_privileges_or_a_root_to_write_to(name: str) -> None:
    service = compose("compose.yaml")["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_time_to_end_is_longer_than_what_ending_takes_in_kubernetes() -> None:
    pod = of_kind(documents(KUBERNETES / "base"), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    drain = float(given.get("VAE_DRAIN_SECONDS") or setting("drain_seconds"))
    in_flight = float(given.get("VAE_SHUTDOWN_GRACE_SECONDS") or setting("shutdown_grace_seconds"))
    stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert stop + drain + in_flight < pod["terminationGracePeriodSeconds"]
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < drain


def test_the_time_to_end_is_longer_than_what_ending_takes_in_compose() -> None:
    services = compose("compose.yaml")["services"]
    takes = setting("drain_seconds") + setting("shutdown_grace_seconds")
    assert takes < seconds(services["vae"]["stop_grace_period"])
    (stop,) = re.findall(r"hard-stop-after (\d+)s", (DOCKER / "haproxy" / "haproxy.cfg").read_text())
    assert float(stop) < seconds(services["haproxy"]["stop_grace_period"])


def test_pods_run_without_privileges() -> None:
    for folder, kind in ((KUBERNETES / "base", "Deployment"), (KUBERNETES / "training", "Job")):
        pod = of_kind(documents(folder), kind)["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_both_autoscalers_go_by_the_same_two_signals_which_the_service_has() -> None:
    autoscaler = of_kind(documents(KUBERNETES / "base"), "HorizontalPodAutoscaler")["spec"]
    scaled = of_kind(documents(KUBERNETES / "components" / "keda"), "ScaledObject")["spec"]
    queued, cpu = autoscaler["metrics"]
    triggers = {one["name"]: one["metadata"] for one in scaled["triggers"]}
    assert queued["pods"]["target"]["averageValue"] == triggers["queued"]["threshold"] == "64"
    assert cpu["resource"]["target"]["averageUtilization"] == 100 * float(triggers["busy"]["threshold"]) == 70
    down = autoscaler["behavior"]["scaleDown"]
    assert down == scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    source = (ROOT / "service" / "metrics.py").read_text()
    named = {name for one in triggers.values() for name in METRIC.findall(one["query"])}
    for name in {*named, queued["pods"]["metric"]["name"]}:
        assert f'"{re.sub("_(sum|count|bucket)$", "", name)}"' in source


def test_images_have_the_version_of_the_service() -> None:
    from service.app import VERSION

    for folder, kind in ((KUBERNETES / "base", "Deployment"), (KUBERNETES / "training", "Job")):
        (container,) = of_kind(documents(folder), kind)["spec"]["template"]["spec"]["containers"]
        assert container["image"].endswith(f":{VERSION}")
