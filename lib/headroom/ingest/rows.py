"""Each row of the source, read or refused with a reason; and the tables made of these rows."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import METRIC_KINDS, LocalTime, Metric, Source
from headroom.ingest import mapping
from headroom.ingest.times import (
    LOCAL,
    MISSING_HOUR,
    REPEATED_HOUR,
    epoch_of,
    is_time_zone,
    plain_form_of,
    read_times,
)
from headroom.ingest.values import find_rounded, is_missing, parse_revision, parse_target

# Of two values for one instant the larger is the more complete count or the worse latency.
LARGEST_OF_DUPLICATES = ("count", "counter", "cost", "latency")

FIRST_YEAR, LAST_YEAR = 1900, 2261
LARGEST = 1e300

PERIOD = "period"  # number of the quarter of a year since 1970
FORM = "form"  # in which the time is written
EVIDENCE = "evidence"  # of a row that is refused, null for any other
AS_IT_CAME = 0  # place of the row in its evidence
DOUBT = "doubt"  # code of what is doubtful in a row that is kept

_TOLD = (
    mapping.RAW_TIMESTAMP,
    mapping.RAW_TARGET,
    mapping.RAW_REVISION,
    mapping.LOCAL_ZONE,
    c.METRIC_KIND,
    c.TIME_ZONE,
)

_EPOCH, _PLAIN = "epoch", "plain"
_IS_MISSING = "is_missing"
_TAKES_LARGEST = "takes_largest"
_PERIOD_SECONDS = 90 * 86_400


def to_rows(mapped: DataFrame, source: Source) -> DataFrame:
    """The mapped rows with timestamp, target and attributes read, and a digest of the values;
    `reason` is null where all was good and a code otherwise, with what is to be told of
    the row in `evidence`."""
    types = {field.name: field.dataType for field in mapped.schema}
    target, revision = F.col(mapping.RAW_TARGET), F.col(mapping.RAW_REVISION)
    written, form = F.col(mapping.RAW_TIMESTAMP), types[mapping.RAW_TIMESTAMP]
    zone, kind = F.col(mapping.LOCAL_ZONE), types[mapping.RAW_TARGET]
    times = read_times(written, form, F.col(_EPOCH), F.col(_PLAIN), source.local_time, zone)
    marked = mapped.withColumns(
        {_EPOCH: epoch_of(written, form), _PLAIN: plain_form_of(written, form)}
    )
    # Step by step: what is used several times is computed once, and Java compiles no long method.
    read = marked.withColumns(
        {
            c.TIMESTAMP: times.instant,
            FORM: times.form,
            DOUBT: F.coalesce(times.clock, find_rounded(target, kind)),
            c.TARGET: parse_target(mapping.RAW_TARGET, kind),
            c.REVISION: parse_revision(revision, types[mapping.RAW_REVISION]),
            **_attributes(source),
        }
    )
    said_nothing = F.when(F.col(c.TARGET).isNull(), is_missing(target, kind))  # few are asked
    judged = read.withColumn(_IS_MISSING, said_nothing).withColumns(
        {
            c.CONTENT: _content(),
            PERIOD: F.floor(F.unix_seconds(c.TIMESTAMP) / _PERIOD_SECONDS),
            c.REASON: F.coalesce(*[F.when(fault, code) for code, fault, _ in _faults(source)]),
        }
    )
    texts = [F.col(name).cast("string") for name in _TOLD]
    evidence = F.array(mapping.as_it_came(), c.SOURCE_FILE, *texts)
    return judged.withColumn(EVIDENCE, F.when(F.col(c.REASON).isNotNull(), evidence))


def _content() -> Column:
    """Digest of item, time, value and revision. What a row says beside them is the same in many
    rows; a survey looks at it once for all of these."""
    nothing = F.lit(float("nan"))  # a hash passes over null in silence
    values = [F.coalesce(F.col(name).cast("double"), nothing) for name in (c.TARGET, c.REVISION)]
    return F.xxhash64(c.ITEM_ID, c.TIMESTAMP, *values)


def tell(rows: DataFrame, source: Source) -> DataFrame:
    """Of rows with a reason raw, source_file, reason, n_rows and detail: a sentence with the value
    met. A step of its own, as few rows need it."""
    told = [F.when(F.col(c.REASON) == code, detail) for code, _, detail in _faults(source)]
    names = (c.RAW, c.SOURCE_FILE, *_TOLD)
    values = [F.col(EVIDENCE)[place].alias(name) for place, name in enumerate(names)]
    refused = rows.where(F.col(EVIDENCE).isNotNull()).select(c.REASON, c.N_ROWS, *values)
    return refused.select(
        c.RAW, c.SOURCE_FILE, c.REASON, c.N_ROWS, F.coalesce(*told).alias(c.DETAIL)
    )


def _attributes(source: Source) -> dict[str, Column]:
    """What the row says, else what is known of its metric, else what is said of all items."""
    defaults = source.defaults
    kind, unit, name = (
        _known(source.metrics, field) for field in ("metric_kind", "unit", "metric")
    )
    return {
        c.METRIC: F.coalesce(name, F.col(c.METRIC), F.lit(defaults.metric)),
        c.METRIC_KIND: F.coalesce(F.lower(c.METRIC_KIND), kind, F.lit(defaults.metric_kind)),
        c.UNIT: F.coalesce(F.col(c.UNIT), unit, F.lit(defaults.unit)),
        c.TIME_ZONE: F.coalesce(c.TIME_ZONE, F.lit(defaults.time_zone)),
        c.COUNTRY: F.upper(F.coalesce(c.COUNTRY, F.lit(defaults.country).cast("string"))),
    }


def _known(metrics: Mapping[str, Metric], field: str) -> Column:
    """The field of the row's metric; null where nothing is said of it."""
    said = {name: getattr(metric, field) for name, metric in metrics.items()}
    cases = [F.when(F.col(c.METRIC) == name, value) for name, value in said.items() if value]
    return F.coalesce(*cases, F.lit(None).cast("string"))


