"""EMR's requests fit the service models, and the check that says so can fail."""

import copy
import json
from typing import Any

import pytest

from headroom.config import Config, build_config
from headroom.deployment.applications import applications
from headroom.deployment.emr_serverless import application_request
from headroom.deployment.files import deployment_files
from headroom.deployment.settings import Deployment, LockTable, Size
from headroom.errors import ConfigError
from tests.deployment.aws_shapes import request_faults

Request = dict[str, Any]


def operation(path: str) -> tuple[str, str]:
    folder, name = path.split("/")
    if folder == "emr":
        return "emr", "AddJobFlowSteps" if name.startswith("add-") else "RunJobFlow"
    return "emr-serverless", "StartJobRun" if name.startswith("start-") else "CreateApplication"


def requests(files: dict[str, str], folder: str) -> dict[str, Request]:
    return {
        path: json.loads(text)
        for path, text in files.items()
        if path.startswith(folder) and path.endswith(".json")
    }


def test_every_request_fits_its_service_model(files: dict[str, str]) -> None:
    found = {**requests(files, "emr/"), **requests(files, "emr-serverless/")}
    assert len(found) == 4 + 1 + 9
    for path, request in found.items():
        assert request_faults(*operation(path), request) == [], path


def spoil_step_action(flow: Request) -> None:
    flow["Steps"][0]["ActionOnFailure"] = "STOP"


def spoil_group_role(flow: Request) -> None:
    flow["Instances"]["InstanceGroups"][1]["InstanceRole"] = "WORKER"


def spoil_required(flow: Request) -> None:
    del flow["Steps"][2]["HadoopJarStep"]["Jar"]


def spoil_key(flow: Request) -> None:
    flow["Instances"]["Ec2Subnet"] = "subnet-1"


def spoil_type(flow: Request) -> None:
    flow["Instances"]["InstanceGroups"][0]["InstanceCount"] = "1"


def spoil_pattern(flow: Request) -> None:
    flow["Name"] = "head\0room"


def spoil_length(flow: Request) -> None:
    flow["Instances"]["InstanceGroups"][0]["InstanceType"] = "m" * 257


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (spoil_step_action, "'STOP' is none of"),
        (spoil_group_role, "'WORKER' is none of"),
        (spoil_required, 'Missing required parameter in Steps[2].HadoopJarStep: "Jar"'),
        (spoil_key, 'Unknown parameter in Instances: "Ec2Subnet"'),
        (spoil_type, "Invalid type for parameter Instances.InstanceGroups[0].InstanceCount"),
        (spoil_pattern, "does not match"),
        (spoil_length, "257 is above 256"),
    ],
)
def test_the_check_of_a_cluster_request_finds(
    files: dict[str, str], spoil: Any, fault: str
) -> None:
    flow = copy.deepcopy(requests(files, "emr/")["emr/run-job-flow.json"])
    spoil(flow)
    assert any(fault in found for found in request_faults("emr", "RunJobFlow", flow))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mode": "NIGHTLY"}, "'NIGHTLY' is none of"),
        ({"applicationId": "00F1"}, "'00F1' does not match [0-9a-z]+"),
        ({"executionRoleArn": "arn:aws:iam::12:role/x-y-z"}, "does not match arn:"),
        ({"name": ""}, "0 is below 1"),
        ({"tags": {"team": "a|b"}}, "'a|b' does not match"),
        ({"retryPolicy": {"maxAttempts": 0}}, "0 is below 1"),
    ],
)
def test_the_check_of_a_job_run_finds(files: dict[str, str], change: Request, fault: str) -> None:
    run = {**requests(files, "emr-serverless/")["emr-serverless/start-score.json"], **change}
    assert any(fault in found for found in request_faults("emr-serverless", "StartJobRun", run))


def test_steps_are_the_jobs_in_order_and_the_first_failure_ends_the_cluster(
    files: dict[str, str], fleet: Config
) -> None:
    flow = requests(files, "emr/")["emr/run-job-flow.json"]
    assert [step["Name"] for step in flow["Steps"]] == [a.job for a in applications(fleet)]
    assert {step["ActionOnFailure"] for step in flow["Steps"]} == {"TERMINATE_CLUSTER"}
    assert flow["Instances"]["KeepJobFlowAliveWhenNoSteps"] is False
    added = requests(files, "emr/")["emr/add-job-flow-steps.json"]
    assert {step["ActionOnFailure"] for step in added["Steps"]} == {"CANCEL_AND_WAIT"}


