"""What a source writes for a number, as expressions that never raise."""

from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DecimalType,
    LongType,
    NumericType,
    StringType,
)

from headroom.ingest.times import parse_timestamp

# What stands for "nothing was measured".
MISSING = ("", "nan", "null", "na", "n/a", "none", "nil")
_IS_MISSING = f"^({'|'.join(MISSING)})$"
_INFINITE = r"^[+-]?inf(inity)?$"

_EXACT = 2.0**53  # below, a double holds every whole number
ROUNDED = "rounded_values"

_DIGITS = r"^[+-]?\d+$"
_WHOLE = r"^[+-]?\d{1,18}$"


def parse_revision(column: Column, kind: DataType) -> Column:
    """The whole number, or the µs since 1970 of a time; null where it is neither."""
    if isinstance(kind, NumericType):
        return F.floor(column).cast("bigint")
    if not isinstance(kind, StringType):
        return F.unix_micros(column.cast("timestamp"))
    text = F.trim(column)
    whole = F.when(text.rlike(_WHOLE), text).cast("bigint")
    return F.coalesce(whole, F.unix_micros(parse_timestamp(text, kind)))


def is_missing(column: Column, kind: DataType) -> Column:
    """True where the source says that nothing was measured: null, empty, NaN, NA, …"""
    if isinstance(kind, StringType):
        said = F.lower(F.trim(column)).rlike(_IS_MISSING)
    elif isinstance(kind, NumericType):
        said = F.isnan(column.cast("double"))
    else:
        said = F.lit(False)
    return column.isNull() | said


def find_rounded(column: Column, kind: DataType) -> Column:
    """The code rounded_values for a whole number that a double cannot hold to the last digit, null
    for any other."""
    if isinstance(kind, LongType | DecimalType):
        return F.when(F.abs(column.cast("double")) >= _EXACT, F.lit(ROUNDED))
    if isinstance(kind, StringType):
        text = F.trim(column)
        long = F.when((F.length(text) > 15) & text.rlike(_DIGITS), text).cast("double")
        return F.when(F.abs(long) >= _EXACT, F.lit(ROUNDED))
    return F.lit(None).cast("string")


def parse_target(name: str, kind: DataType) -> Column:
    """The number in a column as a double; null where it is missing or is no number; infinities
    stay."""
    column = F.col(name)
    if isinstance(kind, BooleanType):
        return column.cast("int").cast("double")
    if not isinstance(kind, StringType):
        number = column.cast("double")
        return F.when(~F.isnan(number), number)
    text = F.trim(column)
    infinite = F.when(F.lower(text).rlike(_INFINITE), F.lit(float("inf")))
    # Java also reads 1d, 1f and 0x1p3 as numbers, and is faster than an expression for all others.
    signs = [*[text.endswith(sign) for sign in "dDfF"], *[text.contains(sign) for sign in "xX"]]
    number = F.nanvl(F.expr(f"try_cast(trim(`{name}`) as double)"), F.lit(None).cast("double"))
    return F.coalesce(F.when(~reduce(or_, signs), number), infinite)
