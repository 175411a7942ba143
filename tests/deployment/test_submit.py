"""spark-submit commands: what they name exists, and the scripts run them as written."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from pyspark import SparkContext

import headroom
from headroom.cli import argument_parser
from headroom.config import Config, build_config
from headroom.deployment.applications import Application, applications
from headroom.deployment.settings import Deployment
from headroom.deployment.submit import CLUSTERS, Cluster, submit_command
from jobs.pipeline import ORDER

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "--master", "--deploy-mode", "--name", "--properties-file", "--archives", "--py-files",
    "--files",
}  # fmt: skip
clusters = pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda cluster: cluster.name)


def split(command: tuple[str, ...]) -> tuple[dict[str, str], str, list[str]]:
    """Options of spark-submit, the script, and the arguments of the job."""
    words = list(command)
    assert words.pop(0) == "spark-submit"
    options = {}
    while words[0].startswith("--"):
        name, value, *words = words
        options[name] = value
    return options, words[0], words[1:]


@clusters
@pytest.mark.parametrize("gpu", [False, True])
def test_a_command_names_files_that_exist_and_options_that_are_known(
    fleet: Config, deployment: Deployment, cluster: Cluster, gpu: bool
) -> None:
    for application in applications(fleet):
        options, script, words = split(
            submit_command(cluster, application, deployment, "fleet.yaml", gpu)
        )
        assert set(options) <= OPTIONS
        assert (ROOT / options["--properties-file"]).is_file()
        assert (ROOT / "jobs" / Path(script).name).is_file(), script
        parsed = argument_parser(application.job, "").parse_args(words)
        assert Path(parsed.config).name == "fleet.yaml"
        assert parsed.set == (["training.device=gpu"] if gpu and application.trains else [])
        # PySpark puts no other names on the path of its workers.
        assert Path(options["--py-files"]).suffix in SparkContext.PACKAGE_EXTENSIONS
        assert Path(options["--py-files"]).stem == f"headroom-{headroom.__version__}"


@clusters
def test_the_configuration_reaches_the_driver(deployment: Deployment, cluster: Cluster) -> None:
    command = submit_command(cluster, Application("score", False), deployment, "fleet.yaml")
    options, script, words = split(command)
    if cluster.driver_here:
        assert (script, words) == ("jobs/score.py", ["--config", "conf/fleet.yaml"])
        assert (ROOT / words[1]).is_file()
    else:
        assert options["--files"] == "s3://example-headroom/code/fleet.yaml"
        assert words == ["--config", "fleet.yaml"]


@clusters
def test_gpus_need_another_environment(deployment: Deployment, cluster: Cluster) -> None:
    def environment(application: Application) -> str:
        command = submit_command(cluster, application, deployment, "fleet.yaml", gpu=True)
        return split(command)[0]["--archives"]

    assert environment(Application("train", True)).endswith("/environment-gpu.tar.gz#environment")
    assert environment(Application("score", False)).endswith("/environment.tar.gz#environment")


def properties(files: dict[str, str], path: str) -> dict[str, str]:
    lines = [line for line in files[path].splitlines() if not line.startswith("#")]
    pairs = [line.split(" ", 1) for line in lines]
    return dict(pairs)


@clusters
def test_ranks_get_an_executor_each_and_cannot_be_copied_or_taken(
    files: dict[str, str], fleet: Config, cluster: Cluster
) -> None:
    for name in ("training", "training-gpu"):
        found = properties(files, f"{cluster.name}/{name}.properties")
        assert found["spark.speculation"] == "false"
        assert found["spark.dynamicAllocation.enabled"] == "false"
        assert found["spark.executor.instances"] == str(fleet.training.ranks)
        assert found["spark.executor.cores"] == found["spark.task.cpus"]
        assert found["spark.executorEnv.OMP_NUM_THREADS"] == found["spark.task.cpus"]
        assert found["spark.scheduler.minRegisteredResourcesRatio"] == "1.0"
        assert found["spark.executor.memoryOverhead"] == "6g"
        gpus = {"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "1"}
        assert (gpus.items() <= found.items()) is (name == "training-gpu")


def test_a_standalone_master_is_told_the_cores(files: dict[str, str], fleet: Config) -> None:
    found = properties(files, "standalone/training.properties")
    assert found["spark.cores.max"] == str(fleet.training.ranks * int(found["spark.task.cpus"]))


def test_processing_has_its_own_size(files: dict[str, str]) -> None:
    found = properties(files, "yarn/processing.properties")
    assert found["spark.executor.instances"] == "4"
    assert found["spark.executor.memory"] == "12g"
    assert "spark.task.cpus" not in found


def test_traffic_is_encrypted_where_spark_can_share_a_secret(files: dict[str, str]) -> None:
    for name in ("yarn", "kubernetes"):
        found = properties(files, f"{name}/training.properties")
        assert found["spark.authenticate"] == found["spark.network.crypto.enabled"] == "true"
    assert "spark.authenticate" not in properties(files, "standalone/training.properties")


def test_a_simulated_fleet_is_simulated_first(fleet: Config) -> None:
    simulated = build_config({"warehouse": "warehouse"})
    assert [a.job for a in applications(simulated)] == [
        "simulate", *(a.job for a in applications(fleet)),
    ]  # fmt: skip


def test_the_order_is_that_of_the_pipeline_which_the_last_jobs_follow() -> None:
    every = [a.job for a in applications(build_config({"warehouse": "warehouse"}))]
    assert [job for job in every if job in ORDER] == list(ORDER)
    assert set(every) - set(ORDER) == {"monitor", "maintain"}


def run_script(path: Path, folder: Path, *jobs: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with a spark-submit that writes its words down."""
    fake = folder / "spark-submit"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" END >> {folder}/log\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        [str(path), *jobs], env=environment, capture_output=True, text=True, check=False
    )


