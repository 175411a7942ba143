"""The asset bundle: its structure, its references, and that the checks of both can fail."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import headroom
from headroom.cli import argument_parser
from headroom.config import Config, load_config
from headroom.deployment.applications import applications
from tests.deployment.bundle_references import reference_faults

HERE = Path(__file__).parent
CONF = HERE.parents[1] / "conf"
FOLDER = CONF / "databricks" / "resources"
Block = dict[str, Any]


@pytest.fixture(scope="session")
def bundle(files: dict[str, str]) -> Block:
    """databricks.yml with what it includes, as the Databricks CLI would see it."""
    whole: Block = yaml.safe_load(files["databricks/databricks.yml"])
    included = [path for path in files if path.startswith("databricks/resources/")]
    assert whole["include"] == ["resources/*.yml"]
    for path in included:
        whole |= yaml.safe_load(files[path])
    return whole


def structure_faults(bundle: Block) -> list[str]:
    schema = json.loads((HERE / "bundle_schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema).iter_errors(bundle)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in errors]


def job(bundle: Block) -> Block:
    return bundle["resources"]["jobs"]["headroom"]  # type: ignore[no-any-return]


def task(bundle: Block, key: str) -> Block:
    (found,) = (task for task in job(bundle)["tasks"] if task["task_key"] == key)
    return found  # type: ignore[no-any-return]


def test_the_bundle_has_the_published_structure(bundle: Block) -> None:
    assert structure_faults(bundle) == []


def test_every_reference_is_answered(bundle: Block) -> None:
    assert reference_faults(bundle, FOLDER) == []


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("schedule", "pause_status"), "OFF", "'OFF' is not one of"),
        (("schedule", "quartz_cron_expression"), "0 5 * * *", "does not match"),
        (("max_concurrent_runs",), "one", "'one' is not valid"),
        (("job_clusters", 0, "new_cluster", "data_security_mode"), "SHARED", "'SHARED' is not"),
        (("job_clusters", 0, "new_cluster", "spark_conf", "spark.speculation"), False, "False is"),
        (("tasks", 0, "spark_python_task", "python_fil"), "x.py", "'python_fil' was unexpected"),
        (("tasks", 1, "job_cluster"), "processing", "'job_cluster' was unexpected"),
    ],
)
def test_the_structure_check_finds(
    bundle: Block, place: tuple[Any, ...], value: Any, fault: str
) -> None:
    spoilt = copy.deepcopy(bundle)
    block: Any = job(spoilt)
    for step in place[:-1]:
        block = block[step]
    block[place[-1]] = value
    assert any(fault in found for found in structure_faults(spoilt))


def test_the_structure_check_finds_what_is_missing(bundle: Block) -> None:
    spoilt = copy.deepcopy(bundle)
    del task(spoilt, "score")["spark_python_task"]["python_file"]
    assert any("'python_file' is a required property" in f for f in structure_faults(spoilt))


def test_the_reference_check_finds(bundle: Block) -> None:
    spoilt = copy.deepcopy(bundle)
    task(spoilt, "train")["job_cluster_key"] = "gpu"
    task(spoilt, "ingest")["depends_on"] = [{"task_key": "report"}]
    task(spoilt, "score")["spark_python_task"]["python_file"] = "../../../jobs/scores.py"
    job(spoilt)["name"] = "${var.nam}"
    spoilt["targets"]["dev"]["variables"]["worker"] = 1
    found = " | ".join(reference_faults(spoilt, FOLDER))
    for fault in (
        "train: there is no cluster gpu",
        "ingest: depends on report, which is not before it",
        "score: there is no file ../../../jobs/scores.py",
        "${var.nam} is not defined",
        "target dev sets worker, which is no variable",
    ):
        assert fault in found


def test_tasks_are_the_jobs_in_a_chain(bundle: Block, fleet: Config) -> None:
    names = [application.job for application in applications(fleet)]
    tasks = job(bundle)["tasks"]
    assert [task["task_key"] for task in tasks] == names
    for before, after in zip(names, tasks[1:], strict=False):
        assert after["depends_on"] == [{"task_key": before}]


def test_training_has_a_gpu_cluster_of_its_own(bundle: Block) -> None:
    keys = {task["task_key"]: task["job_cluster_key"] for task in job(bundle)["tasks"]}
    assert {key for key, cluster in keys.items() if cluster == "training"} == {"train"}
    clusters = {c["job_cluster_key"]: c["new_cluster"] for c in job(bundle)["job_clusters"]}
    training, processing = clusters["training"], clusters["processing"]
    assert training["num_workers"] == "${var.ranks}"
    assert training["node_type_id"] == "${var.gpu_node_type}"
    assert training["spark_conf"]["spark.task.resource.gpu.amount"] == "1"
    assert "spark.task.resource.gpu.amount" not in processing["spark_conf"]
    for cluster in (training, processing):
        assert cluster["data_security_mode"] == "SINGLE_USER"
        assert cluster["spark_conf"]["spark.speculation"] == "false"


def resolved(bundle: Block, text: str) -> str:
    for name, variable in bundle["variables"].items():
        text = text.replace(f"${{var.{name}}}", str(variable["default"]))
    return text.replace("${workspace.file_path}", str(CONF.parent))


def test_the_parameters_make_a_valid_configuration(bundle: Block) -> None:
    """The synced files lie under the common root, so conf/fleet.yaml is where the task says."""
    for found in job(bundle)["tasks"]:
        words = [resolved(bundle, word) for word in found["spark_python_task"]["parameters"]]
        options = argument_parser(found["task_key"], "").parse_args(words)
        config = load_config(options.config, options.set)
        assert config.warehouse == "main.headroom"
        assert config.artifacts_path == "/Volumes/main/headroom/artifacts"
        on_gpu = found["task_key"] == "train"
        assert config.training.device == ("gpu" if on_gpu else "auto")


def test_every_synced_folder_exists_and_holds_what_tasks_use(bundle: Block) -> None:
    synced = [(CONF / "databricks" / path).resolve() for path in bundle["sync"]["paths"]]
    assert synced == [CONF.parent / "jobs", CONF]
    assert all(path.is_dir() for path in synced)


def test_tasks_install_the_wheel_of_this_version(bundle: Block) -> None:
    wheel = f"../../../dist/headroom-{headroom.__version__}-py3-none-any.whl"
    assert all(task["libraries"] == [{"whl": wheel}] for task in job(bundle)["tasks"])


def test_prod_runs_as_a_service_principal_and_dev_writes_elsewhere(bundle: Block) -> None:
    dev, prod = bundle["targets"]["dev"], bundle["targets"]["prod"]
    assert prod["mode"] == "production"
    assert "service_principal_name" in prod["run_as"]
    assert dev["mode"] == "development"
    assert dev["default"] is True
    assert dev["variables"]["schema"] != bundle["variables"]["schema"]["default"]
