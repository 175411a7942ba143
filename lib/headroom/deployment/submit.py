"""spark-submit on YARN, Kubernetes and Spark's own standalone cluster."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from headroom.config import Config
from headroom.deployment.applications import (
    PYTHON,
    Application,
    Shipped,
    applications,
    arguments,
)
from headroom.deployment.properties import Properties, as_file, cluster_properties
from headroom.deployment.settings import Deployment

_DIST = Shipped("dist")
# s3:// is read by Hadoop's S3A, so that one configuration fits these clusters, EMR and Databricks.
_S3 = {
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster manager: its folder under conf/, its master and its own properties."""

    name: str
    master: Callable[[Deployment], str]
    properties: Callable[[Deployment, bool], Properties]
    secure: bool = True
    driver_here: bool = False  # the driver runs where spark-submit does, among the project's files


def _yarn_properties(deployment: Deployment, gpu: bool) -> Properties:
    discovery = "spark.executor.resource.gpu.discoveryScript"
    return {
        **_S3,
        "spark.jars": _jars(deployment),
        "spark.yarn.queue": deployment.yarn.queue,
        "spark.yarn.maxAppAttempts": "1",  # a second driver beside a half-dead one writes too
        "spark.shuffle.service.enabled": "false",
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": PYTHON,
        "spark.yarn.appMasterEnv.TZ": "UTC",
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.TZ": "UTC",
        **({discovery: deployment.yarn.discovery_script} if gpu else {}),
    }


def _kubernetes_properties(deployment: Deployment, gpu: bool) -> Properties:
    cluster = deployment.kubernetes
    kubernetes = "spark.kubernetes"
    properties = {
        **_S3,
        "spark.jars": _jars(deployment),
        f"{kubernetes}.namespace": cluster.namespace,
        f"{kubernetes}.container.image": cluster.image,
        f"{kubernetes}.authenticate.driver.serviceAccountName": cluster.service_account,
        f"{kubernetes}.driver.label.app": deployment.name,
        f"{kubernetes}.executor.label.app": deployment.name,
        f"{kubernetes}.driver.request.cores": str(deployment.driver.cores),
        f"{kubernetes}.driverEnv.PYSPARK_PYTHON": PYTHON,
        f"{kubernetes}.driverEnv.TZ": "UTC",
        f"{kubernetes}.submission.waitAppCompletion": "true",
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.TZ": "UTC",
    }
    if gpu:
        properties |= {
            "spark.executor.resource.gpu.vendor": "nvidia.com",
            "spark.executor.resource.gpu.discoveryScript": cluster.discovery_script,
            f"{kubernetes}.executor.podTemplateFile": "conf/kubernetes/executor-gpu.yaml",
        }
    return properties


def _standalone_properties(deployment: Deployment, _gpu: bool) -> Properties:
    return {
        **_S3,
        "spark.jars": deployment.standalone.jars,
        "spark.pyspark.python": PYTHON,
        "spark.pyspark.driver.python": deployment.standalone.python,
        "spark.executorEnv.TZ": "UTC",
    }


def _core_limit(properties: Properties) -> Properties:
    """A standalone master knows no number of executors, only a number of cores."""
    count, cores = properties["spark.executor.instances"], properties["spark.executor.cores"]
    return {"spark.cores.max": str(int(count) * int(cores))}


def _jars(deployment: Deployment) -> str:
    return ",".join(f"{deployment.code}/jars/{name}" for name in deployment.jars)


CLUSTERS = (
    Cluster("yarn", lambda _: "yarn", _yarn_properties),
    Cluster("kubernetes", lambda deployment: deployment.kubernetes.master, _kubernetes_properties),
    # Its processes share one secret that an operator sets on every machine (docs/running.md).
    Cluster(
        "standalone",
        lambda deployment: deployment.standalone.master,
        _standalone_properties,
        secure=False,
        driver_here=True,
    ),
)


