"""Checks Kubernetes manifests on standard input: each against Kubernetes' own schema, and what they name of each other.

    manifests.py [VALUES SCHEMA]    the two: a chart's values, and their schema

Prints the kinds of the manifests, in order. Fails with what is wrong.
"""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml

# Kubernetes' own, of the oldest and the newest version that the chart is for.
VERSIONS = ["1.30", "1.37"]
# Kinds of operators, whose schemas are not Kubernetes'.
FOREIGN = {"monitoring.coreos.com/v1", "postgresql.cnpg.io/v1"}


def check_schema(manifest):
    if manifest["apiVersion"] in FOREIGN:
        assert manifest["metadata"]["name"] and manifest["spec"], manifest
        return
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def pods(manifests):
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            yield manifest, manifest["spec"]["template"]


def check_deployment(manifest, template, names):
    spec, labels = template["spec"], template["metadata"]["labels"]
    selector = manifest["spec"]["selector"]["matchLabels"]
    assert selector.items() <= labels.items(), (selector, labels)
    account = spec.get("serviceAccountName", "default")
    assert account == "default" or ("ServiceAccount", account) in names, account
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for volume in volumes.values():
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in names, volume
    for container in spec["containers"]:
        ports = {port["name"] for port in container["ports"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes), container
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
            assert container[probe]["httpGet"]["port"] in ports, container[probe]
        assert container["securityContext"]["readOnlyRootFilesystem"], container
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    # listen.shutdown_timeout is 30 seconds where nobody says otherwise.
    assert spec["terminationGracePeriodSeconds"] > pause + 30, spec


def check_names(manifests):
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    assert len(names) == len(manifests), "two of one name"
    for manifest, template in pods(manifests):
        check_deployment(manifest, template, names)
    labels = [template["metadata"]["labels"] for _, template in pods(manifests)]
    ports = {port["name"] for _, template in pods(manifests) for c in template["spec"]["containers"] for port in c["ports"]}
    finds = lambda selector: any(selector.items() <= pod.items() for pod in labels)
    for manifest in manifests:
        spec = manifest.get("spec", {})
        match manifest["kind"]:
            case "Service":
                assert finds(spec["selector"]), manifest
                assert {port["targetPort"] for port in spec["ports"]} <= ports, manifest
            case "PodDisruptionBudget":
                assert finds(spec["selector"]["matchLabels"]), manifest
            case "NetworkPolicy":
                assert finds(spec["podSelector"]["matchLabels"]), manifest
                assert {rule["ports"][0]["port"] for rule in spec["ingress"]} == ports, manifest
            case "HorizontalPodAutoscaler":
                target = spec["scaleTargetRef"]
                assert (target["kind"], target["name"]) in names, manifest
            case "ServiceMonitor":
                wanted = spec["selector"]["matchLabels"].items()
                found = [m for m in manifests if m["kind"] == "Service" and wanted <= m["metadata"]["labels"].items()]
                assert len(found) == 1, manifest
                have = {port["name"] for port in found[0]["spec"]["ports"]}
                assert {endpoint["port"] for endpoint in spec["endpoints"]} <= have, manifest


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with open(sys.argv[1]) as values, open(sys.argv[2]) as schema:
            jsonschema.validate(yaml.safe_load(values), json.load(schema))
    manifests = [manifest for manifest in yaml.safe_load_all(sys.stdin) if manifest]
    for manifest in manifests:
        check_schema(manifest)
    check_names(manifests)
    print("\n".join(manifest["kind"] for manifest in manifests))
