"""The deployment file: ranges, patterns, misspelt names."""

from pathlib import Path
from typing import Any

import pytest

from headroom.config import build, read_yaml
from headroom.deployment.settings import Deployment
from headroom.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"


def values() -> dict[str, Any]:
    return read_yaml(CONF / "deployment.yaml")


def refused(match: str, **changes: Any) -> None:
    with pytest.raises(ConfigError, match=match):
        build(Deployment, {**values(), **changes})


def test_a_misspelt_setting_names_the_nearest_one() -> None:
    emr = {**values()["emr"], "instance_profil": "x"}
    refused(r"unknown setting emr\.instance_profil; did you mean instance_profile\?", emr=emr)


def test_every_fault_is_listed() -> None:
    size = {"cores": 0, "memory_gib": 4, "overhead_gib": 6}
    refused(r"code: .*; rank\.cores: ", code="/tmp/code", rank=size)


@pytest.mark.parametrize(
    "place", ["s3://bucket/code/", "s3://bucket", "https://bucket/code", "s3://buck et/code"]
)
def test_code_is_a_prefix_on_s3_without_a_final_slash(place: str) -> None:
    refused("code: ", code=place)


def test_what_becomes_part_of_a_command_line_has_no_blank_or_quote() -> None:
    refused(r"yarn\.queue", yarn={"queue": "default --conf spark.x=y"})
    refused(r"yarn\.queue", yarn={"queue": "a'b"})


def test_settings_cannot_be_changed() -> None:
    deployment = build(Deployment, values())
    with pytest.raises(ValueError, match="frozen"):
        deployment.executors = 9  # type: ignore[misc]


def test_the_jars_of_the_example_are_the_locked_ones() -> None:
    lock = (CONF.parent / "jars.lock").read_text(encoding="utf-8")
    coordinates = [line.split()[1] for line in lock.splitlines() if not line.startswith("#")]
    jars = build(Deployment, values()).jars
    assert sorted(jars) == sorted(f"{name.replace(':', '_')}.jar" for name in coordinates)
