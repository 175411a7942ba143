"""Every way to write an instant: which form it has, what it means, and clocks that change."""

from dataclasses import dataclass
from zoneinfo import available_timezones

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, NumericType, StringType, TimestampNTZType

from headroom.config import LocalTime

TIME_ZONES = tuple(sorted(available_timezones()))

TYPED, ZONED, LOCAL = "typed", "zoned", "local"
FORMS = {
    TYPED: "a timestamp",
    ZONED: "ISO 8601 with a zone",
    LOCAL: "ISO 8601 without a zone",
    "epoch_s": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970",
    "epoch_ns": "nanoseconds since 1970",
}

REPEATED_HOUR, MISSING_HOUR = "repeated_hour", "missing_hour"

_EPOCH = r"^\d{9,19}(\.\d*)?$"
_ZONE = r"( ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?))?"
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,9})?" + _ZONE + ")?$"
# Spark refuses a time without seconds where a zone follows.
_NO_SECONDS = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d)(" + _ZONE + ")$"
# A decimal comma, as ISO 8601 allows and Python's log writes.
_COMMA = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d),(\d{1,9}" + _ZONE + ")$"
_NAMES_ZONE = r"[^\d:., ]"  # behind the date and its separator
_DATE_LENGTH = 11
_WITHOUT_Z, _WITH_Z = 19, 20  # signs of 2025-01-06T05:00:00Z

# An epoch below stands in 1973 or is no epoch: 20240101, a year, a row number, a zero.
_SMALLEST_EPOCH = 1e8
_EPOCHS = (("epoch_s", 1e11, 1e6), ("epoch_ms", 1e14, 1e3), ("epoch_us", 1e17, 1.0))
_LARGEST_EPOCH = 9.2e18

_LONGEST_SHIFT = 3  # hours: no clock was ever turned further back at once


def is_time_zone(name: str) -> Column:
    """Whether the column holds the name of a time zone; null where it is null."""
    # As text: hundreds of literals, made one by one, take Spark's driver a quarter of a second.
    names = ", ".join(f"'{zone}'" for zone in TIME_ZONES)
    return F.expr(f"`{name}` IN ({names})")


@dataclass(frozen=True)
class Times:
    """Columns: the instant (null where there is none to read), the form in which it is written, and
    what a change of clocks made of it (null where nothing)."""

    instant: Column
    form: Column
    clock: Column


def epoch_of(column: Column, kind: DataType) -> Column:
    """The number of an epoch, null for what is none."""
    if isinstance(kind, NumericType):
        return column.cast("double")
    if not isinstance(kind, StringType):
        return F.lit(None).cast("double")
    text = F.trim(column)
    is_epoch = ~text.contains("-") & text.rlike(_EPOCH)  # most times are found out by their dash
    return F.when(is_epoch, text).cast("double")


def plain_form_of(column: Column, kind: DataType) -> Column:
    """The form of the usual 2025-01-06T05:00:00Z and 2025-01-06T05:00:00, if a time; null of any
    other: what makes it a time leaves no other way to fill these places. An expression of what is
    usual costs a third of what looks for everything."""
    if not isinstance(kind, StringType):
        return F.lit(None).cast("string")
    text = F.trim(column)
    length = F.octet_length(text)
    is_zoned = (length == _WITH_Z) & text.endswith("Z")
    is_local = (length == _WITHOUT_Z) & F.substring(text, _WITHOUT_Z, 1).between("0", "9")
    # To look from a place on makes no text of it, as to cut one sign out would.
    has_signs = (F.locate("-", text, 5) == 5) & (F.locate(":", text, 17) == 17)
    return F.when(has_signs, F.when(is_zoned, ZONED).when(is_local, LOCAL))


def read_times(
    column: Column,
    kind: DataType,
    epoch: Column,
    plain: Column,
    local: LocalTime | None = None,
    zone: Column | None = None,
) -> Times:
    """Times, dates, ISO 8601 text, and epochs in s, ms, µs or ns by magnitude. What names no zone
    is UTC, or of the local time of `zone`. `epoch` and `plain` are what epoch_of and plain_form_of
    make of the column; they are looked at so often that they had better be columns of their own."""
    nothing = F.lit(None).cast("string")
    if isinstance(kind, NumericType):
        return Times(_parse_epoch(epoch), _form_of_epoch(epoch), nothing)
    if isinstance(kind, StringType):
        text = F.trim(column)
        instant, form = _parse_text(text, epoch, plain), _form_of_text(text, epoch, plain)
    else:
        instant = column.cast("timestamp")
        form = F.lit(LOCAL if isinstance(kind, DateType | TimestampNTZType) else TYPED)
    if local is None or zone is None:
        return Times(instant, form, nothing)
    return _resolve(instant, form, zone, local)


