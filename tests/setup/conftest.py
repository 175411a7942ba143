"""A copy of the project, small enough to be made for every test, with jobs that need no Spark."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from setup_project import LEAVE_JOB, ROOT, SHOW_JOB, WAIT_JOB, Bash, Result


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The launcher and what it reads, in a folder with a blank in its name."""
    root = tmp_path / "a project"
    (root / "jobs").mkdir(parents=True)
    for job, source in (("show", SHOW_JOB), ("leave", LEAVE_JOB), ("wait", WAIT_JOB)):
        (root / "jobs" / f"{job}.py").write_text(source)
    shutil.copytree(ROOT / "conf", root / "conf")
    for file in [ROOT / "spark-submit.sh", *ROOT.glob("*.lock")]:
        shutil.copy(file, root)
    return root


@pytest.fixture
def bash(project: Path, tmp_path: Path) -> Bash:
    """Runs a script of bash that has read conf/environment.sh, in the copy of the project."""

    def run(script: str, **environment: str) -> Result:
        return subprocess.run(
            ["bash", "-c", f"source conf/environment.sh\n{script}"],
            cwd=project,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "HEADROOM_CACHE": str(tmp_path / "cache"),
                "HEADROOM_VENV": str(project / ".venv"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
