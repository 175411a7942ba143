"""All rows of an item come together, whatever the partitions and however many they are."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headroom.features.packets import KEY, TEXT, bring_together, record_of, unpack
from headroom.session import rows_per_batch

GIANT, N_ROWS = 7, 1_000


@pytest.mark.parametrize("n_partitions", [1, 3])
def test_rows_come_together_with_the_text_of_their_key(
    spark: SparkSession, n_partitions: int
) -> None:
    """Half of the rows are of one key; key 0 has no text, key 99 no rows, key 3 two texts."""
    key = F.when(F.col("id") % 2 == 0, F.lit(GIANT)).otherwise(F.col("id") % 5)
    numbers = spark.range(N_ROWS).select(
        key.cast("bigint").alias(KEY), "id", (F.col("id") / 2).alias("half")
    )
    texts = spark.createDataFrame(
        [(1, "one"), (2, "two"), (3, "three"), (3, "also three"), (4, "four"), (99, "none"),
         (GIANT, "giant")],
        f"{KEY} bigint, {TEXT} string",
    )  # fmt: skip
    with rows_per_batch(spark, 300):
        rows = bring_together(numbers, texts, n_partitions).collect()
    record = record_of(numbers)
    packets = [row["packet"] for row in rows if row["packet"] is not None]
    assert sum(map(len, packets)) == N_ROWS * record.itemsize
    assert max(map(len, packets)) <= 128 * record.itemsize
    schema = pa.schema(
        {"place": pa.int32(), "packet": pa.binary(), KEY: pa.int64(), TEXT: pa.string()}
    )
    whole = pa.Table.from_pylist([row.asDict() for row in rows], schema)
    found = {tuple(sorted(told)): own for told, own in unpack(iter(whole.to_batches(3)), record)}
    ids = np.arange(N_ROWS)
    expected = {
        (name,): [i for i in ids[1::2] if i % 5 == key]
        for key, name in ((1, "one"), (2, "two"), (4, "four"))
    }
    expected[("also three", "three")] = [i for i in ids[1::2] if i % 5 == 3]
    expected[("giant",)], expected[("none",)] = ids[::2].tolist(), []
    assert {told: sorted(own["id"].tolist()) for told, own in found.items()} == expected
    assert all((own["half"] == own["id"] / 2).all() for own in found.values())


def test_no_rows_are_no_packets(spark: SparkSession) -> None:
    numbers = spark.createDataFrame([], f"{KEY} bigint, value double")
    texts = spark.createDataFrame([], f"{KEY} bigint, {TEXT} string")
    assert bring_together(numbers, texts, 2).count() == 0
    assert list(unpack(iter([]), record_of(numbers))) == []
