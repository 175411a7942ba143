"""The calendar: launches, live events, freezes and holidays, incidents and deployments."""

import difflib
from collections.abc import Collection, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructType

from headroom import columns as c
from headroom.errors import SchemaError
from headroom.ingest.mapping import list_names
from headroom.ingest.times import parse_timestamp
from headroom.ingest.values import is_missing, parse_target
from headroom.schemas import EVENTS, STRINGS

# Kinds that stand in a calendar beforehand; a calendar that does not say when it knew of them is
# taken to have known for a year. Of any other kind nothing is known before its end.
PLANNED = ("live_event", "launch", "freeze", "holiday")
KINDS = (*PLANNED, "incident", "deployment")
_PLANNED_AHEAD = "interval 365 days"

# What is read, and where it says something that cannot be read, a reason to refuse the entry.
_READ = {
    c.ENDS_AT: "is no time",
    c.KNOWN_AT: "is no time",
    c.EXPECTED_LIFT: "is no number such as 0.3",
    c.SCOPE: "is neither JSON nor such as region=eu;tier=T1, each key once",
}
_SAID = "said_"

_REQUIRED = (c.KIND, c.STARTS_AT)


def to_entries(frame: DataFrame) -> DataFrame:
    """The calendar entries of any source with columns of our names, read; `reason` and `detail` say
    what is wrong with an entry, null where nothing is. Only kind and starts_at are required.

    Raises SchemaError for a required column that is not there.
    """
    _check_required(frame)
    types = {field.name: field.dataType for field in frame.schema}
    raw = F.to_json(F.struct("*"), {"ignoreNullFields": "false"})
    read = frame.select(
        raw.alias(c.RAW),
        F.input_file_name().alias(c.SOURCE_FILE),
        *[_text(types, name).alias(name) for name in (c.EVENT_ID, c.KIND, c.NAME)],
        *[_time(types, name).alias(name) for name in (c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT)],
        _scope(types).alias(c.SCOPE),
        _lift(types).alias(c.EXPECTED_LIFT),
        *[_said(types, name).alias(_SAID + name) for name in _READ],
    )
    unread = [
        F.when(
            F.col(name).isNull() & F.col(_SAID + name).isNotNull(),
            F.concat(F.lit(f"{name} '"), F.substring(_SAID + name, 1, 60), F.lit(f"' {fault}")),
        )
        for name, fault in _READ.items()
    ]
    told = read.withColumn(c.DETAIL, F.coalesce(*unread)).drop(*[_SAID + name for name in _READ])
    return _with_reasons(_with_defaults(told))


