"""spark-submit.sh: what it says, what it hands over, and how it ends."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from setup_project import ROOT, Result, launcher_environment


def launch(root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> Result:
    return subprocess.run(
        [root / "spark-submit.sh", *arguments],
        cwd=cwd or root,
        env=launcher_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def handed_over(root: Path, *arguments: str, **keywords: Any) -> dict[str, Any]:
    result = launch(root, "show", *arguments, **keywords)
    assert result.returncode == 0, result.stderr
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


def value_of(name: str, options: list[str]) -> str:
    """The value that Spark takes: the last."""
    return options[len(options) - 1 - options[::-1].index(name) + 1]


def test_help_lists_every_job_and_needs_no_environment(tmp_path: Path) -> None:
    result = launch(ROOT, "--help", HEADROOM_CACHE=str(tmp_path / "cache"), HEADROOM_VENV="/none")
    assert result.returncode == 0
    for job in (ROOT / "jobs").glob("[a-z]*.py"):
        sentence = job.read_text().removeprefix('"""').split(".")[0].split("\n")[0]
        assert any(
            line.split(maxsplit=1) == [job.stem, sentence] for line in result.stdout.splitlines()
        ), job.stem
    assert not (tmp_path / "cache").exists()


def test_without_a_job_the_usage_goes_to_stderr() -> None:
    result = launch(ROOT)
    assert (result.returncode, result.stdout) == (2, "")
    assert "usage: ./spark-submit.sh JOB" in result.stderr


@pytest.mark.parametrize(
    ("job", "hint"), [("pipline", "did you mean pipeline"), ("scor", "score"), ("../setup", "")]
)
def test_unknown_job(job: str, hint: str) -> None:
    result = launch(ROOT, job)
    assert result.returncode == 2
    assert f"there is no job '{job}'" in result.stderr
    assert hint in result.stderr


def test_options_before_the_job_are_refused() -> None:
    result = launch(ROOT, "--config", "x.yaml")
    assert result.returncode == 2
    assert "the job comes first" in result.stderr


def test_default_configuration_is_the_projects_own(project: Path, tmp_path: Path) -> None:
    shown = handed_over(project, "--until", "score", cwd=tmp_path)
    demo = str(project / "conf" / "demo.yaml")
    assert shown["arguments"] == ["--config", demo, "--until", "score"]
    assert shown["folder"] == str(tmp_path)


@pytest.mark.parametrize("given", [["--config", "my file.yaml"], ["--config=other.yaml"]])
def test_a_given_configuration_stays_as_it_is(project: Path, given: list[str]) -> None:
    assert handed_over(project, *given)["arguments"] == given


def test_local_mode_by_default(project: Path) -> None:
    shown = handed_over(project)
    assert value_of("--master", shown["spark"]).startswith("local[")
    assert value_of("--driver-memory", shown["spark"]) == "4g"
    assert value_of("--properties-file", shown["spark"]) == f"{project}/conf/spark-defaults.conf"
    assert all(Path(jar).is_file() for jar in value_of("--jars", shown["spark"]).split(","))
    assert shown["spark"][-1] == "pyspark-shell"
    assert shown["environment"]["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert shown["environment"]["TZ"] == "UTC"


def test_options_after_the_dashes_win(project: Path) -> None:
    options = ["--master", "spark://127.0.0.1:7077", "--conf", 'spark.app.name=it\'s "mine"']
    shown = handed_over(project, "--set", "seed=8", "--", *options, SPARK_LOCAL_IP="")
    assert shown["arguments"][-2:] == ["--set", "seed=8"]
    assert shown["spark"][-5:-1] == options
    assert not shown["environment"]["SPARK_LOCAL_IP"]
    assert not any(option.startswith("spark.ui.enabled") for option in shown["spark"])


def test_the_nodes_python_is_kept_on_a_cluster_and_ignored_in_local_mode(project: Path) -> None:
    theirs = {"PYSPARK_PYTHON": "./environment/bin/python"}
    local = handed_over(project, **theirs)
    cluster = handed_over(project, HEADROOM_MASTER="spark://127.0.0.1:7077", **theirs)
    assert local["environment"]["PYSPARK_PYTHON"].endswith("/bin/python")
    assert local["environment"]["PYSPARK_PYTHON"] != theirs["PYSPARK_PYTHON"]
    assert cluster["environment"]["PYSPARK_PYTHON"] == theirs["PYSPARK_PYTHON"]


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_exit_codes_come_through(project: Path, code: int) -> None:
    assert launch(project, "leave", str(code)).returncode == code


def test_a_signal_reaches_the_job(project: Path) -> None:
    with subprocess.Popen(
        [project / "spark-submit.sh", "wait"],
        env=launcher_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 42


@pytest.fixture
def recording_java(tmp_path: Path) -> tuple[Path, Path]:
    """A Java that writes down how it is called, and the file that it writes to."""
    home, calls = tmp_path / "jdk", tmp_path / "calls"
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\necho \'openjdk version "17.0.1"\' >&2\n')
    java.chmod(0o755)
    return home, calls


@pytest.mark.parametrize(
    ("arguments", "last_word"),
    [
        (["--set", "forecast.prediction_lenght=3"], "did you mean prediction_length?"),
        (["--config", "no-such.yaml"], "no-such.yaml"),
        (["--set", "seed=x", "--", "--deploy-mode", "cluster"], "seed"),
    ],
)
def test_a_bad_configuration_is_told_before_a_jvm_starts(
    recording_java: tuple[Path, Path], tmp_path: Path, arguments: list[str], last_word: str
) -> None:
    home, calls = recording_java
    environment = {**launcher_environment(), "JAVA_HOME": str(home)}
    result = launch(ROOT, "ingest", *arguments, cwd=tmp_path, **environment)
    assert result.returncode == 2
    assert last_word in result.stderr.splitlines()[-1]
    assert calls.read_text().split("\n") == ["-version", ""]
    assert {path.name for path in tmp_path.iterdir()} == {"calls", "jdk"}


def test_print_config_needs_no_jvm(recording_java: tuple[Path, Path], tmp_path: Path) -> None:
    home, calls = recording_java
    environment = {**launcher_environment(), "JAVA_HOME": str(home)}
    result = launch(ROOT, "score", "--print-config", cwd=tmp_path, **environment)
    assert result.returncode == 0
    assert "prediction_length: 48" in result.stdout
    assert calls.read_text() == "-version\n"


def test_a_second_start_takes_no_set_up(project: Path) -> None:
    started = time.monotonic()
    result = launch(project, "leave", "0")
    assert time.monotonic() - started < 10
    assert "set-up" not in result.stderr


def test_a_spark_that_does_not_start_is_told_in_the_last_line(tmp_path: Path) -> None:
    result = launch(ROOT, "ingest", "--", "--master", "nonsense", cwd=tmp_path)
    assert result.returncode == 1
    last_word = result.stderr.splitlines()[-1]
    assert last_word.startswith("headroom: ingest failed: Spark did not start: ")
    assert "Traceback" not in result.stderr
