"""A session of the benchmarks' own, beside those of the jobs that they start."""

import os

from pyspark.sql import SparkSession

from headroom.config import Spark
from headroom.session import build_session


def local_session() -> SparkSession:
    """Local mode with Delta's jars, as `conf/environment.sh` found them."""
    jars = os.environ["HEADROOM_JARS"]
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[2] --driver-memory 3g --jars {jars} --conf spark.ui.enabled=false "
        "pyspark-shell"
    )
    return build_session("headroom-bench", Spark(shuffle_partitions=2))
