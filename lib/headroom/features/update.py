"""From items and observations to series, those anew of which something changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Config
from headroom.features.aggregates import aggregate, build_aggregate_items
from headroom.features.build import build_quality, to_series
from headroom.features.digests import CONTENT, content_of_row, digest_item, digest_series
from headroom.features.events import add_calendar, add_series_events
from headroom.features.holidays import add_holidays
from headroom.features.ratios import rebuild_ratios
from headroom.features.status import mark_retired, retire
from headroom.features.vocabulary import add_static_codes, list_static_columns
from headroom.freq import parse_freq
from headroom.schemas import QUALITY, SERIES


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames with the same columns."""
    return reduce(DataFrame.unionByName, frames)


@dataclass(frozen=True)
class Update:
    """Series whose rows stand as they were, and series made anew, with their issues, persisted."""

    kept: DataFrame | None
    fresh: DataFrame

    def series(self) -> DataFrame:
        """All rows of table `series`."""
        names = SERIES.schema.names
        fresh = self.fresh.select(names)
        return fresh if self.kept is None else self.kept.select(names).unionByName(fresh)

    def quality(self, before: DataFrame | None) -> DataFrame:
        """All rows of table `quality`; of kept series those that were there before."""
        names = QUALITY.schema.names
        fresh = build_quality(self.fresh).select(names)
        if self.kept is None or before is None:
            return fresh
        kept = before.join(self.kept.select(c.ITEM_ID), c.ITEM_ID, "left_semi")
        return kept.select(names).unionByName(fresh)


@dataclass(frozen=True)
class Maker:
    """What all series are made with. `before` is table `series` as it was, None to make all."""

    config: Config
    code: str
    vocabulary: DataFrame
    events: DataFrame
    before: DataFrame | None

    def update(self, items: DataFrame, observations: DataFrame) -> Update:
        """One row per item."""
        observations = rebuild_ratios(observations, items, self.config.features.ratios)
        items = add_holidays(add_calendar(items, self.events))
        items = add_static_codes(items, self.vocabulary, self._static_columns)
        items = mark_retired(items, self.config.series)
        items = items.withColumn(c.INPUT_DIGEST, digest_item(self._made_by))
        if self.before is None:
            return Update(None, self._make(items, observations).persist())
        row = content_of_row(observations.columns)
        content = observations.groupBy(c.ITEM_ID).agg(F.bit_xor(row).alias(CONTENT))
        now = items.join(content, c.ITEM_ID, "left").select(c.ITEM_ID, digest_series())
        was = self.before.select(c.ITEM_ID, c.INPUT_DIGEST)
        same = now.join(was, [c.ITEM_ID, c.INPUT_DIGEST]).select(c.ITEM_ID).localCheckpoint()
        items = items.join(same, c.ITEM_ID, "left_anti")
        observations = observations.join(same, c.ITEM_ID, "left_anti")
        kept = self.before.join(same, c.ITEM_ID, "left_semi")
        return Update(kept, self._make(items, observations).persist())

    def update_aggregates(
        self, series: DataFrame, memberships: DataFrame, items: DataFrame
    ) -> Update:
        """One row per aggregate of these series."""
        observations = aggregate(series, memberships, parse_freq(self.config.series.freq))
        return self.update(build_aggregate_items(memberships, items), observations)

    def _make(self, items: DataFrame, observations: DataFrame) -> DataFrame:
        config = self.config
        made = to_series(
            items,
            observations,
            config.series,
            config.features.rules,
            config.spark.shuffle_partitions,
        )
        made = add_series_events(retire(made), parse_freq(config.series.freq))
        return made.withColumn(c.INPUT_DIGEST, digest_series()).drop(CONTENT)

    @property
    def _made_by(self) -> str:
        settings = (self.config.series, self.config.features.rules)
        return json.dumps([self.code, *[s.model_dump(mode="json") for s in settings]])

    @cached_property
    def _static_columns(self) -> list[str]:
        return list_static_columns(self.vocabulary)
