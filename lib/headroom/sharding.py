"""Which shard a series belongs to."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c

SHARD_ID = "shard_id"


def add_shard_id(frame: DataFrame, n_shards: int) -> DataFrame:
    """The frame with `shard_id`, 0 … n_shards − 1, by group: a group never spans two shards, and a
    series stays in its shard whatever else there is."""
    shard = F.pmod(F.xxhash64(F.col(c.GROUP_ID)), F.lit(n_shards)).cast("int")
    return frame.withColumn(SHARD_ID, shard)
