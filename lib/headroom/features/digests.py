"""Digests of all that a series is made from: where they are the same, its row stands.

A digest depends neither on the history of the tables nor on who wrote them, so that a repeated
ingest changes nothing and a corrected value is never missed.
"""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.features.events import CALENDAR
from headroom.features.ratios import WEIGHT
from headroom.features.status import RETIREMENT

CONTENT = "content"


def content_of_row(columns: Sequence[str]) -> Column:
    """Of an observation. That of an item is the exclusive or of its rows, in any order."""
    weight = [WEIGHT] if WEIGHT in columns else []
    nan = F.lit(float("nan"))  # a hash passes over null in silence
    parts = [F.coalesce(F.col(name).cast("double"), nan) for name in (c.TARGET, c.N_ROWS, *weight)]
    return F.xxhash64(c.TIMESTAMP, *parts)


def digest_item(made_by: str) -> Column:
    """Of an item with its codes and calendar; `made_by` says with which code and settings."""
    names = (c.GROUP_ID, c.METRIC, c.METRIC_KIND, c.UNIT, c.TIME_ZONE, RETIREMENT)
    texts = [F.coalesce(name, F.lit("\0")) for name in names]
    dimensions = F.array_sort(F.map_entries(c.DIMENSIONS))
    return F.xxhash64(F.lit(made_by), *texts, dimensions, c.STATIC_CODES, CALENDAR)


def digest_series() -> Column:
    """Of an item with its digest and the content of its observations."""
    return F.xxhash64(c.INPUT_DIGEST, F.coalesce(CONTENT, F.lit(0))).alias(c.INPUT_DIGEST)
