"""EMR Serverless: an application, and a job run per job. It has no GPUs: ranks compute on CPUs."""

import json
import math
from typing import Any

from headroom.config import Config
from headroom.deployment.applications import (
    PYTHON,
    Application,
    Shipped,
    applications,
    arguments,
)
from headroom.deployment.properties import Properties, as_options, cluster_properties, executors
from headroom.deployment.settings import Deployment, Size
from headroom.errors import ConfigError

_JARS = "/usr/share/aws/delta/lib"
# GiB that a worker of so many vCPUs may have: least, most, step.
_WORKERS = {1: (2, 8, 1), 2: (4, 16, 1), 4: (8, 30, 1), 8: (16, 60, 4), 16: (32, 120, 8)}
# The service unpacks archives beside the driver, so the configuration comes as one.
_CONFIG = "conf"
Request = dict[str, Any]


def emr_serverless_files(
    config: Config, deployment: Deployment, config_name: str
) -> dict[str, str]:
    """Text by path: CreateApplication, and StartJobRun of every job."""
    requests = {"create-application": application_request(config, deployment)}
    for application in applications(config):
        requests[f"start-{application.job}"] = job_run(config, deployment, config_name, application)
    return {
        f"emr-serverless/{name}.json": json.dumps(request, indent=2) + "\n"
        for name, request in requests.items()
    }


def application_request(config: Config, deployment: Deployment) -> Request:
    """CreateApplication, in private subnets, with room for the largest job and no more.

    Raises ConfigError where a size is none that the service offers.
    """
    serverless = deployment.emr_serverless
    for name, size in _sizes(deployment).items():
        _check(name, size)
    return {
        "name": deployment.name,
        "releaseLabel": serverless.release,
        "type": "SPARK",
        "architecture": "X86_64",  # MXNet has no wheel for ARM
        "maximumCapacity": _capacity(config, deployment),
        "autoStartConfiguration": {"enabled": True},
        "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 15},
        "networkConfiguration": {
            "subnetIds": list(serverless.subnets),
            "securityGroupIds": list(serverless.security_groups),
        },
        "tags": dict(deployment.tags),
    }


def job_run(
    config: Config, deployment: Deployment, config_name: str, application: Application
) -> Request:
    """StartJobRun. Without a clientToken, which the caller draws anew for each run."""
    properties = {
        **cluster_properties(
            config, deployment, trains=application.trains, gpu=False, secure=False
        ),
        **_properties(deployment),
    }
    return {
        "applicationId": deployment.emr_serverless.application_id,
        "executionRoleArn": deployment.emr_serverless.role,
        "name": f"{deployment.name}-{application.job}",
        "mode": "BATCH",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": Shipped(deployment.code).file(application.script),
                "entryPointArguments": list(arguments(application, f"{_CONFIG}/{config_name}")),
                "sparkSubmitParameters": " ".join(as_options(properties)),
            }
        },
        "configurationOverrides": {
            "monitoringConfiguration": {
                "s3MonitoringConfiguration": {"logUri": f"{deployment.logs}/emr-serverless/"}
            }
        },
        "executionTimeoutMinutes": _timeout_minutes(config, application),
        # Writes can be repeated; training has attempts of its own.
        "retryPolicy": {"maxAttempts": 1 if application.trains else 2},
        "tags": dict(deployment.tags),
    }


def _properties(deployment: Deployment) -> Properties:
    shipped = Shipped(deployment.code)
    archives = (shipped.environment(), f"{shipped.file('conf.zip')}#{_CONFIG}")
    jars = ["delta-spark.jar", "delta-storage.jar"]
    jars += ["delta-storage-s3-dynamodb.jar"] if deployment.lock_table else []
    environment = "spark.emr-serverless.driverEnv"
    return {
        "spark.archives": ",".join(archives),
        "spark.submit.pyFiles": shipped.packages,
        "spark.jars": ",".join(f"{_JARS}/{name}" for name in jars),
        f"{environment}.PYSPARK_DRIVER_PYTHON": PYTHON,
        f"{environment}.PYSPARK_PYTHON": PYTHON,
        f"{environment}.TZ": "UTC",
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.TZ": "UTC",
    }


def _timeout_minutes(config: Config, application: Application) -> int:
    """Four hours, or what training may take with all its attempts."""
    training = config.training
    seconds = training.timeout_seconds * training.attempts if application.trains else 0
    return max(240, math.ceil(seconds / 60) + 60)


def _sizes(deployment: Deployment) -> dict[str, Size]:
    return {
        "driver": deployment.driver,
        "executor": deployment.executor,
        "rank": deployment.rank,
    }


def _check(name: str, size: Size) -> None:
    if size.cores not in _WORKERS:
        raise ConfigError(
            f"{name}.cores: EMR Serverless has workers of {', '.join(map(str, _WORKERS))} vCPUs, "
            f"not {size.cores}"
        )
    least, most, step = _WORKERS[size.cores]
    if not least <= size.total_gib <= most or size.total_gib % step:
        raise ConfigError(
            f"{name}: an EMR Serverless worker of {size.cores} vCPUs has {least} to {most} GiB in "
            f"steps of {step}, heap and overhead together, not {size.total_gib}"
        )


def _capacity(config: Config, deployment: Deployment) -> dict[str, str]:
    """What the largest job takes: its driver and its executors, 20 GB of disk each."""
    needs = []
    for trains, size in ((False, deployment.executor), (True, deployment.rank)):
        count = executors(config, deployment, trains=trains)
        cores = deployment.driver.cores + count * size.cores
        needs.append((cores, deployment.driver.total_gib + count * size.total_gib, 1 + count))
    cores, memory, workers = (max(need) for need in zip(*needs, strict=True))
    return {"cpu": f"{cores} vCPU", "memory": f"{memory} GB", "disk": f"{20 * workers} GB"}