def arguments_of(flow: Request, job: str) -> list[str]:
    (step,) = (step for step in flow["Steps"] if step["Name"] == job)
    return list(step["HadoopJarStep"]["Args"])


def test_only_training_takes_gpus_and_one_node_each(files: dict[str, str], fleet: Config) -> None:
    flow = requests(files, "emr/")["emr/run-job-flow-gpu.json"]
    train, score = arguments_of(flow, "train"), arguments_of(flow, "score")
    assert "spark.task.resource.gpu.amount=1" in train
    assert "training.device=gpu" in train
    assert not any("gpu" in word for word in score)
    (gpus,) = (g for g in flow["Instances"]["InstanceGroups"] if g["InstanceRole"] == "TASK")
    assert gpus["InstanceCount"] == fleet.training.ranks
    plain = requests(files, "emr/")["emr/run-job-flow.json"]
    assert not any("gpu" in word for word in arguments_of(plain, "train"))


def test_delta_comes_from_the_release_and_python_from_the_archive(files: dict[str, str]) -> None:
    words = arguments_of(requests(files, "emr/")["emr/run-job-flow.json"], "ingest")
    delta = "/usr/share/aws/delta/lib"
    assert f"spark.jars={delta}/delta-spark.jar,{delta}/delta-storage.jar" in words
    assert "spark.yarn.appMasterEnv.PYSPARK_PYTHON=./environment/bin/python" in words
    assert words[words.index("--archives") + 1].endswith("/environment.tar.gz#environment")


def test_a_lock_table_reaches_every_platform(fleet: Config, deployment: Deployment) -> None:
    locked = deployment.model_copy(update={"lock_table": LockTable(table="log", region="eu-1")})
    files = deployment_files(fleet, locked, "fleet.yaml")
    for path in (
        "yarn/processing.properties",
        "emr/run-job-flow.json",
        "emr-serverless/start-score.json",
    ):
        assert "S3DynamoDBLogStore.ddb.tableName" in files[path], path
    assert "delta-storage-s3-dynamodb.jar" in files["emr/run-job-flow.json"]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Size(cores=3, memory_gib=8, overhead_gib=2), "rank.cores: .* not 3"),
        (Size(cores=2, memory_gib=20, overhead_gib=2), "rank: .* 4 to 16 GiB .* not 22"),
        (Size(cores=8, memory_gib=20, overhead_gib=1), "rank: .* steps of 4.* not 21"),
    ],
)
def test_serverless_refuses_a_worker_that_is_not_offered(
    fleet: Config, deployment: Deployment, size: Size, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        application_request(fleet, deployment.model_copy(update={"rank": size}))


def test_serverless_has_room_for_the_largest_job(fleet: Config, deployment: Deployment) -> None:
    capacity = application_request(fleet, deployment)["maximumCapacity"]
    # driver 2 + 4 executors of 4; 8 + 4 of 16 GB
    assert capacity == {"cpu": "18 vCPU", "memory": "72 GB", "disk": "100 GB"}
    many = build_config({**fleet.model_dump(), "training": {"ranks": 16}})
    capacity = application_request(many, deployment)["maximumCapacity"]
    # driver 2 + 16 ranks of 2; 8 + 16 of 10 GB
    assert capacity == {"cpu": "34 vCPU", "memory": "168 GB", "disk": "340 GB"}


def test_a_job_run_may_take_as_long_as_training_with_all_its_attempts(
    files: dict[str, str], fleet: Config
) -> None:
    runs = requests(files, "emr-serverless/")
    train, score = (runs[f"emr-serverless/start-{job}.json"] for job in ("train", "score"))
    most = fleet.training.timeout_seconds * fleet.training.attempts / 60
    assert train["executionTimeoutMinutes"] >= most
    assert train["retryPolicy"]["maxAttempts"] == 1
    assert score["retryPolicy"]["maxAttempts"] == 2
