"""Every generated file of `conf/`, as text by path."""

import json

from headroom.config import Config, json_schema
from headroom.deployment.databricks import databricks_files
from headroom.deployment.emr import emr_files
from headroom.deployment.emr_serverless import emr_serverless_files
from headroom.deployment.settings import Deployment
from headroom.deployment.submit import CLUSTERS, cluster_files


def deployment_files(config: Config, deployment: Deployment, config_name: str) -> dict[str, str]:
    """Text of each file by its path under `conf/`. `config_name` is the file's bare name.

    Raises ConfigError where a platform does not offer what is asked of it.
    """
    files: dict[str, str] = {}
    for cluster in CLUSTERS:
        files |= cluster_files(config, deployment, config_name, cluster)
    files |= emr_files(config, deployment, config_name)
    files |= emr_serverless_files(config, deployment, config_name)
    files |= databricks_files(config, deployment, config_name)
    return {**_schemas(), **{path: _marked(path, text) for path, text in files.items()}}


def _schemas() -> dict[str, str]:
    deployment = json.dumps(Deployment.model_json_schema(), indent=2) + "\n"
    return {"config.schema.json": json_schema(), "deployment.schema.json": deployment}


def _marked(path: str, text: str) -> str:
    """The text below a line that says where it comes from; JSON has no comments."""
    if path.endswith(".json"):
        return text
    shebang = "#!/usr/bin/env bash\n" if path.endswith(".sh") else ""
    return (
        f"{shebang}# Written by `make conf`: change fleet.yaml or deployment.yaml instead.\n{text}"
    )
