"""conf/environment.sh: stamps, prerequisites, and recovery, with fakes for what is slow."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from setup_project import ROOT, Bash


def java_of_version(folder: Path, version: str) -> Path:
    """A home of Java that only says its version. Returns the home."""
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    binary.chmod(0o755)
    return folder


def path_of(folder: Path, *tools: str) -> str:
    """A PATH that holds these tools and nothing else."""
    folder.mkdir()
    for tool in tools:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return str(folder)


TOOLS = ("bash", "cat", "cut", "dirname", "basename", "flock", "mkdir", "mktemp", "rm", "sed")
TOOLS += ("sha256sum", "uname", "grep", "tail")


def test_a_stamp_follows_the_locks_that_it_stands_for(bash: Bash, project: Path) -> None:
    before = bash("runtime_stamp; dev_stamp").stdout.split()
    assert before[0::2] == ["runtime", "dev"]
    with (project / "requirements-dev.lock").open("a") as lock:
        lock.write("# changed\n")
    tools_changed = bash("runtime_stamp; dev_stamp").stdout.split()
    assert tools_changed[1] == before[1]
    assert tools_changed[3] != before[3]
    with (project / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    runtime_changed = bash("runtime_stamp; dev_stamp").stdout.split()
    assert runtime_changed[1] != before[1]
    assert bash("runtime_stamp", HEADROOM_SPARK="3.5").stdout.split()[1] != runtime_changed[1]


def test_unknown_spark_is_refused(bash: Bash) -> None:
    result = bash("true", HEADROOM_SPARK="3.4")
    assert result.returncode == 1
    assert "HEADROOM_SPARK is '3.4'; use 4.0 or 3.5" in result.stderr


FAKE_STEPS = 'step() { echo "step: $1"; }; compgen() { false; }\n'


def test_an_interrupted_environment_is_started_over(bash: Bash, project: Path) -> None:
    left_over = project / ".venv" / "half-installed"
    left_over.parent.mkdir()
    left_over.touch()
    (project / ".venv" / "headroom.stamp").touch()
    result = bash(FAKE_STEPS + 'install_runtime "$(mktemp -d)"')
    assert result.returncode == 0, result.stderr
    assert not left_over.exists()
    assert [line.split(" ")[1] for line in result.stdout.splitlines()] == [
        "making", "getting", "installing", "building", "installing",
    ]  # fmt: skip
    stamp = (project / ".venv" / "headroom.stamp").read_text()
    assert stamp == bash("runtime_stamp").stdout


def test_a_failed_step_leaves_no_stamp_and_says_why(bash: Bash, project: Path) -> None:
    steps = "headroom_log=log; broken() { echo the reason; false; echo unreachable; }\n"
    steps += "stamp_file() { echo stamp; }; : >stamp\n"
    result = bash(steps + 'step "making it" broken; echo also-unreachable; echo ok >stamp')
    assert result.returncode == 1
    assert "the reason" in result.stderr
    assert "failed at: making it" in result.stderr
    assert "unreachable" not in result.stdout + result.stderr
    assert (project / "stamp").read_text() == ""


def test_an_environment_of_someone_else_is_left_alone(bash: Bash, project: Path) -> None:
    theirs = project / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    result = bash(FAKE_STEPS + 'install_runtime "$(mktemp -d)"')
    assert result.returncode == 1
    assert "was not made by headroom; move it away" in result.stderr
    assert theirs.exists()


def test_of_two_at_once_one_sets_up_and_the_other_waits(bash: Bash, project: Path) -> None:
    fakes = """
    environment_is_ready() { [[ -e ready ]]; }
    find_java() { :; }
    set_up() { echo once >>set-ups; sleep 1; touch ready; }
    ensure_environment & ensure_environment & wait
    """
    result = bash(fakes)
    assert (project / "set-ups").read_text() == "once\n"
    assert result.stderr.count("waiting for it") == 1


def test_missing_python_is_named_with_its_remedy(bash: Bash, tmp_path: Path) -> None:
    path = path_of(tmp_path / "bin", *TOOLS)
    apt = tmp_path / "bin" / "apt-get"
    without_apt = bash("check_machine", PATH=path)
    assert without_apt.returncode == 1
    assert "Python 3.11 is missing" in without_apt.stderr
    assert "python3.11 python3.11-venv (Debian, Ubuntu)" in without_apt.stderr
    apt.symlink_to("/bin/true")
    assert "sudo apt-get install python3.11" in bash("check_machine", PATH=path).stderr


def test_missing_compiler_is_named_with_its_remedy(bash: Bash, tmp_path: Path) -> None:
    path = path_of(tmp_path / "bin", *TOOLS, "python3.11", "env")
    (tmp_path / "bin" / "apt-get").symlink_to("/bin/true")
    result = bash("check_machine", PATH=path)
    assert result.returncode == 1
    assert "C++ compiler is missing" in result.stderr
    assert "sudo apt-get install g++" in result.stderr


def test_a_compiler_is_not_asked_for_where_the_wheel_is_there(bash: Bash, tmp_path: Path) -> None:
    path = path_of(tmp_path / "bin", *TOOLS, "python3.11", "env")
    result = bash(
        'mkdir -p "$(horovod_wheels)"; : >"$(horovod_wheels)/x.whl"; check_machine', PATH=path
    )
    assert result.returncode == 0, result.stderr


def test_a_python_of_another_version_is_refused(bash: Bash, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    result = bash("find_python", HEADROOM_PYTHON=str(other))
    assert result.returncode == 1
    assert f"HEADROOM_PYTHON={other} is not a Python 3.11" in result.stderr


@pytest.mark.parametrize(
    ("version", "fits"),
    [("1.8.0_402", False), ("11.0.2", False), ("17", True), ("21.0.8", True), ("25", False)],
)
def test_java_versions(bash: Bash, tmp_path: Path, version: str, fits: bool) -> None:
    home = java_of_version(tmp_path / "java", version)
    result = bash(f"is_fit_java '{home}/bin/java'")
    assert (result.returncode == 0) == fits


def test_java_home_comes_before_the_path_and_an_old_one_is_passed_over(
    bash: Bash, tmp_path: Path
) -> None:
    old, new = (java_of_version(tmp_path / name, f"{name}.0.1") for name in ("11", "21"))
    path = f"{new}/bin:/usr/bin:/bin"
    found = bash('find_java; echo "$HEADROOM_JAVA"', JAVA_HOME=str(old), PATH=path)
    assert found.stdout.strip() == f"{new}/bin/java"
    found = bash('find_java; echo "$HEADROOM_JAVA"', JAVA_HOME=str(new), PATH="/usr/bin:/bin")
    assert found.stdout.strip() == f"{new}/bin/java"


def test_the_front_for_java_drops_the_incubator_module_only() -> None:
    arguments = ["--add-modules=jdk.incubator.vector", "-cp", "a b", "--add-modules=other", ""]
    result = subprocess.run(
        [ROOT / "conf" / "java" / "bin" / "java", *arguments],
        env={"HEADROOM_JAVA": "/usr/bin/printf", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "incubator" not in result.stdout
    shown = subprocess.run(
        [ROOT / "conf" / "java" / "bin" / "java", "%s|", *arguments],
        env={"HEADROOM_JAVA": "/usr/bin/printf", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "-cp|a b|--add-modules=other||"


FAKE_IVY = """
run_ivy() { mkdir -p "$1/jars"; printf content >"$1/jars/g_a_1.jar"; }
work=$(mktemp -d)
"""
CONTENT = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


def test_a_jar_that_is_what_the_lock_says_is_kept(
    bash: Bash, project: Path, tmp_path: Path
) -> None:
    (project / "jars.lock").write_text(f"# comment\n{CONTENT}  g:a:1\n")
    assert bash("jars_are_there").returncode == 1
    result = bash(
        FAKE_IVY + 'fetch_jars jars.lock "$work"; jars_are_there; export_environment\n'
        'echo "$HEADROOM_JARS"'
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "cache" / "jars" / "g_a_1.jar")


def test_a_jar_that_is_something_else_is_refused(bash: Bash, project: Path, tmp_path: Path) -> None:
    (project / "jars.lock").write_text(f"{'0' * 64}  g:a:1\n")
    result = bash(FAKE_IVY + 'fetch_jars jars.lock "$work"')
    assert result.returncode == 1
    assert "g:a:1 is not what jars.lock says" in result.stdout
    assert not list((tmp_path / "cache").glob("**/*.jar"))


def test_what_is_ready_is_found_within_a_moment() -> None:
    started = time.monotonic()
    subprocess.run([ROOT / "conf" / "environment.sh", "true"], check=True, capture_output=True)
    assert time.monotonic() - started < 5
