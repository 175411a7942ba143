"""What goes to a cluster holds the whole of headroom, and nothing that is not headroom's."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from setup_project import ROOT, launcher_environment

DATA = {".npz", ".css", ".js", ".html"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my dist")
    subprocess.run(
        [ROOT / "spark-submit.sh", "--package", folder, "--code-only"],
        env=launcher_environment(),
        check=True,
        timeout=300,
    )
    return folder


def on_spark_40() -> bool:
    return os.environ.get("HEADROOM_SPARK", "4.0") == "4.0"


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as opened:
        return set(opened.namelist())


def test_every_module_and_data_file_is_in_the_wheel(dist: Path) -> None:
    (wheel,) = dist.glob("headroom-*-py3-none-any.whl")
    sources = {
        path.relative_to(folder).as_posix()
        for folder in (ROOT / "lib", ROOT)
        for path in (folder / ("headroom" if folder.name == "lib" else "jobs")).rglob("*")
        if path.suffix in {".py", *DATA}
    }
    packed = {name for name in names(wheel) if ".dist-info/" not in name}
    assert packed == sources
    assert {"headroom/cli.py", "jobs/__init__.py", "jobs/pipeline.py"} <= packed


def test_the_zip_for_the_workers_is_the_wheel(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (archive,) = dist.glob("headroom-*.zip")
    assert archive.name == f"{wheel.name.split('-py3')[0]}.zip"
    assert archive.read_bytes() == wheel.read_bytes()


def test_jars_jobs_and_configuration_are_beside_it(dist: Path) -> None:
    lock = ROOT / ("jars.lock" if on_spark_40() else "jars-spark35.lock")
    locked = [line.split("  ")[1] for line in lock.read_text().splitlines()[1:]]
    assert {jar.name for jar in (dist / "jars").iterdir()} == {
        f"{coordinates.replace(':', '_')}.jar" for coordinates in locked
    }
    assert (dist / "jobs" / "pipeline.py").is_file()
    assert names(dist / "conf.zip") == {"fleet.yaml"}
    assert (dist / "fleet.yaml").read_text() == (ROOT / "conf" / "fleet.yaml").read_text()
