"""One pass over the rows: what they add up to, who the items are, and a digest of their content."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import METRIC_KINDS, Source
from headroom.errors import DataError
from headroom.ingest import mapping
from headroom.ingest.rows import AS_IT_CAME, DOUBT, EVIDENCE, FORM, PERIOD
from headroom.ingest.times import is_time_zone

_N_MISSING, _IS_EMPTY = "n_missing", "is_empty"
_DIGEST_PARTS = ("digest_low", "digest_high")
_BITS = 31  # sums of 31 bits stay inside a long for 4 billion rows


@dataclass(frozen=True)
class Totals:
    """What the rows of one ingest add up to."""

    rows_in: int
    refused: int
    missing: int  # kept rows that say that nothing was measured
    items: int
    doubtful: int  # kept rows of which something is told in findings
    first: datetime | None  # of the kept rows
    last: datetime | None
    content: tuple[int, ...]  # digest of the rows, whatever their order

    @property
    def span(self) -> tuple[str, datetime, datetime] | None:
        """The column of time, and its least and largest value in the kept rows, if any."""
        return (c.TIMESTAMP, self.first, self.last) if self.first and self.last else None


def build_survey(rows: DataFrame) -> DataFrame:
    """One row per item, period, attributes, form of time, doubt reason and evidence: counts,
    first and last time, digest parts.

    Only numbers are aggregated, which Spark does by hashing, without a sort of the rows.
    """
    content = F.col(c.CONTENT)
    mask = F.lit(2**_BITS - 1)
    high = F.shiftrightunsigned(content, _BITS)
    key = (c.ITEM_ID, PERIOD, c.REASON, FORM, DOUBT, *mapping.ATTRIBUTES, mapping.DIMENSION_VALUES)
    return rows.groupBy(*key, EVIDENCE).agg(
        F.count("*").alias(c.N_ROWS),
        F.count_if(F.col(c.TARGET).isNull()).alias(_N_MISSING),
        F.min(c.TIMESTAMP).alias(c.FIRST_SEEN),
        F.max(c.TIMESTAMP).alias(c.LAST_SEEN),
        F.sum(content.bitwiseAND(mask)).alias(_DIGEST_PARTS[0]),
        F.sum(high.bitwiseAND(mask)).alias(_DIGEST_PARTS[1]),
    )


def read_totals(survey: DataFrame, may_be_empty: bool = False) -> Totals:
    """The totals of a survey. Raises DataError where there are no rows and there must be some."""
    is_kept = F.col(c.REASON).isNull()
    said = F.xxhash64(*mapping.ATTRIBUTES, mapping.DIMENSION_VALUES, F.col(EVIDENCE)[AS_IT_CAME])
    totals = survey.agg(
        F.sum(c.N_ROWS),
        F.sum(F.when(is_kept, 0).otherwise(F.col(c.N_ROWS))),
        F.sum(F.when(is_kept, F.col(_N_MISSING)).otherwise(0)),
        F.countDistinct(c.ITEM_ID),
        F.sum(F.when(is_kept & F.col(DOUBT).isNotNull(), F.col(c.N_ROWS)).otherwise(0)),
        F.min(F.when(is_kept, F.col(c.FIRST_SEEN))),
        F.max(F.when(is_kept, F.col(c.LAST_SEEN))),
        *[F.sum(F.col(part).cast("decimal(38,0)")) for part in _DIGEST_PARTS],
        F.sum(F.col(c.N_ROWS) * said.cast("decimal(20,0)")),
    ).first()
    assert totals is not None  # noqa: S101 - an aggregate always has its row
    if not totals[0] and not may_be_empty:
        raise DataError(
            "the source holds no rows (after source.where); nothing was written. "
            "Check source.path and source.where"
        )
    rows_in, refused, missing, items, doubtful, first, last, *content = totals
    return Totals(
        rows_in or 0,
        refused or 0,
        missing or 0,
        items,
        doubtful or 0,
        first,
        last,
        tuple(int(part or 0) for part in content),
    )


def digest_ingest(source: Source, totals: Totals) -> str:
    """Sixteen hex digits of the rows and of how they are read: the same rows and settings give the
    same ingest_id, in whatever files, order or partitions they lie."""
    text = json.dumps([source.digest(), totals.rows_in, totals.content])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_items(survey: DataFrame, known: DataFrame, source: Source) -> DataFrame:
    """One row per item met, with the attributes of its latest good row; first and last time also
    over what is `known` of it. An item whose rows were all refused has its row too; a cell of a
    wide table that never holds a value is no item, for not all of them have every metric."""
    attributes = [*mapping.ATTRIBUTES, mapping.DIMENSION_VALUES]
    is_kept = F.col(c.REASON).isNull()
    latest = F.max(F.struct(is_kept, F.col(c.LAST_SEEN), *attributes)).alias("latest")
    seen = (
        survey.where(F.trim(c.ITEM_ID) != "")
        .groupBy(c.ITEM_ID)
        .agg(
            latest,
            F.min(F.when(is_kept, F.col(c.FIRST_SEEN))).alias(c.FIRST_SEEN),
            F.max(F.when(is_kept, F.col(c.LAST_SEEN))).alias(c.LAST_SEEN),
            F.every(is_kept & (F.col(_N_MISSING) == F.col(c.N_ROWS))).alias(_IS_EMPTY),
        )
        .where(~F.col(_IS_EMPTY) | F.lit(not source.is_wide))
    )
    before = known.select(
        c.ITEM_ID,
        F.col(c.FIRST_SEEN).alias("first_before"),
        F.col(c.LAST_SEEN).alias("last_before"),
    )
    merged = seen.join(before, c.ITEM_ID, "left").select(
        c.ITEM_ID,
        *[F.col(f"latest.{name}").alias(name) for name in attributes],
        F.least(c.FIRST_SEEN, "first_before").alias(c.FIRST_SEEN),
        F.greatest(c.LAST_SEEN, "last_before").alias(c.LAST_SEEN),
    )
    is_kind = F.col(c.METRIC_KIND).isin(*METRIC_KINDS)
    return merged.withColumns(
        {
            c.GROUP_ID: F.coalesce(c.GROUP_ID, c.ITEM_ID),
            c.DIMENSIONS: _dimensions(F.col(mapping.DIMENSION_VALUES), source.dimensions),
            c.METRIC_KIND: _known(c.METRIC_KIND, is_kind, source.defaults.metric_kind),
            c.TIME_ZONE: _known(c.TIME_ZONE, is_time_zone(c.TIME_ZONE), source.defaults.time_zone),
        }
    )


def _known(column: str, is_good: Column, default: str) -> Column:
    """The default in place of what only refused rows said."""
    return F.when(is_good, F.col(column)).otherwise(F.lit(default))


def _dimensions(values: Column, names: Sequence[str]) -> Column:
    """The map of name to value, without the names that have none."""
    keys = F.array(*[F.lit(name) for name in names]).cast("array<string>")
    return F.map_filter(F.map_from_arrays(keys, values), lambda _, value: value.isNotNull())