def _faults(source: Source) -> list[tuple[str, Column, Column]]:
    """Code, condition and sentence of every reason to refuse a row; the first that holds counts."""
    time, value = F.col(c.TIMESTAMP), F.col(c.TARGET)
    late = F.lit(False) if source.until is None else time >= F.lit(source.until)
    return [
        ("malformed", F.col(mapping.IS_MALFORMED), F.lit("the line cannot be read")),
        ("no_item_id", F.coalesce(F.trim(c.ITEM_ID) == "", F.lit(True)), F.lit("no item_id")),
        *_clock_faults(source.local_time),
        ("bad_timestamp", time.isNull(), _said(mapping.RAW_TIMESTAMP, "is no time")),
        (
            "out_of_range",
            (time < _start_of(FIRST_YEAR)) | (time >= _start_of(LAST_YEAR + 1)),
            _said(mapping.RAW_TIMESTAMP, f"is outside {FIRST_YEAR} to {LAST_YEAR}"),
        ),
        (
            "future_dated",
            late,
            _said(mapping.RAW_TIMESTAMP, f"is not before source.until {source.until}"),
        ),
        (
            "bad_target",
            value.isNull() & ~F.col(_IS_MISSING),
            _said(mapping.RAW_TARGET, "is no number"),
        ),
        (
            "bad_revision",
            F.col(mapping.RAW_REVISION).isNotNull() & F.col(c.REVISION).isNull(),
            _said(mapping.RAW_REVISION, "is neither a whole number nor a time"),
        ),
        ("infinite_target", F.abs(value) >= LARGEST, _said(mapping.RAW_TARGET, "is not finite")),
        (
            "bad_metric_kind",
            ~F.col(c.METRIC_KIND).isin(*METRIC_KINDS),
            _said(c.METRIC_KIND, f"is none of {', '.join(METRIC_KINDS)}"),
        ),
        (
            "bad_time_zone",
            ~is_time_zone(c.TIME_ZONE),
            _said(c.TIME_ZONE, "is no IANA time zone"),
        ),
    ]


def _start_of(year: int) -> Column:
    return F.lit(f"{year}-01-01").cast("timestamp")


