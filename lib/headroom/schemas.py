"""The tables: types, keys and what must hold, once."""

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headroom import columns as c
from headroom.config import METRIC_KINDS
from headroom.errors import SchemaError

STRINGS = MapType(StringType(), StringType())
LONGS = MapType(StringType(), LongType())
DOUBLES = MapType(StringType(), DoubleType())
STRING, DOUBLE, INT, LONG = StringType(), DoubleType(), IntegerType(), LongType()
BOOLEAN, TIME = BooleanType(), TimestampType()


@dataclass(frozen=True)
class Table:
    """A Delta table: its columns, the key of a row, CHECK constraints by name, and the columns of
    which Delta keeps least and largest values, its default where none are named."""

    name: str
    schema: StructType
    key: tuple[str, ...]
    checks: tuple[tuple[str, str], ...] = ()
    skips_by: tuple[str, ...] = ()

    @property
    def properties(self) -> dict[str, str]:
        """Delta's names for these."""
        skips = {"delta.dataSkippingStatsColumns": ",".join(self.skips_by)} if self.skips_by else {}
        return {f"delta.constraints.{name}": check for name, check in self.checks} | skips


def _table(name: str, key: tuple[str, ...], *fields: tuple[str, DataType], **checks: str) -> Table:
    required = set(key)
    schema = StructType([StructField(n, t, nullable=n not in required) for n, t in fields])
    return Table(name, schema, key, tuple(checks.items()))


SERIES_EVENT = StructType(
    [
        StructField(c.KIND, STRING),
        StructField("first_step", INT),  # offset from the series' start; may lie in the future
        StructField("last_step", INT),  # inclusive
        StructField(c.EXPECTED_LIFT, DOUBLE),
        StructField("known_step", INT),  # first step at which the entry was known
    ]
)

ITEMS = _table(
    "items",
    (c.ITEM_ID,),
    (c.ITEM_ID, STRING),
    (c.GROUP_ID, STRING),
    (c.DIMENSIONS, STRINGS),
    (c.METRIC, STRING),
    (c.METRIC_KIND, STRING),
    (c.UNIT, STRING),
    (c.TIME_ZONE, STRING),
    (c.COUNTRY, STRING),
    (c.FIRST_SEEN, TIME),
    (c.LAST_SEEN, TIME),
    known_kind=f"{c.METRIC_KIND} in {METRIC_KINDS}".replace(", ", ","),
)

# Each file holds items from first to last by name: only its times tell whether it is needed.
OBSERVATIONS = replace(
    _table(
        "observations",
        (c.ITEM_ID, c.TIMESTAMP),
        (c.ITEM_ID, STRING),
        (c.TIMESTAMP, TIME),
        (c.TARGET, DOUBLE),  # null: the source says that nothing was measured
        (c.N_ROWS, LONG),
        (c.INGEST_ID, STRING),
        (c.REVISION, LONG),
        finite_target=f"{c.TARGET} is null or (not isnan({c.TARGET}) and abs({c.TARGET}) < 1e300)",
    ),
    skips_by=(c.TIMESTAMP,),
)

INGESTED_FILES = _table(
    "ingested_files",
    (c.READING, c.SOURCE_FILE, c.CONTENT),
    (c.READING, STRING),
    (c.SOURCE_FILE, STRING),
    (c.CONTENT, STRING),
    (c.SIZE_BYTES, LONG),
    (c.MODIFIED_AT, TIME),
    (c.INGEST_ID, STRING),
)

# What ingest noticed about rows that it kept; features takes it into quality.
FINDINGS = _table(
    "findings",
    (c.INGEST_ID, c.ITEM_ID, c.ISSUE),
    (c.INGEST_ID, STRING),
    (c.ITEM_ID, STRING),
    (c.ISSUE, STRING),
    (c.N_AFFECTED, LONG),
    (c.N_ROWS, LONG),
    (c.FIRST_AT, TIME),
    (c.LAST_AT, TIME),
    (c.ACTION, STRING),
    counted=f"{c.N_AFFECTED} > 0",
)

REJECTED_ROWS = _table(
    "rejected_rows",
    (c.INGEST_ID, c.RAW, c.REASON),
    (c.INGEST_ID, STRING),
    (c.SOURCE_FILE, STRING),
    (c.RAW, STRING),
    (c.REASON, STRING),
    (c.DETAIL, STRING),
    (c.N_ROWS, LONG),
    counted=f"{c.N_ROWS} > 0",
)

