"""What a source writes for a number, as expressions that never raise."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType, StringType

# What stands for "nothing was measured".
MISSING = ("", "nan", "null", "na", "n/a", "none", "nil")
INFINITE = ("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


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