def submit_command(
    cluster: Cluster,
    application: Application,
    deployment: Deployment,
    config_name: str,
    gpu: bool = False,
) -> tuple[str, ...]:
    """The spark-submit command of one job, word by word, to be run from the project's root."""
    shipped = _DIST if cluster.driver_here else Shipped(deployment.code)
    on_gpu = gpu and application.trains
    return (
        "spark-submit",
        *("--master", cluster.master(deployment)),
        *("--deploy-mode", "client" if cluster.driver_here else "cluster"),
        *("--name", f"{deployment.name}-{application.job}"),
        *("--properties-file", f"conf/{cluster.name}/{_properties_name(application, gpu)}"),
        *("--archives", shipped.environment(on_gpu)),
        *("--py-files", shipped.packages),
        *_driver_words(cluster, application, shipped, config_name, on_gpu),
    )


def _driver_words(
    cluster: Cluster, application: Application, shipped: Shipped, config_name: str, gpu: bool
) -> tuple[str, ...]:
    """Script and configuration: files of the project, or shipped to a driver elsewhere, where the
    configuration lands in the working directory and goes by its bare name."""
    if cluster.driver_here:
        return (application.script, *arguments(application, f"conf/{config_name}", gpu))
    return (
        *("--files", shipped.file(config_name)),
        shipped.file(application.script),
        *arguments(application, config_name, gpu),
    )


def cluster_files(
    config: Config, deployment: Deployment, config_name: str, cluster: Cluster
) -> dict[str, str]:
    """Text by path of everything for one cluster manager: properties and scripts."""
    folder = cluster.name
    files = {}
    for name, trains, gpu in (
        ("processing", False, False),
        ("training", True, False),
        ("training-gpu", True, True),
    ):
        properties = {
            **cluster_properties(config, deployment, trains=trains, gpu=gpu, secure=cluster.secure),
            **cluster.properties(deployment, gpu),
        }
        if cluster.driver_here:
            properties |= _core_limit(properties)
        files[f"{folder}/{name}.properties"] = as_file(properties)
    for name, gpu in (("submit.sh", False), ("submit-gpu.sh", True)):
        files[f"{folder}/{name}"] = _script(config, deployment, config_name, cluster, gpu)
    if cluster.name == "kubernetes":
        files |= _manifests(deployment)
    return files


def _properties_name(application: Application, gpu: bool) -> str:
    if not application.trains:
        return "processing.properties"
    return "training-gpu.properties" if gpu else "training.properties"


def _script(
    config: Config, deployment: Deployment, config_name: str, cluster: Cluster, gpu: bool
) -> str:
    jobs = applications(config)
    every = " ".join(application.job for application in jobs)
    lines = [
        "# All jobs in order, or those named: submit.sh ingest features",
        "set -euo pipefail",
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."',
        f'every="{every}"',
        'wanted=" ${*:-$every} "',
        "for job in $wanted; do",
        '  if [[ " $every " != *" $job "* ]]; then',
        '    echo "no job $job; there are: $every" >&2',
        "    exit 2",
        "  fi",
        "done",
    ]
    for application in jobs:
        command = submit_command(cluster, application, deployment, config_name, gpu)
        lines += ["", f'if [[ $wanted == *" {application.job} "* ]]; then']
        lines += [f"  {_broken(command)}", "fi"]
    return "\n".join(lines) + "\n"


def _broken(command: tuple[str, ...]) -> str:
    """The quoted command with each option, and the script, on a line of its own."""
    text = shlex.quote(command[0])
    for word in command[1:]:
        starts_line = word.startswith("--") or word.endswith(".py")
        text += (" \\\n    " if starts_line else " ") + shlex.quote(word)
    return text


def _manifests(deployment: Deployment) -> dict[str, str]:
    """The pods that may talk to each other, and where GPU executors may be placed."""
    mine = {"matchLabels": {"app": deployment.name}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": deployment.name, "namespace": deployment.kubernetes.namespace},
        "spec": {
            "podSelector": mine,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": mine}]}],
        },
    }
    executor = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
            ],
        },
    }
    return {
        "kubernetes/network-policy.yaml": yaml.safe_dump(policy, sort_keys=False),
        "kubernetes/executor-gpu.yaml": yaml.safe_dump(executor, sort_keys=False),
    }