EVENTS = _table(
    "events",
    (c.EVENT_ID,),
    (c.EVENT_ID, STRING),
    (c.KIND, STRING),
    (c.NAME, STRING),
    (c.STARTS_AT, TIME),
    (c.ENDS_AT, TIME),
    (c.KNOWN_AT, TIME),
    (c.SCOPE, STRINGS),
    (c.EXPECTED_LIFT, DOUBLE),
    ordered=f"{c.ENDS_AT} >= {c.STARTS_AT}",
)

SERIES = _table(
    "series",
    (c.ITEM_ID,),
    (c.ITEM_ID, STRING),
    (c.GROUP_ID, STRING),
    (c.DIMENSIONS, STRINGS),
    (c.METRIC, STRING),
    (c.METRIC_KIND, STRING),
    (c.UNIT, STRING),
    (c.TIME_ZONE, STRING),
    (c.FREQ, STRING),
    (c.START, TIME),
    (c.LENGTH, INT),
    (c.TARGET, ArrayType(DOUBLE)),  # null where not observed
    (c.OBSERVED, ArrayType(BOOLEAN)),
    (c.FLAGGED, ArrayType(BOOLEAN)),
    (c.STATIC_CODES, ArrayType(INT)),
    (c.SERIES_EVENTS, ArrayType(SERIES_EVENT)),
    (c.STATUS, STRING),  # ok, or why it cannot be forecast
    (c.REASON, STRING),
    (c.INPUT_DIGEST, LONG),
    same_length=" and ".join(
        f"size({name}) = {c.LENGTH}" for name in (c.TARGET, c.OBSERVED, c.FLAGGED)
    ),
)

VOCABULARY = _table(
    "vocabulary",
    (c.STATIC_COLUMN, c.CATEGORY),
    (c.STATIC_COLUMN, STRING),
    (c.CATEGORY, STRING),
    (c.CODE, INT),
    known=f"{c.CODE} > 0",
)

MEMBERSHIPS = _table(
    "memberships",
    (c.AGGREGATE_ID, c.ITEM_ID),
    (c.AGGREGATE_ID, STRING),
    (c.ITEM_ID, STRING),
    (c.HOW, STRING),
    known_how=f"{c.HOW} in ('sum','mean','max')",
)

# Drawn, not measured: there is nothing to flag, and nothing that it was made from.
SYNTHETIC_SERIES = _table(
    "synthetic_series",
    SERIES.key,
    *[
        (field.name, field.dataType)
        for field in SERIES.schema
        if field.name not in (c.FLAGGED, c.INPUT_DIGEST)
    ],
    same_length=f"size({c.TARGET}) = {c.LENGTH} and size({c.OBSERVED}) = {c.LENGTH}",
)

QUALITY = _table(
    "quality",
    (c.ITEM_ID, c.ISSUE),
    (c.ITEM_ID, STRING),
    (c.ISSUE, STRING),
    (c.N_AFFECTED, LONG),
    (c.SHARE, DOUBLE),
    (c.FIRST_AT, TIME),
    (c.LAST_AT, TIME),
    (c.ACTION, STRING),
    counted=f"{c.N_AFFECTED} > 0",
)

MODELS = _table(
    "models",
    (c.MODEL_VERSION,),
    (c.MODEL_VERSION, STRING),
    (c.STAGE, STRING),
    (c.CONFIG, STRING),
    (c.CONFIG_DIGEST, STRING),
    (c.CODE_VERSION, STRING),
    (c.INPUTS, STRINGS),  # content digests; the runs row has the table versions
    (c.METRICS, DOUBLES),
    (c.WEIGHTS_PATH, STRING),
    (c.SHA256, STRING),
    known_stage=f"{c.STAGE} in ('candidate','champion','archived')",
)

TRAINING_LOG = _table(
    "training_log",
    (c.MODEL_VERSION, "member", c.EPOCH, c.RANK),
    (c.MODEL_VERSION, STRING),
    ("member", INT),
    (c.EPOCH, INT),
    (c.RANK, INT),
    (c.LOSS, DOUBLE),
    (c.WINDOWS_PER_SECOND, DOUBLE),
    (c.SECONDS, DOUBLE),
)

_FORECAST_OK = f"size({c.QUANTILES}) = size({c.QUANTILE_LEVELS})"

