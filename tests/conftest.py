"""One Spark session for the whole run, a warehouse per test, and small builders of rows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.config import Config, Spark, build_config
from headroom.session import build_session
from headroom.tables import Tables

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    jars = os.environ.get("HEADROOM_JARS")
    if not jars:
        pytest.fail("HEADROOM_JARS is not set: run the tests by `make test`")
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join(
        [
            "--master local[2]",
            f"--jars {jars}",
            "--driver-memory 3g",
            "--conf spark.ui.enabled=false",  # no port, no thread pool
            "--conf spark.sql.adaptive.enabled=false",  # tiny frames: planning costs more
            "pyspark-shell",
        ]
    )
    session = build_session("headroom-tests", Spark(shuffle_partitions=2))
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    return str(tmp_path / "warehouse")


@pytest.fixture
def tables(spark: SparkSession, warehouse: str) -> Tables:
    return Tables(spark, warehouse)


@pytest.fixture
def config(warehouse: str) -> Config:
    return make_config(warehouse)


def make_config(warehouse: str, **sections: Any) -> Config:
    """A configuration in which only what matters to the test is said."""
    return build_config({"warehouse": warehouse, **sections})


@pytest.fixture
def data() -> Path:
    """The folder of real series, where it is present."""
    if not DATA.is_dir():
        pytest.skip(f"the real series are not at {DATA}")
    return DATA
