"""The committed example: its configuration, its deployment and what is generated from them."""

from pathlib import Path

import pytest

from headroom.config import Config, build, load_config, read_yaml
from headroom.deployment.files import deployment_files
from headroom.deployment.settings import Deployment

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="session")
def fleet() -> Config:
    return load_config(CONF / "fleet.yaml")


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return build(Deployment, read_yaml(CONF / "deployment.yaml"))


@pytest.fixture(scope="session")
def files(fleet: Config, deployment: Deployment) -> dict[str, str]:
    return deployment_files(fleet, deployment, "fleet.yaml")
