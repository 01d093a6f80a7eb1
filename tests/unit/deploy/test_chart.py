"""The Helm chart, rendered without a cluster and held against Kubernetes' own schemas; the compose file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from gateway.compile import Compiler

DEPLOY = Path(__file__).parents[3] / "deploy"
SETS = sorted((DEPLOY / "helm/values").glob("*.yaml"))
CUSTOM = {"ServiceMonitor"}  # of the Prometheus operator: Kubernetes has no schema of it
CONFIG = {"gateway.yaml": "version: 1\n"}


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm_python.Chart.load(DEPLOY / "helm/sluicegate") as chart:
        manifests = chart.render(values, name="edge", namespace="gateways")
    return [one for text in manifests.values() for one in yaml.safe_load_all(text) if one]


def values_of(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(file.read_text())
    return values


def of_kind(manifests: list[dict[str, Any]], *kinds: str) -> Iterator[dict[str, Any]]:
    return (one for one in manifests if one["kind"] in kinds)


def gateway_of(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (pod,) = (one for one in pods(manifests) if one["containers"][0]["name"] == "gateway")
    return pod


def pods(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (one["spec"]["template"]["spec"] for one in of_kind(manifests, "Deployment", "StatefulSet"))


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_what_is_rendered_is_valid_to_kubernetes(file: Path) -> None:
    manifests = render(values_of(file))
    kinds = {one["kind"] for one in manifests}
    assert kinds >= {"ConfigMap", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    for one in manifests:
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, "1.34", strict=True)


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_the_configuration_arrives_as_it_was_written(file: Path) -> None:
    values = values_of(file)
    manifests = render(values)
    (config,) = of_kind(manifests, "ConfigMap")
    assert {name.replace("__", "/"): text for name, text in config["data"].items()} == values["config"]
    gateway = gateway_of(manifests)
    (volume,) = (one for one in gateway["volumes"] if one["name"] == "config")
    assert {item["path"] for item in volume["configMap"]["items"]} == set(values["config"])


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_the_configurations_shown_are_good(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICEGATE_REDIS", "redis://edge-redis:6379/0")
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef")
    for name, text in values_of(file)["config"].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("/run/secrets/sluicegate/ops-token", str(tmp_path / "token")))
    compiled = Compiler(tmp_path).compile()
    assert compiled.plan is not None, [str(finding) for finding in compiled.findings]


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_containers_are_sealed(file: Path) -> None:
    for pod in pods(render(values_of(file))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_a_pod_has_the_time_to_drain() -> None:
    values = values_of(DEPLOY / "helm/values/autoscaled.yaml") | {"drain": {"delay": 7, "timeout": 120}}
    gateway = gateway_of(render(values))
    assert gateway["terminationGracePeriodSeconds"] >= 3 + 7 + 120
    assert gateway["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 3
    assert gateway["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]


def test_an_autoscaler_counts_processor_and_requests_in_flight_and_owns_the_number_of_pods() -> None:
    manifests = render(values_of(DEPLOY / "helm/values/autoscaled.yaml"))
    (scaler,) = of_kind(manifests, "HorizontalPodAutoscaler")
    assert [metric["type"] for metric in scaler["spec"]["metrics"]] == ["Resource", "Pods"]
    (deployment,) = of_kind(manifests, "Deployment")
    assert "replicas" not in deployment["spec"]


@pytest.mark.parametrize(
    "values", [{"replicas": 2}, {"autoscaling": {"enabled": True}}], ids=["replicas", "autoscaling"]
)
def test_several_pods_without_a_redis_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError, match="shared store"):
        render({"config": CONFIG, **values})
    assert render({"config": CONFIG, **values, "redis": {"externalUrl": "redis://cache:6379/0"}})


def test_a_chart_without_a_configuration_says_how_to_give_it_one() -> None:
    with pytest.raises(helm_python.HelmError, match="set-file"):
        render({})


def test_two_stores_are_one_too_many() -> None:
    with pytest.raises(helm_python.HelmError, match="choose one"):
        render({"config": CONFIG, "redis": {"enabled": True, "externalUrl": "redis://cache:6379/0"}})


def test_the_compose_file_runs_what_the_image_offers() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    gateway = services["gateway"]
    assert gateway["command"][0] == "serve"
    assert gateway["read_only"] is True
    assert "--maxmemory-policy" in services["redis"]["command"]
