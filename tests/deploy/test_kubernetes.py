"""The manifests as they are composed: their schemas, their hardening, how they fit together, and their settings."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.deploy.kustomize import Manifest, build, identity, ordered

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
COMPOSED = {name: FOLDER / name for name in ("base", "overlays/standalone", "overlays/sidecar")}
MANIFESTS = {name: build(folder) for name, folder in COMPOSED.items()}
PROCESSES = {"receiver": 9101, "scheduler": 9102}
VERSIONS = ("1.29", "1.37")
SECRETS = "/run/secrets/agora-sidecar/"

everywhere = pytest.mark.parametrize("name", COMPOSED)
each = pytest.mark.parametrize(
    ("name", "process"), [(name, process) for name in COMPOSED for process in PROCESSES]
)


def of_kind(name: str, kind: str) -> list[Manifest]:
    return [one for one in MANIFESTS[name] if one["kind"] == kind]


def pods(name: str) -> list[dict[str, Any]]:
    return [one["spec"]["template"] for one in of_kind(name, "StatefulSet")]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def of(name: str, process: str) -> tuple[Manifest, dict[str, Any]]:
    """The StatefulSet in which a process runs, and its container."""
    [found] = [
        (one, container)
        for one in of_kind(name, "StatefulSet")
        for container in containers(one["spec"]["template"])
        if container["name"] == process
    ]
    return found


def settings_map(name: str, which: str) -> dict[str, str]:
    [found] = [m for m in of_kind(name, "ConfigMap") if m["metadata"]["name"] == which]
    data: dict[str, str] = found["data"]
    return data


def environment(name: str, process: str) -> dict[str, str]:
    _, container = of(name, process)
    [source] = container["envFrom"]
    shared = settings_map(name, source["configMapRef"]["name"])
    names = [item["name"] for item in container["env"]]
    assert len(set(names)) == len(names)
    return shared | {item["name"]: item["value"] for item in container["env"]}


@everywhere
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_what_kubernetes_allows(name: str, version: str) -> None:
    for manifest in MANIFESTS[name]:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_refuse_a_field_that_does_not_exist() -> None:
    wrong = of_kind("base", "Service")[0] | {"specc": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@everywhere
def test_kustomize_composes_the_same(name: str) -> None:
    if shutil.which("kubectl") is None:
        return  # the builder of these tests is strict, this is its own proof where it can be had
    run = subprocess.run(
        ["kubectl", "kustomize", str(COMPOSED[name])],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    theirs = {identity(one): ordered(one) for one in yaml.safe_load_all(run.stdout)}
    assert theirs == {identity(one): ordered(one) for one in MANIFESTS[name]}


@everywhere
def test_pods_keep_to_the_restricted_standard(name: str) -> None:
    for pod in pods(name):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert all({"hostPath", "nfs"}.isdisjoint(volume) for volume in spec["volumes"])
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} == container["resources"].keys()


@each
def test_a_process_runs_as_the_user_of_the_image(name: str, process: str) -> None:
    workload, container = of(name, process)
    pod = workload["spec"]["template"]["spec"]["securityContext"]
    assert (pod | container["securityContext"])["runAsUser"] == 10001
    assert pod["fsGroup"] == 10001


@each
def test_the_data_is_on_a_volume_that_survives_the_pod(name: str, process: str) -> None:
    workload, container = of(name, process)
    [mount] = [m for m in container["volumeMounts"] if m["mountPath"] == "/var/lib/agora-sidecar"]
    claims = [claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]]
    assert mount["name"] in claims
    kept = workload["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@everywhere
def test_no_two_processes_share_a_volume_of_data(name: str) -> None:
    for pod in pods(name):
        mounts = [m for c in containers(pod) for m in c.get("volumeMounts", ())]
        data = [m["name"] for m in mounts if m["mountPath"] == "/var/lib/agora-sidecar"]
        assert len(set(data)) == len(data)


@everywhere
def test_every_mount_has_its_volume(name: str) -> None:
    for one in of_kind(name, "StatefulSet"):
        spec = one["spec"]
        pod = spec["template"]["spec"]
        there = {volume["name"] for volume in pod["volumes"]}
        there |= {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
        mounts = [m for c in containers(spec["template"]) for m in c.get("volumeMounts", ())]
        assert {mount["name"] for mount in mounts} == there


@each
def test_probes_reach_the_ops_port(name: str, process: str) -> None:
    _, container = of(name, process)
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        get = container[f"{probe}Probe"]["httpGet"]
        assert (get["path"], numbers[get["port"]]) == (path, PROCESSES[process])
    config = settings_map(name, "agora-sidecar")["config.toml"]
    assert f'ops_listen = "0.0.0.0:{PROCESSES[process]}"' in config


@each
def test_a_process_is_given_the_secrets_that_it_names_and_no_other(name: str, process: str) -> None:
    workload, container = of(name, process)
    given = environment(name, process)
    named = {v.removeprefix(SECRETS) for k, v in given.items() if k.endswith("_FILE")}
    [mount] = [m for m in container["volumeMounts"] if f"{m['mountPath']}/" == SECRETS]
    volumes = workload["spec"]["template"]["spec"]["volumes"]
    [volume] = [v for v in volumes if v["name"] == mount["name"]]
    assert {item["path"] for item in volume["secret"]["items"]} == named
    assert [n for n in given if re.search("SECRET$|TOKEN$|URL$", n)] == []


@each
def test_the_settings_are_valid(name: str, process: str, tmp_path: Path) -> None:
    given = environment(name, process)
    for setting, value in given.items():
        if setting.endswith("_FILE"):
            file = tmp_path / Path(value).name
            file.write_text("redis://u:p@redis:6379/0" if "url" in file.name else "of-a-test")
            given[setting] = str(file)
    config = tmp_path / "config.toml"
    config.write_text(settings_map(name, "agora-sidecar")["config.toml"])
    assert given["SIDECAR_CONFIG"] == "/etc/agora-sidecar/config.toml"
    run = subprocess.run(
        [sys.executable, "-m", "agora_sidecar", "config", "check", "--for", process],
        env={"PATH": os.environ["PATH"], **given, "SIDECAR_CONFIG": str(config)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@everywhere
def test_services_lead_to_ports_of_pods_that_are_there(name: str) -> None:
    for service in of_kind(name, "Service"):
        wanted = service["spec"]["selector"].items()
        [pod] = [p for p in pods(name) if wanted <= p["metadata"]["labels"].items()]
        named = {port["name"] for c in containers(pod) for port in c["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
        assert not any("ops" in port["targetPort"] for port in service["spec"]["ports"])


@everywhere
def test_only_monitoring_reaches_the_ops_ports_and_every_pod_has_a_policy(name: str) -> None:
    policies = of_kind(name, "NetworkPolicy")
    for pod in pods(name):
        labels = pod["metadata"]["labels"].items()
        mine = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= labels]
        assert len(mine) == 1
        named = {port["name"] for c in containers(pod) for port in c["ports"]}
        for rule in mine[0]["spec"]["ingress"]:
            ports = {port["port"] for port in rule["ports"]}
            assert ports <= named
            if any("ops" in port for port in ports):
                labels_of = rule["from"][0]["namespaceSelector"]["matchLabels"]
                assert labels_of == {"kubernetes.io/metadata.name": "monitoring"}


@pytest.mark.parametrize("name", ["base", "overlays/standalone"])
def test_a_disruption_takes_one_receiver_at_a_time(name: str) -> None:
    [budget] = of_kind(name, "PodDisruptionBudget")
    workload, _ = of(name, "receiver")
    assert budget["spec"]["selector"] == workload["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] == 1


@each
def test_a_process_has_time_to_finish(name: str, process: str) -> None:
    workload, _ = of(name, process)
    grace = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= {"receiver": 35, "scheduler": 45}[process]


def test_several_receivers_and_the_scheduler_know_the_same_streams() -> None:
    workload, _ = of("overlays/standalone", "receiver")
    assert workload["spec"]["replicas"] > 1
    shards = {environment("overlays/standalone", p)["SIDECAR_STREAM__SHARDS"] for p in PROCESSES}
    assert shards == {"4"}


def test_the_public_service_keeps_the_address_of_who_calls_and_speaks_tls() -> None:
    [service] = [
        one["spec"]
        for one in of_kind("overlays/standalone", "Service")
        if one["metadata"]["name"] == "agora-sidecar-receiver"
    ]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert [port["port"] for port in service["ports"]] == [443]
    assert "SIDECAR_RECEIVER__TLS_KEY" in environment("overlays/standalone", "receiver")


def test_in_the_business_pod_both_start_first_and_the_recordings_stay_on_loopback() -> None:
    [pod] = pods("overlays/sidecar")
    sidecars = pod["spec"]["initContainers"]
    assert [one["name"] for one in sidecars] == list(PROCESSES)
    assert all(one["restartPolicy"] == "Always" for one in sidecars)
    given = environment("overlays/sidecar", "scheduler")
    assert given["SIDECAR_GATEWAY__LISTEN"] == "127.0.0.1:8081"


def test_no_manifest_holds_a_secret() -> None:
    assert [one for name in COMPOSED for one in of_kind(name, "Secret")] == []