BACKTEST_FORECASTS = _table(
    "backtest_forecasts",
    (c.ITEM_ID, c.FORECAST_START, c.TIMESTAMP, c.MODEL),
    (c.ITEM_ID, STRING),
    (c.WINDOW, INT),
    (c.FORECAST_START, TIME),
    (c.TIMESTAMP, TIME),
    (c.STEP, INT),
    (c.MODEL, STRING),
    (c.IS_SELECTED, BOOLEAN),
    (c.TARGET, DOUBLE),  # null where not observed
    (c.MEAN, DOUBLE),
    (c.QUANTILE_LEVELS, ArrayType(DOUBLE)),
    (c.QUANTILES, ArrayType(DOUBLE)),
    matching_quantiles=_FORECAST_OK,
)

BACKTESTS = _table(
    "backtests",
    (c.ITEM_ID, c.WINDOW, c.MODEL),
    (c.ITEM_ID, STRING),
    (c.WINDOW, INT),
    (c.FORECAST_START, TIME),
    (c.MODEL, STRING),
    (c.MODEL_VERSION, STRING),
    (c.IS_SELECTED, BOOLEAN),
    (c.MEAN_WQL_LOSS, DOUBLE),
    (c.ABS_TARGET, DOUBLE),
    (c.MASE, DOUBLE),
    (c.SMAPE, DOUBLE),
    (c.MSIS, DOUBLE),
    (c.CRPS, DOUBLE),
    (c.COVERAGE_50, DOUBLE),
    (c.COVERAGE_80, DOUBLE),
    (c.COVERAGE_90, DOUBLE),
    (c.COVERAGE_95, DOUBLE),
)

SELECTIONS = _table(
    "selections",
    (c.MODEL_VERSION, c.ITEM_ID),
    (c.MODEL_VERSION, STRING),
    (c.ITEM_ID, STRING),  # "" = every item that has no row of its own
    (c.METHOD, STRING),
    (c.FACTOR, DOUBLE),  # on the distance of the quantiles from the median
    (c.SCORE, DOUBLE),  # expected loss relative to the method in the middle
    (c.N_WINDOWS, INT),  # the choice rests on
    widening=f"{c.FACTOR} > 0",
)

FORECASTS = _table(
    "forecasts",
    (c.ITEM_ID, c.FORECAST_START, c.TIMESTAMP),
    (c.ITEM_ID, STRING),
    (c.FORECAST_START, TIME),
    (c.TIMESTAMP, TIME),
    (c.STEP, INT),  # 0 in the single row of a series that has no forecast
    (c.MEAN, DOUBLE),
    (c.QUANTILE_LEVELS, ArrayType(DOUBLE)),
    (c.QUANTILES, ArrayType(DOUBLE)),
    (c.MODEL_VERSION, STRING),
    (c.METHOD, STRING),
    (c.STATUS, STRING),
    (c.REASON, STRING),
    matching_quantiles=f"{c.QUANTILES} is null or {_FORECAST_OK}",
    finite_mean=f"{c.MEAN} is null or not isnan({c.MEAN})",
)

RECOMMENDATIONS = _table(
    "recommendations",
    (c.RECOMMENDATION_ID,),
    (c.RECOMMENDATION_ID, STRING),
    (c.AS_OF, TIME),
    (c.REC_TYPE, STRING),
    (c.OUTCOME, STRING),  # recommended, or the code of the reason why not
    (c.GROUP_ID, STRING),
    (c.DIMENSIONS, STRINGS),
    (c.SUMMARY, STRING),  # the sentence for the owner
    (c.ACTION_TEXT, STRING),
    (c.UNIT, STRING),
    (c.CURRENT, DOUBLE),
    (c.PROPOSED, DOUBLE),
    (c.SAVINGS_P10, DOUBLE),
    (c.SAVINGS_P50, DOUBLE),
    (c.SAVINGS_P90, DOUBLE),
    (c.VALUE, DOUBLE),
    (c.RISK_NOW, DOUBLE),
    (c.RISK_AFTER, DOUBLE),
    (c.EVENT_P10, TIME),
    (c.EVENT_P50, TIME),
    (c.EVENT_P90, TIME),
    (c.ACT_BY, TIME),
    (c.CONFIDENCE, DOUBLE),
    (c.EVIDENCE, STRING),  # JSON: every number of the summary, and what recomputes it
    probabilities=f"({c.RISK_NOW} is null or {c.RISK_NOW} between 0 and 1) and "
    f"({c.RISK_AFTER} is null or {c.RISK_AFTER} between 0 and 1)",
    ordered_savings=f"{c.SAVINGS_P10} is null or "
    f"({c.SAVINGS_P10} <= {c.SAVINGS_P50} and {c.SAVINGS_P50} <= {c.SAVINGS_P90})",
    ordered_dates=f"({c.EVENT_P10} is null or {c.EVENT_P50} is null "
    f"or {c.EVENT_P10} <= {c.EVENT_P50}) and "
    f"({c.EVENT_P50} is null or {c.EVENT_P90} is null or {c.EVENT_P50} <= {c.EVENT_P90})",
)

