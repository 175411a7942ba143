"""EMR on EC2: a cluster that runs the jobs as steps and ends, and steps for one that is there."""

import json
from typing import Any, Literal

from headroom.config import Config
from headroom.deployment.applications import (
    PYTHON,
    Application,
    Shipped,
    applications,
    arguments,
)
from headroom.deployment.properties import Properties, as_options, cluster_properties
from headroom.deployment.settings import Deployment

_JARS = "/usr/share/aws/delta/lib"
_DISCOVERY = "/usr/lib/spark/scripts/gpu/getGpusResources.sh"
_CGROUPS = "/headroom-cgroup"
_OnFailure = Literal["TERMINATE_CLUSTER", "CANCEL_AND_WAIT"]
Request = dict[str, Any]


def emr_files(config: Config, deployment: Deployment, config_name: str) -> dict[str, str]:
    """Text by path: the requests RunJobFlow and AddJobFlowSteps, each for CPU and for GPU."""
    files = {}
    for suffix, gpu in (("", False), ("-gpu", True)):
        flow = job_flow(config, deployment, config_name, gpu)
        added = added_steps(config, deployment, config_name, gpu)
        files[f"emr/run-job-flow{suffix}.json"] = json.dumps(flow, indent=2) + "\n"
        files[f"emr/add-job-flow-steps{suffix}.json"] = json.dumps(added, indent=2) + "\n"
    files["emr/bootstrap-gpu.sh"] = _bootstrap()
    return files


def job_flow(config: Config, deployment: Deployment, config_name: str, gpu: bool) -> Request:
    """RunJobFlow: a cluster in a private subnet that runs the jobs one by one and terminates."""
    emr = deployment.emr
    request = {
        "Name": deployment.name,
        "ReleaseLabel": emr.release,
        "LogUri": f"{deployment.logs}/emr/",
        "ServiceRole": emr.service_role,
        "JobFlowRole": emr.instance_profile,
        "Applications": [{"Name": "Hadoop"}, {"Name": "Spark"}],
        "Configurations": _configurations(gpu),
        "Instances": _instances(config, deployment, gpu),
        "Steps": steps(config, deployment, config_name, gpu, "TERMINATE_CLUSTER"),
        "StepConcurrencyLevel": 1,  # one writer at a time
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "Tags": [{"Key": key, "Value": value} for key, value in deployment.tags.items()],
    }
    if emr.security_configuration:
        request["SecurityConfiguration"] = emr.security_configuration
    if gpu:
        path = f"{deployment.code}/bootstrap-gpu.sh"
        request["BootstrapActions"] = [
            {"Name": "device cgroup", "ScriptBootstrapAction": {"Path": path}}
        ]
    return request


def added_steps(config: Config, deployment: Deployment, config_name: str, gpu: bool) -> Request:
    """AddJobFlowSteps: the same steps for a running cluster, which stays when one fails."""
    return {
        "JobFlowId": deployment.emr.job_flow_id,
        "Steps": steps(config, deployment, config_name, gpu, "CANCEL_AND_WAIT"),
    }


def steps(
    config: Config,
    deployment: Deployment,
    config_name: str,
    gpu: bool,
    on_failure: _OnFailure,
) -> list[Request]:
    """One step per job, in order."""
    return [
        {
            "Name": application.job,
            "ActionOnFailure": on_failure,
            "HadoopJarStep": {
                "Jar": "command-runner.jar",
                "Args": list(_command(config, deployment, config_name, application, gpu)),
            },
        }
        for application in applications(config)
    ]


def _command(
    config: Config, deployment: Deployment, config_name: str, application: Application, gpu: bool
) -> tuple[str, ...]:
    shipped = Shipped(deployment.code)
    on_gpu = gpu and application.trains
    properties = {
        **cluster_properties(config, deployment, trains=application.trains, gpu=on_gpu),
        **_properties(deployment, on_gpu),
    }
    return (
        "spark-submit",
        *("--deploy-mode", "cluster"),
        *("--name", f"{deployment.name}-{application.job}"),
        *as_options(properties),
        *("--archives", shipped.environment(on_gpu)),
        *("--py-files", shipped.packages),
        *("--files", shipped.file(config_name)),
        shipped.file(application.script),
        *arguments(application, config_name, gpu),
    )