def _clock_faults(local: LocalTime | None) -> list[tuple[str, Column, Column]]:
    """Local times that no clock showed, or that it showed twice, where the policy refuses them."""
    if local is None:
        return []
    has_zone = F.coalesce(is_time_zone(mapping.LOCAL_ZONE), F.lit(False))
    where = F.concat(F.lit(" in "), mapping.LOCAL_ZONE)
    faults = [
        (
            "bad_local_zone",
            (F.col(FORM) == LOCAL) & ~has_zone,
            _said(mapping.LOCAL_ZONE, "is no IANA time zone"),
        )
    ]
    for policy, clock, fault in (
        (local.repeated_hour, REPEATED_HOUR, "is one of two instants"),
        (local.missing_hour, MISSING_HOUR, "was shown by no clock"),
    ):
        if policy == "refuse":
            detail = F.concat(_said(mapping.RAW_TIMESTAMP, fault), where)
            faults.append((clock, F.col(DOUBT) == clock, detail))
    return faults


def _said(column: str, fault: str) -> Column:
    text = F.coalesce(F.substring(F.col(column).cast("string"), 1, 60), F.lit("nothing"))
    return F.concat(F.lit(f"{column.removeprefix('raw_')} '"), text, F.lit(f"' {fault}"))


def build_observations(
    rows: DataFrame, source: Source, ingest_id: str, n_partitions: int
) -> DataFrame:
    """One row per item and timestamp. Of several only those with the largest revision count, where
    the source has one; then the largest value of a count, cost or latency, the middle between
    smallest and largest of any other kind."""
    key = [c.ITEM_ID, c.TIMESTAMP]
    takes_largest = F.col(c.METRIC_KIND).isin(*LARGEST_OF_DUPLICATES).alias(_TAKES_LARGEST)
    is_good = F.col(c.REASON).isNull()
    # Refused rows go along and count for nothing: Spark would look for a reason twice, by an
    # expression too long to be compiled, if they were left out before.
    read = rows.select(
        *key,
        F.when(is_good, F.col(c.TARGET)).alias(c.TARGET),
        c.REVISION,
        takes_largest,
        is_good.cast("int").alias(c.N_ROWS),
    ).repartition(n_partitions, c.ITEM_ID)
    values = (_one_target(), F.sum(c.N_ROWS).alias(c.N_ROWS))
    is_met = F.col(c.N_ROWS) > 0
    if source.columns.revision is None:
        found = read.groupBy(*key).agg(*values).where(is_met)
        return found.withColumns(
            {c.REVISION: F.lit(None).cast("bigint"), c.INGEST_ID: F.lit(ingest_id)}
        )
    states = read.groupBy(*key, c.REVISION).agg(*values).where(is_met)
    last = F.max(F.struct(c.REVISION, c.TARGET)).alias("last")
    found = states.groupBy(*key).agg(last, F.sum(c.N_ROWS).alias(c.N_ROWS))
    return found.select(*key, "last.*", c.N_ROWS, F.lit(ingest_id).alias(c.INGEST_ID))


def _one_target() -> Column:
    low, high = F.min(c.TARGET), F.max(c.TARGET)
    # Minimum and maximum, as they do not depend on the order of rows, which Spark does not keep.
    one = F.when(F.max(_TAKES_LARGEST) | (low == high), high).otherwise(low / 2 + high / 2)
    return one.alias(c.TARGET)


def find_outdated(found: DataFrame, known: DataFrame) -> DataFrame:
    """Of the new observations those that an observation with a larger revision stands against."""
    later = known.where(F.col(c.REVISION).isNotNull()).select(
        c.ITEM_ID, c.TIMESTAMP, F.col(c.REVISION).alias("known_revision")
    )
    joined = found.join(later, [c.ITEM_ID, c.TIMESTAMP])
    is_older = F.col(c.REVISION).isNull() | (F.col(c.REVISION) < F.col("known_revision"))
    return joined.where(is_older).drop("known_revision")


def build_rejected_rows(refused: DataFrame, ingest_id: str) -> DataFrame:
    """The rows refused, as they came; identical ones once, with their count."""
    return (
        refused.groupBy(c.RAW, c.REASON)
        .agg(
            F.min(c.SOURCE_FILE).alias(c.SOURCE_FILE),
            F.min(c.DETAIL).alias(c.DETAIL),
            F.sum(c.N_ROWS).alias(c.N_ROWS),
        )
        .withColumn(c.INGEST_ID, F.lit(ingest_id))
    )