MONITORING = _table(
    "monitoring",
    (c.GROUP_ID, c.FORECAST_START, "measure"),
    (c.GROUP_ID, STRING),
    (c.FORECAST_START, TIME),
    ("measure", STRING),
    ("value", DOUBLE),
    ("expected", DOUBLE),  # the same measure in the backtest of the model that made the forecast
    (c.STATUS, STRING),
)

RUNS = _table(
    "runs",
    (c.RUN_ID,),
    (c.RUN_ID, STRING),
    (c.JOB, STRING),
    (c.STATUS, STRING),  # running, done, partial, failed
    (c.STARTED_AT, TIME),
    (c.FINISHED_AT, TIME),
    (c.ARGUMENTS, ArrayType(STRING)),
    (c.CONFIG, STRING),
    (c.CONFIG_DIGEST, STRING),
    (c.CODE_VERSION, STRING),
    (c.FINGERPRINT, STRING),  # of what lies outside the tables, such as source files
    (c.TABLES_READ, LONGS),
    (c.TABLES_WRITTEN, LONGS),
    (c.COUNTS, LONGS),
    (c.MESSAGE, STRING),
    (c.EXIT_CODE, INT),
)

# What `simulate` writes; `telemetry` and `calendar` are sources like any other, and no job but the
# tests ever reads `simulated_truth`.
TELEMETRY = _table(
    "telemetry",
    (),
    (c.ITEM_ID, STRING),
    (c.TIMESTAMP, STRING),  # as sources have it: text, ISO 8601
    (c.TARGET, STRING),
    ("service", STRING),
    ("region", STRING),
    ("team", STRING),
    ("tier", STRING),
    (c.METRIC, STRING),
    (c.METRIC_KIND, STRING),
    (c.UNIT, STRING),
    (c.TIME_ZONE, STRING),
    (c.GROUP_ID, STRING),
)

CALENDAR = _table("calendar", (c.EVENT_ID,), *[(f.name, f.dataType) for f in EVENTS.schema])

SIMULATED_TRUTH = _table(
    "simulated_truth",
    (c.GROUP_ID, c.KIND),
    (c.GROUP_ID, STRING),  # service/region; for dirt_… the item
    # over_provisioned, idle, shortfall, efficiency_regression, cost_anomaly, or dirt_…
    (c.KIND, STRING),
    (c.STARTS_AT, TIME),  # when it begins; for a shortfall the date of the first true breach
    (c.ENDS_AT, TIME),
    ("magnitude", DOUBLE),  # needed ÷ present capacity, step in cores per request, steps, …
    (c.DETAIL, STRING),
)

TABLES = {
    table.name: table
    for table in (
        ITEMS,
        OBSERVATIONS,
        INGESTED_FILES,
        FINDINGS,
        REJECTED_ROWS,
        EVENTS,
        VOCABULARY,
        SERIES,
        QUALITY,
        MEMBERSHIPS,
        MODELS,
        TRAINING_LOG,
        BACKTESTS,
        BACKTEST_FORECASTS,
        SELECTIONS,
        FORECASTS,
        RECOMMENDATIONS,
        MONITORING,
        RUNS,
        SYNTHETIC_SERIES,
        TELEMETRY,
        CALENDAR,
        SIMULATED_TRUTH,
    )
}


def conform(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with exactly the columns of the table, in order and type.

    Raises SchemaError that names the columns the frame lacks.
    """
    missing = [name for name in table.schema.names if name not in frame.columns]
    if missing:
        raise SchemaError(f"{table.name} lacks {missing}; the frame has {sorted(frame.columns)}")
    return frame.select(
        *[F.col(field.name).cast(field.dataType).alias(field.name) for field in table.schema]
    )