def _properties(deployment: Deployment, gpu: bool) -> Properties:
    jars = ["delta-spark.jar", "delta-storage.jar"]
    jars += ["delta-storage-s3-dynamodb.jar"] if deployment.lock_table else []
    discovery = {"spark.executor.resource.gpu.discoveryScript": _DISCOVERY} if gpu else {}
    return {
        "spark.jars": ",".join(f"{_JARS}/{name}" for name in jars),
        "spark.yarn.maxAppAttempts": "1",
        "spark.shuffle.service.enabled": "false",
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": PYTHON,
        "spark.yarn.appMasterEnv.TZ": "UTC",
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.TZ": "UTC",
        **discovery,
    }


def _instances(config: Config, deployment: Deployment, gpu: bool) -> Request:
    emr = deployment.emr
    groups = [("MASTER", emr.primary, 1), ("CORE", emr.core, emr.core_nodes)]
    if gpu:  # one GPU each, so one node per rank
        groups.append(("TASK", emr.gpu, config.training.ranks))
    return {
        "Ec2SubnetId": emr.subnet,
        "KeepJobFlowAliveWhenNoSteps": False,
        "TerminationProtected": False,
        "InstanceGroups": [
            {
                "Name": role.lower(),
                "InstanceRole": role,
                "InstanceType": instance,
                "InstanceCount": count,
                "Market": "ON_DEMAND",
            }
            for role, instance, count in groups
        ],
    }


def _configurations(gpu: bool) -> list[Request]:
    delta = {"Classification": "delta-defaults", "Properties": {"delta.enabled": "true"}}
    return [delta, *(_gpu_configurations() if gpu else [])]


def _gpu_configurations() -> list[Request]:
    """YARN that counts GPUs and shows a container only its own."""
    node = "yarn.nodemanager"
    container = f"{node}.linux-container-executor.cgroups"
    return [
        {
            "Classification": "yarn-site",
            "Properties": {
                "yarn.resource-types": "yarn.io/gpu",
                f"{node}.resource-plugins": "yarn.io/gpu",
                f"{node}.resource-plugins.gpu.allowed-gpu-devices": "auto",
                f"{node}.resource-plugins.gpu.path-to-discovery-executables": "/usr/bin",
                f"{container}.mount": "true",
                f"{container}.mount-path": _CGROUPS,
                f"{container}.hierarchy": "yarn",
                f"{node}.container-executor.class": (
                    "org.apache.hadoop.yarn.server.nodemanager.LinuxContainerExecutor"
                ),
            },
        },
        {
            "Classification": "container-executor",
            "Properties": {},
            "Configurations": [
                {"Classification": "gpu", "Properties": {"module.enabled": "true"}},
                {
                    "Classification": "cgroups",
                    "Properties": {"root": _CGROUPS, "yarn-hierarchy": "yarn"},
                },
            ],
        },
        {
            "Classification": "capacity-scheduler",
            "Properties": {
                "yarn.scheduler.capacity.resource-calculator": (
                    "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"
                )
            },
        },
    ]


def _bootstrap() -> str:
    """Amazon Linux 2023 has cgroups v2; YARN isolates GPUs through the devices group of v1."""
    return (
        "# The devices group of cgroups v1, through which YARN isolates GPUs.\n"
        "set -euo pipefail\n"
        f"sudo mkdir -p {_CGROUPS}/devices\n"
        f"sudo mount -t cgroup -o devices cgroupv1-devices {_CGROUPS}/devices\n"
        f"sudo chmod a+rwx -R {_CGROUPS}\n"
    )