def started(folder: Path) -> list[tuple[str, ...]]:
    runs = (folder / "log").read_text().split("END\n")[:-1]
    return [("spark-submit", *run.splitlines()) for run in runs]


@clusters
def test_a_script_starts_every_job_in_order(
    fleet: Config, deployment: Deployment, cluster: Cluster, tmp_path: Path
) -> None:
    done = run_script(ROOT / "conf" / cluster.name / "submit-gpu.sh", tmp_path)
    assert done.returncode == 0, done.stderr
    assert started(tmp_path) == [
        submit_command(cluster, application, deployment, "fleet.yaml", gpu=True)
        for application in applications(fleet)
    ]


def test_a_script_starts_what_is_named(tmp_path: Path) -> None:
    done = run_script(ROOT / "conf/yarn/submit.sh", tmp_path, "score", "recommend")
    assert done.returncode == 0
    assert [command[6] for command in started(tmp_path)] == [
        "headroom-score",
        "headroom-recommend",
    ]


def test_a_script_refuses_a_job_it_does_not_know(tmp_path: Path) -> None:
    done = run_script(ROOT / "conf/yarn/submit.sh", tmp_path, "score", "recomend")
    assert done.returncode == 2
    assert "no job recomend; there are: ingest " in done.stderr
    assert not (tmp_path / "log").exists()


def test_what_the_scripts_quote_is_what_the_commands_say(
    files: dict[str, str], fleet: Config, deployment: Deployment
) -> None:
    for cluster in CLUSTERS:
        text = files[f"{cluster.name}/submit.sh"].replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.startswith("  spark-submit")]
        assert [tuple(shlex.split(line)) for line in lines] == [
            submit_command(cluster, application, deployment, "fleet.yaml")
            for application in applications(fleet)
        ]


def test_bash_accepts_every_script(files: dict[str, str]) -> None:
    scripts = {path: text for path, text in files.items() if path.endswith(".sh")}
    assert len(scripts) == 7
    for path, text in scripts.items():
        checked = subprocess.run(["bash", "-n"], input=text, text=True, check=False)
        assert checked.returncode == 0, path


def test_only_pods_of_the_application_reach_each_other(
    files: dict[str, str], deployment: Deployment
) -> None:
    policy = yaml.safe_load(files["kubernetes/network-policy.yaml"])
    labels = policy["spec"]["podSelector"]["matchLabels"]
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": {"matchLabels": labels}}]}]
    found = properties(files, "kubernetes/training.properties")
    for role in ("driver", "executor"):
        assert found[f"spark.kubernetes.{role}.label.app"] == labels["app"]
    on_gpu = properties(files, "kubernetes/training-gpu.properties")
    assert on_gpu["spark.kubernetes.executor.podTemplateFile"].removeprefix("conf/") in files
