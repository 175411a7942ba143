"""Which calendar entries an item is in the scope of, and at which steps of its series."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.freq import DAY, Freq
from headroom.schemas import SERIES_EVENT

CALENDAR = "calendar"
HOLIDAY = "holiday"

_KEY, _VALUE = "key", "value"

FIELDS = (c.KIND, c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT, c.EXPECTED_LIFT)


def add_calendar(items: DataFrame, events: DataFrame) -> DataFrame:
    """The items with `calendar`: the entries in whose scope each is, sorted.

    An entry is looked up by one key of its scope, so that an item meets few that are not its own,
    however many there are. All of one value travel as one row, so no join multiplies the items.
    """
    keys = _scope_keys(events)
    chosen = [F.when(F.map_contains_key(c.SCOPE, key), key) for key in keys]
    keyed = events.withColumn(_KEY, F.coalesce(*chosen, F.lit(None).cast("string")))
    entries = F.collect_list(F.struct(*FIELDS, c.SCOPE))
    everywhere = keyed.where(F.col(_KEY).isNull()).agg(entries.alias(CALENDAR))
    beside = items.crossJoin(F.broadcast(everywhere))
    parts = [CALENDAR]
    for place, key in enumerate(keys):
        value, part = f"_value_{place}", f"_part_{place}"
        met = keyed.where(F.col(_KEY) == key).groupBy(F.col(c.SCOPE)[key].alias(value))
        met = met.agg(entries.alias(part))
        beside = beside.join(F.broadcast(met), _attribute(F.lit(key)) == F.col(value), "left")
        parts.append(part)
    candidates = F.flatten(F.array_compact(F.array(*parts)))
    own = F.transform(
        F.filter(candidates, _is_in_scope),
        lambda event: F.struct(*[event[name].alias(name) for name in FIELDS]),
    )
    return beside.select(*items.columns, F.array_sort(own).alias(CALENDAR))


def _scope_keys(events: DataFrame) -> list[str]:
    """The keys of all scopes, those with most values first: by these an entry is met by fewest."""
    scopes = events.select(F.explode(c.SCOPE).alias(_KEY, _VALUE))
    counts = scopes.groupBy(_KEY).agg(F.count_distinct(_VALUE)).collect()  # a row per key
    return [key for key, _ in sorted(counts, key=lambda row: (-row[1], row[0]))]


def add_series_events(series: DataFrame, freq: Freq) -> DataFrame:
    """The series with `series_events` in place of `calendar`: the entries that end at or after its
    start, as steps counted from there; sorted. They may lie in the future."""
    placed = F.transform(CALENDAR, lambda event: _place(event, freq))
    lasting = F.filter(placed, lambda event: event["last_step"] >= 0)
    schema = f"array<{SERIES_EVENT.simpleString()}>"
    found = F.when(F.col(c.START).isNotNull(), F.array_sort(lasting))
    return series.withColumn(
        c.SERIES_EVENTS, F.coalesce(found, F.array().cast(schema)).cast(schema)
    ).drop(CALENDAR)


def _is_in_scope(event: Column) -> Column:
    return F.forall(
        F.map_entries(event[c.SCOPE]),
        lambda entry: F.coalesce(_attribute(entry["key"]) == entry["value"], F.lit(False)),
    )


def _attribute(name: Column) -> Column:
    """The value of a dimension, or of the group, the metric or the item itself."""
    own = [F.when(name == own, F.col(own)) for own in (c.GROUP_ID, c.METRIC, c.ITEM_ID)]
    return F.coalesce(F.try_element_at(c.DIMENSIONS, name), *own)


def _place(event: Column, freq: Freq) -> Column:
    # An event that ends with a step does not touch the next one.
    begin, end = event[c.STARTS_AT], event[c.ENDS_AT]
    last = F.when(end > begin, end - F.expr("interval 1 microsecond")).otherwise(end)
    if not freq.is_monthly and freq.seconds == DAY:
        # A local day lies beside a step where clocks change, and is the one that holds its middle.
        is_day = (event[c.KIND] == HOLIDAY) & (begin + F.expr("interval 36 hours") > end)
        middle = F.timestamp_micros(F.floor((F.unix_micros(begin) + F.unix_micros(end)) / 2))
        begin, last = (F.when(is_day, middle).otherwise(time) for time in (begin, last))
    return F.struct(
        event[c.KIND].alias(c.KIND),
        _step_of(begin, freq).alias("first_step"),
        _step_of(last, freq).alias("last_step"),
        event[c.EXPECTED_LIFT].alias(c.EXPECTED_LIFT),
        _first_step_after(event[c.KNOWN_AT], freq).alias("known_step"),
    )


def _step_of(time: Column, freq: Freq) -> Column:
    """The step that holds the time, counted from `start`; negative before it."""
    if freq.is_monthly:
        return F.floor(_months_from_start(time) / freq.count).cast("int")
    seconds = F.unix_micros(time) - F.unix_micros(c.START)
    return F.floor(seconds / (freq.seconds * 1_000_000)).cast("int")


def _first_step_after(time: Column, freq: Freq) -> Column:
    """The first step that begins at or after the time."""
    if freq.is_monthly:
        past = F.date_trunc("month", time) < time
        return F.ceil((_months_from_start(time) + past.cast("int")) / freq.count).cast("int")
    seconds = F.unix_micros(time) - F.unix_micros(c.START)
    return F.ceil(seconds / (freq.seconds * 1_000_000)).cast("int")


def _months_from_start(time: Column) -> Column:
    start = F.col(c.START)
    return (F.year(time) - F.year(start)) * 12 + F.month(time) - F.month(start)
