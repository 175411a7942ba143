"""What a source writes for a time or a number, as expressions that never raise."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType, StringType

# What stands for "nothing was measured".
MISSING = ("", "nan", "null", "na", "n/a", "none", "nil")
INFINITE = ("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EPOCH = r"^\d{9,19}(\.\d*)?$"
_ISO = (
    r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,9})?"
    r"( ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?))?)?$"
)
# A time without seconds, which Spark refuses where a zone follows.
_NO_SECONDS = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d)(?=$|[ Z+-])"

# An epoch below stands in 1973 or is no epoch: 20240101, a year, a row number, a zero.
_SMALLEST_EPOCH = 1e8


def parse_timestamp(column: Column, kind: DataType) -> Column:
    """The instant in UTC, null where there is none to read.

    Times, dates, ISO 8601 text (without a zone: UTC), and epochs in s, ms, µs or ns by magnitude.
    """
    if isinstance(kind, NumericType):
        return _parse_epoch(column.cast("double"))
    if not isinstance(kind, StringType):
        return column.cast("timestamp")
    text = F.regexp_replace(F.trim(column), _NO_SECONDS, "$1:00")
    iso = F.try_to_timestamp(F.when(text.rlike(_ISO), text))
    return F.coalesce(iso, _parse_epoch(F.when(text.rlike(_EPOCH), text).cast("double")))


def _parse_epoch(number: Column) -> Column:
    micros = (
        F.when(number < _SMALLEST_EPOCH, None)
        .when(number < 1e11, number * 1e6)
        .when(number < 1e14, number * 1e3)
        .when(number < 1e17, number)
        .when(number < 9.2e18, number / 1e3)
    )
    return F.timestamp_micros(F.floor(micros + 0.5))


def is_missing(column: Column, kind: DataType) -> Column:
    """True where the source says that nothing was measured: null, empty, NaN, NA, …"""
    if isinstance(kind, StringType):
        said = F.lower(F.trim(column)).isin(*MISSING)
    elif isinstance(kind, NumericType):
        said = F.isnan(column.cast("double"))
    else:
        said = F.lit(False)
    return column.isNull() | said


def parse_target(column: Column, kind: DataType) -> Column:
    """The number as a double; null where it is missing or is no number; infinities stay."""
    if isinstance(kind, BooleanType):
        return column.cast("int").cast("double")
    if not isinstance(kind, StringType):
        number = column.cast("double")
        return F.when(~F.isnan(number), number)
    text = F.lower(F.trim(column))
    infinite = F.when(text.isin(*INFINITE), F.lit(float("inf")))
    return F.coalesce(infinite, F.when(text.rlike(_NUMBER), text).cast("double"))
