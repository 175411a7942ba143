"""Learning looks away from what is flagged."""

from chispa import assert_df_equality
from pyspark.sql import SparkSession

from headroom.features.flags import without_flagged

SCHEMA = "target array<double>, flagged array<boolean>, length int"


def test_flagged_values_are_null_for_those_who_learn(spark: SparkSession) -> None:
    rows = [
        ([1.0, 99.0, None, 4.0], [False, True, False, True], 4),
        ([1.0, None], [False, False], 2),
        ([], [], 0),
    ]
    expected = [([1.0, None, None, None], rows[0][1], 4), *rows[1:]]
    found = without_flagged(spark.createDataFrame(rows, SCHEMA))
    assert_df_equality(found, spark.createDataFrame(expected, SCHEMA), ignore_nullable=True)