def parse_timestamp(column: Column, kind: DataType) -> Column:
    """The instant in UTC, null where there is none to read. What names no zone is UTC."""
    return read_times(column, kind, epoch_of(column, kind), plain_form_of(column, kind)).instant


def _parse_text(text: Column, epoch: Column, plain: Column) -> Column:
    # Spark spends as long on a zone as on the rest of a time, and more on cutting signs than bytes.
    cut = F.substring(text.cast("binary"), 1, _WITHOUT_Z).cast("string")
    without_zone = F.when(plain == ZONED, cut).otherwise(text)
    return (
        F.when(plain.isNotNull() | text.rlike(_ISO), F.try_to_timestamp(without_zone))
        .when(epoch.isNotNull(), _parse_epoch(epoch))
        .when(
            text.rlike(_NO_SECONDS),
            F.try_to_timestamp(F.regexp_replace(text, _NO_SECONDS, "$1:00$2")),
        )
        .when(
            text.rlike(_COMMA),
            F.try_to_timestamp(F.regexp_replace(text, _COMMA, "$1.$2")),
        )
    )


def _form_of_text(text: Column, epoch: Column, plain: Column) -> Column:
    """Of a text that is a time."""
    iso = F.when(F.substring(text, _DATE_LENGTH + 1, 40).rlike(_NAMES_ZONE), ZONED).otherwise(LOCAL)
    # An epoch has no dash in the fifth place, and no zone behind it.
    other = F.when(F.substring(text, 5, 1) == "-", iso).otherwise(_form_of_epoch(epoch))
    return F.coalesce(plain, other)


def _parse_epoch(number: Column) -> Column:
    micros = F.when(number < _SMALLEST_EPOCH, None)
    for _, limit, factor in _EPOCHS:
        micros = micros.when(number < limit, number * factor)
    micros = micros.when(number < _LARGEST_EPOCH, number / 1e3)
    return F.timestamp_micros(F.floor(micros + 0.5))


def _form_of_epoch(number: Column) -> Column:
    form = F.when(number < _SMALLEST_EPOCH, None)
    for name, limit, _ in _EPOCHS:
        form = form.when(number < limit, name)
    return form.when(number < _LARGEST_EPOCH, "epoch_ns")


def _resolve(clock_time: Column, form: Column, zone: Column, local: LocalTime) -> Times:
    """The instants at which the clocks of the zone showed `clock_time`.

    Spark takes the first instant of a repeated hour, and moves a skipped time on by what was
    skipped; going back from there tells which it was.
    """
    is_local = (form == LOCAL) & zone.isin(*TIME_ZONES)
    here = F.when(is_local, zone).otherwise(F.lit("UTC"))
    first = F.to_utc_timestamp(clock_time, here)
    after = first + F.expr(f"interval {_LONGEST_SHIFT} hours")
    turned_back = _offset(first, here) - _offset(after, here)
    second = F.timestamp_micros(F.unix_micros(first) + turned_back)
    is_repeated = (turned_back > 0) & (F.from_utc_timestamp(second, here) == clock_time)
    is_missing = F.from_utc_timestamp(first, here) != clock_time
    clock = F.when(is_missing, MISSING_HOUR).when(is_repeated, REPEATED_HOUR)
    chosen = (
        F.when(is_repeated, second).otherwise(first) if local.repeated_hour == "second" else first
    )
    instant = F.when(form != LOCAL, clock_time).when(is_local, chosen)
    return Times(instant, form, F.when(is_local, clock))


def _offset(instant: Column, zone: Column) -> Column:
    """µs by which the clocks of the zone are ahead of UTC."""
    return F.unix_micros(F.from_utc_timestamp(instant, zone)) - F.unix_micros(instant)
