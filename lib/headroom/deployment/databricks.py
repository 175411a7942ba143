"""A Databricks asset bundle: one job whose tasks are headroom's jobs, on two clusters of its own.

Tasks are `spark_python_task`s on the scripts of `jobs/`, not `python_wheel_task`s: the script that
spark-submit runs elsewhere is the one that runs here, and no entry point has to be kept in step.
"""

from typing import Any

import yaml

from headroom.config import Config
from headroom.deployment.applications import WHEEL, Application, applications, arguments
from headroom.deployment.properties import FIXED, Properties, thread_properties
from headroom.deployment.settings import Databricks, Deployment

_PROCESSING, _TRAINING = "processing", "training"
_ROOT = "../../.."  # from conf/databricks/resources to the project's root
_HOUR = 3600
Block = dict[str, Any]


def databricks_files(config: Config, deployment: Deployment, config_name: str) -> dict[str, str]:
    """Text by path: databricks.yml and the job that it includes."""
    job = {"resources": {"jobs": {deployment.name: _job(config, deployment, config_name)}}}
    return {
        "databricks/databricks.yml": _dump(bundle(config, deployment)),
        f"databricks/resources/{deployment.name}.yml": _dump(job),
    }


def bundle(config: Config, deployment: Deployment) -> Block:
    """databricks.yml: what is uploaded, the variables, and where dev and prod differ."""
    settings = deployment.databricks
    return {
        "bundle": {"name": deployment.name, "databricks_cli_version": ">= 0.268.0"},
        "include": ["resources/*.yml"],
        "sync": {"paths": ["../../jobs", "../../conf"]},
        "variables": _variables(config, settings),
        "targets": {
            "dev": {
                "default": True,
                "mode": "development",
                "workspace": {"host": settings.host},
                "variables": {"schema": settings.dev_schema, "workers": 1},
            },
            "prod": {
                "mode": "production",
                "workspace": {
                    "host": settings.host,
                    "root_path": "/Workspace/Shared/.bundle/${bundle.name}/${bundle.target}",
                },
                "run_as": {"service_principal_name": settings.run_as},
                "permissions": [{"level": "CAN_VIEW", "group_name": "users"}],
            },
        },
    }


def _variables(config: Config, settings: Databricks) -> Block:
    variables = {
        "catalog": ("Unity Catalog that holds the tables", settings.catalog),
        "schema": ("Schema that holds the tables", settings.schema_name),
        "volume": ("Volume of that schema, for weights, shards and the report", settings.volume),
        "spark_version": ("Databricks Runtime of the CPU cluster", settings.spark_version),
        "gpu_spark_version": ("Databricks Runtime of the GPU cluster", settings.spark_version),
        "node_type": ("Instance type of the CPU cluster", settings.node_type),
        "workers": ("Workers of the CPU cluster", settings.workers),
        "gpu_node_type": ("Instance type with one GPU", settings.gpu_node_type),
        "ranks": ("Horovod ranks, each on a GPU worker of its own", config.training.ranks),
        "image": ("Container image with the environment", settings.image),
        "gpu_image": ("The same with CUDA", settings.gpu_image),
        "notify": ("E-mail address for failures", settings.notify),
    }
    return {
        name: {"description": description, "default": default}
        for name, (description, default) in variables.items()
    }


def _job(config: Config, deployment: Deployment, config_name: str) -> Block:
    jobs = applications(config)
    before = (None, *jobs[:-1])
    return {
        "name": f"{deployment.name}-${{bundle.target}}",
        "description": "Forecasts of the fleet, and what they recommend",
        "max_concurrent_runs": 1,
        "queue": {"enabled": True},
        "schedule": {
            "quartz_cron_expression": deployment.databricks.cron,
            "timezone_id": "UTC",
            "pause_status": "UNPAUSED",
        },
        "email_notifications": {"on_failure": ["${var.notify}"]},
        "notification_settings": {"no_alert_for_canceled_runs": True},
        "tags": dict(deployment.tags),
        "job_clusters": [_processing_cluster(deployment), _training_cluster(deployment)],
        "tasks": [
            _task(config, config_name, application, previous)
            for application, previous in zip(jobs, before, strict=True)
        ],
    }


def _task(
    config: Config, config_name: str, application: Application, previous: Application | None
) -> Block:
    places = ("warehouse=${var.catalog}.${var.schema}", f"artifacts={_volume_path()}")
    ranks = ("training.ranks=${var.ranks}",) if application.trains else ()
    overrides = tuple(word for value in (*places, *ranks) for word in ("--set", value))
    command = arguments(application, f"${{workspace.file_path}}/conf/{config_name}", gpu=True)
    task = {
        "task_key": application.job,
        "job_cluster_key": _TRAINING if application.trains else _PROCESSING,
        "spark_python_task": {
            "python_file": f"{_ROOT}/{application.script}",
            "parameters": [*command, *overrides],
        },
        "libraries": [{"whl": f"{_ROOT}/dist/{WHEEL}"}],
        # Writes can be repeated; training has attempts of its own.
        "max_retries": 0 if application.trains else 1,
        "timeout_seconds": _timeout(config, application),
    }
    if previous:
        task["depends_on"] = [{"task_key": previous.job}]
    return task


def _volume_path() -> str:
    return "/Volumes/${var.catalog}/${var.schema}/${var.volume}"


def _timeout(config: Config, application: Application) -> int:
    training = config.training
    return 4 * _HOUR + (training.timeout_seconds * training.attempts if application.trains else 0)


def _processing_cluster(deployment: Deployment) -> Block:
    cluster = _cluster(deployment, "", thread_properties(1))
    return {
        "job_cluster_key": _PROCESSING,
        "new_cluster": {**cluster, "num_workers": "${var.workers}"},
    }


def _training_cluster(deployment: Deployment) -> Block:
    """One worker with one GPU per rank: a task takes the GPU, so ranks never share one."""
    properties = {
        **thread_properties(deployment.rank.cores),
        "spark.task.resource.gpu.amount": "1",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }
    return {
        "job_cluster_key": _TRAINING,
        "new_cluster": {
            **_cluster(deployment, "gpu_", properties),
            "num_workers": "${var.ranks}",
        },
    }


def _cluster(deployment: Deployment, kind: str, properties: Properties) -> Block:
    return {
        "spark_version": f"${{var.{kind}spark_version}}",
        "node_type_id": f"${{var.{kind}node_type}}",
        # Containers, GPUs and Horovod need a cluster of one user.
        "data_security_mode": "SINGLE_USER",
        "docker_image": {"url": f"${{var.{kind}image}}"},
        # Delta and its catalog are the runtime's own.
        "spark_conf": {**FIXED, **properties},
        "spark_env_vars": {"TZ": "UTC"},
        "custom_tags": dict(deployment.tags),
    }


def _dump(block: Block) -> str:
    return yaml.safe_dump(block, sort_keys=False, width=100, allow_unicode=True)
