"""The most valuable recommendations, the totals, and what was considered and left."""

import json
import math
from collections.abc import Mapping

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from headroom import columns as c
from headroom import schemas as s
from headroom.report.facts import Advice, Recommendations, TypeTotal
from headroom.report.fleet import TOP, as_tally, epoch, first_of
from headroom.report.numerals import from_epoch, words

RECOMMENDED = "recommended"
LONGEST_EVIDENCE = 200_000  # characters; what is longer is not read

_TIMES = (c.AS_OF, c.EVENT_P10, c.EVENT_P50, c.EVENT_P90, c.ACT_BY)


def gather_recommendations(frames: Mapping[str, DataFrame], n_top: int) -> Recommendations | None:
    """The latest recommendations, the `n_top` most valuable in full, or None before `recommend`."""
    stored = frames.get(s.RECOMMENDATIONS.name)
    if stored is None:
        return None
    as_of = stored.agg(F.max(epoch(c.AS_OF)).alias(c.AS_OF)).first()[c.AS_OF]
    latest = stored.where(epoch(c.AS_OF).eqNullSafe(F.lit(as_of)))
    counted = _counted(latest)
    totals = tuple(
        TypeTotal(row[c.REC_TYPE], row["n"], row[c.VALUE] or 0.0)
        for row in counted
        if row[c.OUTCOME] == RECOMMENDED
    )
    left = tuple(
        as_tally(f"{row[c.REC_TYPE]}: {row[c.OUTCOME]}", row["n"], row["example"])
        for row in counted
        if row[c.OUTCOME] != RECOMMENDED
    )
    return Recommendations(
        as_of=from_epoch(as_of),
        n=sum(total.n for total in totals),
        totals=tuple(sorted(totals, key=lambda total: (-total.value, total.rec_type))),
        top=_top(latest.where(F.col(c.OUTCOME) == RECOMMENDED), n_top),
        left=left[:TOP],
    )


def _counted(latest: DataFrame) -> list[Row]:
    """Cases by type and outcome, which are few, with their value and an example."""
    return (
        latest.groupBy(c.REC_TYPE, c.OUTCOME)
        .agg(
            F.count(F.lit(1)).alias("n"),
            F.sum(c.VALUE).alias(c.VALUE),
            first_of(c.GROUP_ID, c.SUMMARY).alias("example"),
        )
        .orderBy(F.desc("n"), c.REC_TYPE, c.OUTCOME)
        .limit(8 * TOP)
        .collect()
    )


def _top(made: DataFrame, n_top: int) -> tuple[Advice, ...]:
    rows = (
        made.orderBy(F.desc_nulls_last(c.VALUE), F.asc_nulls_last(c.ACT_BY), c.RECOMMENDATION_ID)
        .limit(n_top)
        .withColumns({name: epoch(name) for name in _TIMES})
        .withColumn(c.EVIDENCE, F.when(F.length(c.EVIDENCE) <= LONGEST_EVIDENCE, F.col(c.EVIDENCE)))
        .collect()
    )
    return tuple(_advice(rank, row) for rank, row in enumerate(rows, start=1))


def _advice(rank: int, row: Row) -> Advice:
    savings = (row[c.SAVINGS_P10], row[c.SAVINGS_P50], row[c.SAVINGS_P90])
    return Advice(
        rank=rank,
        rec_type=row[c.REC_TYPE] or "",
        summary=row[c.SUMMARY] or "",
        action=row[c.ACTION_TEXT] or "",
        target=row[c.GROUP_ID] or "",
        dimensions=dict(row[c.DIMENSIONS] or {}),
        unit=words(row[c.UNIT] or ""),
        current=row[c.CURRENT],
        proposed=row[c.PROPOSED],
        savings=None if None in savings else savings,
        value=row[c.VALUE],
        risk_now=row[c.RISK_NOW],
        risk_after=row[c.RISK_AFTER],
        event=(
            from_epoch(row[c.EVENT_P10]),
            from_epoch(row[c.EVENT_P50]),
            from_epoch(row[c.EVENT_P90]),
        ),
        act_by=from_epoch(row[c.ACT_BY]),
        confidence=row[c.CONFIDENCE],
        evidence=read_evidence(row[c.EVIDENCE]),
    )


def read_evidence(text: str | None) -> dict[str, object]:
    """The evidence as stored, null for what is not finite; empty where it is no JSON object."""
    try:
        evidence = json.loads(text or "{}", parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return {}
    return _finite(evidence) if isinstance(evidence, dict) else {}


def _finite(evidence: dict[str, object]) -> dict[str, object]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in evidence.items()
    }