def _check_required(frame: DataFrame) -> None:
    for name in _REQUIRED:
        if name not in frame.columns:
            near = difflib.get_close_matches(name, frame.columns, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SchemaError(
                f"source.events has no column {name!r}; {hint}it has: {list_names(frame.columns)}"
            )


def _text(types: dict[str, DataType], name: str) -> Column:
    if name not in types:
        return F.lit(None).cast("string")
    text = F.trim(F.col(name).cast("string"))
    return F.when(text != "", text)


def _said(types: dict[str, DataType], name: str) -> Column:
    """What stands in a column of text; null where nothing does, or where it is no text."""
    if not isinstance(types.get(name), StringType):
        return F.lit(None).cast("string")
    return F.when(~is_missing(F.col(name), StringType()), F.trim(name))


def _time(types: dict[str, DataType], name: str) -> Column:
    if name not in types:
        return F.lit(None).cast("timestamp")
    return parse_timestamp(F.col(name), types[name])


def _lift(types: dict[str, DataType]) -> Column:
    if c.EXPECTED_LIFT not in types:
        return F.lit(None).cast("double")
    return parse_target(c.EXPECTED_LIFT, types[c.EXPECTED_LIFT])


def _scope(types: dict[str, DataType]) -> Column:
    """A map, a struct, JSON text, or `region=eu;tier=T1`."""
    kind = types.get(c.SCOPE)
    scope = F.col(c.SCOPE)
    if kind is None:
        return F.lit(None).cast(STRINGS)
    if isinstance(kind, StructType):
        return F.from_json(F.to_json(scope), STRINGS)
    if not isinstance(kind, StringType):
        return scope.cast(STRINGS)
    text = F.trim(scope)
    pairs = F.transform(F.split(text, " *[;,] *"), lambda pair: F.split(pair, " *= *", 2))
    keys = F.transform(pairs, lambda pair: F.get(pair, F.lit(0)))
    values = F.transform(pairs, lambda pair: F.get(pair, F.lit(1)))
    # Spark ends the job where a map would have a key twice, and lets JSON pass that has.
    is_whole = F.forall(values, lambda value: value.isNotNull()) & _differ(keys)
    read = F.from_json(F.when(text.startswith("{"), text), STRINGS)
    return F.coalesce(
        F.when(_differ(F.map_keys(read)), read), F.when(is_whole, F.map_from_arrays(keys, values))
    )


def _differ(values: Column) -> Column:
    return F.size(F.array_distinct(values)) == F.size(values)


def _with_defaults(read: DataFrame) -> DataFrame:
    start, end = F.col(c.STARTS_AT), F.coalesce(c.ENDS_AT, c.STARTS_AT)
    kind = F.lower(c.KIND)
    ahead = F.when(kind.isin(*PLANNED), start - F.expr(_PLANNED_AHEAD)).otherwise(end)
    scope = F.coalesce(c.SCOPE, F.create_map().cast(STRINGS))
    filled = read.withColumns(
        {
            c.KIND: kind,
            c.NAME: F.coalesce(c.NAME, kind),
            c.ENDS_AT: end,
            c.KNOWN_AT: F.coalesce(c.KNOWN_AT, ahead),
            c.SCOPE: scope,
        }
    )
    identity = F.to_json(
        F.struct(c.KIND, c.NAME, c.STARTS_AT, F.array_sort(F.map_entries(c.SCOPE)))
    )
    return filled.withColumn(
        c.EVENT_ID, F.coalesce(c.EVENT_ID, F.substring(F.sha2(identity, 256), 1, 16))
    )


def _with_reasons(entries: DataFrame) -> DataFrame:
    faults = [
        (F.col(c.KIND).isNull(), "it has no kind"),
        (F.col(c.STARTS_AT).isNull(), "starts_at is no time"),
        (F.col(c.ENDS_AT) < F.col(c.STARTS_AT), "it ends before it starts"),
    ]
    details = [F.when(fault, F.lit(text)) for fault, text in faults]
    detail = F.coalesce(*details, F.col(c.DETAIL))
    return entries.withColumns(
        {c.DETAIL: detail, c.REASON: F.when(detail.isNotNull(), F.lit("bad_event"))}
    )


def count_entries(entries: DataFrame) -> tuple[int, int]:
    """How many entries there are, and how many of them have a reason to be refused."""
    counted = entries.agg(F.count("*"), F.count(c.REASON)).first()
    assert counted is not None  # noqa: S101 - an aggregate always has its row
    return int(counted[0]), int(counted[1])


def find_odd_names(
    entries: DataFrame, kinds: Collection[str], dimensions: Sequence[str]
) -> list[str]:
    """A sentence for what good entries name in vain: kinds that are none of these, keys of scopes
    that no item has."""
    keys = F.array_distinct(F.flatten(F.collect_set(F.map_keys(c.SCOPE))))
    good = entries.where(F.col(c.REASON).isNull())
    met = good.agg(F.collect_set(c.KIND), keys).first()
    assert met is not None  # noqa: S101 - an aggregate always has its row
    own = (*dimensions, c.METRIC, c.GROUP_ID, c.ITEM_ID)
    sentences = (
        ("entries of kind {} have no effect; the kinds are {}", met[0], kinds),
        ("no item is in a scope that names {}; the source has {}", met[1], own),
    )
    return [
        sentence.format(", ".join(odd), ", ".join(known))
        for sentence, found, known in sentences
        if (odd := sorted(set(found) - set(known)))
    ]


def refused_entries(entries: DataFrame) -> DataFrame:
    """The entries with a reason, each as one row."""
    return entries.where(F.col(c.REASON).isNotNull()).withColumn(c.N_ROWS, F.lit(1))


def build_events(entries: DataFrame) -> DataFrame:
    """The good entries, one per event_id: of several the one that was known last."""
    names = [name for name in EVENTS.schema.names if name not in (c.EVENT_ID, c.SCOPE)]
    # Maps have no order; their sorted entries do.
    scope = F.array_sort(F.map_entries(c.SCOPE)).alias(c.SCOPE)
    latest = F.max(F.struct(c.KNOWN_AT, *[n for n in names if n != c.KNOWN_AT], scope))
    return (
        entries.where(F.col(c.REASON).isNull())
        .groupBy(c.EVENT_ID)
        .agg(latest.alias("latest"))
        .select(
            c.EVENT_ID,
            *[F.col(f"latest.{name}").alias(name) for name in names],
            F.map_from_entries(f"latest.{c.SCOPE}").alias(c.SCOPE),
        )
    )
