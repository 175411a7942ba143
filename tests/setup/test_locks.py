"""The lock files: all that setup.py asks for, pinned, hashed, and the same on both Sparks."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setup_project import ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
SPARKS_OWN = {"pyspark", "py4j", "delta-spark"}
RUNTIMES = ("requirements.lock", "requirements-spark35.lock")


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text()))


def requirements(section: str) -> list[Requirement]:
    """The quoted requirements in one list of setup.py."""
    source = (ROOT / "setup.py").read_text()
    body = source.split(section, 1)[1].split("]", 1)[0]
    return [Requirement(text) for text in re.findall(r'^\s*"([^"]+)",', body, re.MULTILINE)]


@pytest.mark.parametrize(
    "lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda lock: lock.name
)
def test_every_pin_has_a_hash(lock: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)


@pytest.mark.parametrize("lock", RUNTIMES)
def test_the_runtime_satisfies_setup_py(lock: str) -> None:
    locked = pins(lock)
    for requirement in requirements("install_requires=["):
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(locked[name]), requirement
    assert locked["mxnet"] == "1.9.1"
    assert "horovod" not in locked  # built from source: requirements-horovod.lock


def test_both_sparks_share_every_other_version() -> None:
    spark40, spark35 = (pins(lock) for lock in RUNTIMES)
    shared = (spark40.keys() & spark35.keys()) - SPARKS_OWN
    assert {name: spark40[name] for name in shared} == {name: spark35[name] for name in shared}
    assert spark40["pyspark"].startswith("4.0.")
    assert spark35["pyspark"].startswith("3.5.")


def test_the_tools_leave_the_runtime_alone() -> None:
    tools = pins("requirements-dev.lock")
    for requirement in requirements('"dev": ['):
        assert requirement.specifier.contains(tools[canonicalize_name(requirement.name)])
    for lock in RUNTIMES:
        assert not tools.keys() & pins(lock).keys()


@pytest.mark.parametrize(("lock", "spark"), [("jars.lock", "4.0"), ("jars-spark35.lock", "3.5")])
def test_jars_fit_the_delta_package(lock: str, spark: str) -> None:
    lines = [line.split("  ") for line in (ROOT / lock).read_text().splitlines()[1:]]
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest, _ in lines)
    versions = {tuple(where.split(":")[1:]) for _, where in lines if where.startswith("io.delta:")}
    runtime = RUNTIMES[0] if spark == "4.0" else RUNTIMES[1]
    assert {version for _, version in versions} == {pins(runtime)["delta-spark"]}
    assert any(artifact.startswith("delta-spark_") for artifact, _ in versions)
