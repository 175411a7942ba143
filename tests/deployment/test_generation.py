"""What is committed is what the generator writes."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import validate

from headroom.config import json_schema
from headroom.deployment.__main__ import main

CONF = Path(__file__).parents[2] / "conf"
INPUTS = ("--config", str(CONF / "fleet.yaml"), "--deployment", str(CONF / "deployment.yaml"))


def test_the_committed_files_are_fresh(files: dict[str, str]) -> None:
    for path, text in files.items():
        assert (CONF / path).read_text(encoding="utf-8") == text, f"{path}: run `make conf`"


def test_nothing_is_left_from_earlier_generations(files: dict[str, str]) -> None:
    folders = {path.split("/")[0] for path in files if "/" in path}
    committed = {
        str(path.relative_to(CONF))
        for folder in folders
        for path in (CONF / folder).rglob("*")
        if path.is_file()
    }
    assert committed == {path for path in files if "/" in path}


def test_the_schema_is_that_of_the_configuration(files: dict[str, str]) -> None:
    assert files["config.schema.json"] == json_schema()


def test_the_example_fits_the_schemas_that_editors_use(files: dict[str, str]) -> None:
    for name in ("config", "deployment"):
        example = "fleet" if name == "config" else name
        values = yaml.safe_load((CONF / f"{example}.yaml").read_text())
        validate(values, json.loads(files[f"{name}.schema.json"]))


def test_yaml_and_json_can_be_read(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith((".yml", ".yaml")):
            assert yaml.safe_load(text), path
        if path.endswith(".json"):
            assert json.loads(text), path


def test_writing_then_checking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*INPUTS, "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert os.access(tmp_path / "yarn/submit.sh", os.X_OK)
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "yarn/training.properties").write_text("spark.speculation true\n")
    assert main([*arguments, "--check"]) == 1
    assert "training.properties is stale; run `make conf`" in capsys.readouterr().err


def test_a_fault_in_the_deployment_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "deployment.yaml"
    wrong.write_text((CONF / "deployment.yaml").read_text().replace("executors: 4", "executor: 4"))
    assert main([*INPUTS[:2], "--deployment", str(wrong), "--out", str(tmp_path)]) == 2
    assert "executor" in capsys.readouterr().err


def test_no_secret_is_written(files: dict[str, str]) -> None:
    secret = re.compile(r"password|access.?key|secret|token|basic_auth|credential", re.IGNORECASE)
    for path, text in files.items():
        if not path.endswith(".schema.json"):
            assert not secret.search(text), path
