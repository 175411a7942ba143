"""Items that were renamed: rows under an old name belong to the item of the new one."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.errors import DataError, SchemaError
from headroom.ingest.mapping import list_names

OLD_ID, NEW_ID = "old_id", "new_id"

_ROUNDS = 12  # each doubles the length of the chains that are followed
_LATER = "later_id"


def resolve_aliases(frame: DataFrame) -> DataFrame:
    """old_id and the last of its new names, one row per old_id, kept in memory.

    Raises SchemaError for a missing column; DataError where a name has two successors or comes back
    to itself.
    """
    for name in (OLD_ID, NEW_ID):
        if name not in frame.columns:
            raise SchemaError(
                f"source.aliases has no column {name!r}; it has: {list_names(frame.columns)}"
            )
    given = frame.select(*[F.col(name).cast("string") for name in (OLD_ID, NEW_ID)]).distinct()
    aliases = given.where(
        F.col(OLD_ID).isNotNull() & F.col(NEW_ID).isNotNull() & (F.col(OLD_ID) != F.col(NEW_ID))
    ).persist()
    twice = aliases.groupBy(OLD_ID).agg(F.sort_array(F.collect_set(NEW_ID)).alias(NEW_ID))
    fault = twice.where(F.size(NEW_ID) > 1).orderBy(OLD_ID).first()
    if fault:
        raise DataError(
            f"source.aliases: {fault[0]!r} has become {' and '.join(map(repr, fault[1]))}; "
            "give each old_id one new_id"
        )
    for _ in range(_ROUNDS):
        later = aliases.select(F.col(OLD_ID).alias(NEW_ID), F.col(NEW_ID).alias(_LATER))
        if aliases.join(later, NEW_ID, "left_semi").isEmpty():
            return aliases
        followed = aliases.join(later, NEW_ID, "left")
        followed = followed.select(OLD_ID, F.coalesce(_LATER, NEW_ID).alias(NEW_ID))
        aliases = followed.localCheckpoint()  # else its plan doubles with each round
    circle = aliases.join(later, NEW_ID, "left_semi").select(OLD_ID).orderBy(OLD_ID).limit(5)
    raise DataError(
        "source.aliases goes round in a circle through "
        f"{', '.join(repr(row[0]) for row in circle.collect())}; the last name has no new_id"
    )


def are_met(items: DataFrame, old: DataFrame) -> bool:
    """True where an item still goes by one of these old names."""
    return not items.join(old, items[c.ITEM_ID] == old[OLD_ID], "left_semi").isEmpty()


def rename(rows: DataFrame, aliases: DataFrame | None) -> DataFrame:
    """The rows under the new names of their items."""
    if aliases is None:
        return rows
    renamed = rows.join(aliases, rows[c.ITEM_ID] == aliases[OLD_ID], "left")
    return renamed.withColumn(c.ITEM_ID, F.coalesce(NEW_ID, c.ITEM_ID)).drop(OLD_ID, NEW_ID)


def rename_observations(observations: DataFrame, aliases: DataFrame) -> DataFrame:
    """The observations of old names under the new ones, one per item and time."""
    old = observations.join(aliases, observations[c.ITEM_ID] == aliases[OLD_ID])
    rest = [c.REVISION, c.N_ROWS, c.TARGET, c.INGEST_ID]
    latest = F.max(F.struct(*rest)).alias("latest")
    named = old.groupBy(F.col(NEW_ID).alias(c.ITEM_ID), c.TIMESTAMP).agg(latest)
    return named.select(c.ITEM_ID, c.TIMESTAMP, "latest.*")


def rename_items(items: DataFrame, aliases: DataFrame) -> DataFrame:
    """One row for each new name that an item now goes by: the attributes of whichever of its names
    was seen last, seen from the first time of all of them to the last. A group of the item's own
    goes by the new name too."""
    joined = items.join(aliases, items[c.ITEM_ID] == aliases[OLD_ID], "left")
    own_group = F.col(c.GROUP_ID) == F.col(OLD_ID)
    named = joined.withColumns(
        {
            c.GROUP_ID: F.when(own_group, F.col(NEW_ID)).otherwise(F.col(c.GROUP_ID)),
            c.ITEM_ID: F.coalesce(NEW_ID, c.ITEM_ID),
        }
    )
    affected = joined.where(F.col(NEW_ID).isNotNull()).select(F.col(NEW_ID).alias(c.ITEM_ID))
    apart = (c.ITEM_ID, c.DIMENSIONS, c.FIRST_SEEN, c.LAST_SEEN)
    texts = [name for name in items.columns if name not in apart]
    # Maps have no order; their sorted entries do.
    entries = F.array_sort(F.map_entries(c.DIMENSIONS)).alias(c.DIMENSIONS)
    by_time = F.struct(c.LAST_SEEN, F.col(NEW_ID).isNull(), *texts, entries)
    one = (
        named.join(affected.distinct(), c.ITEM_ID, "left_semi")
        .groupBy(c.ITEM_ID)
        .agg(F.max(by_time).alias("latest"), F.min(c.FIRST_SEEN).alias(c.FIRST_SEEN))
    )
    return one.select(
        c.ITEM_ID,
        *[F.col(f"latest.{name}").alias(name) for name in (*texts, c.LAST_SEEN)],
        F.map_from_entries(f"latest.{c.DIMENSIONS}").alias(c.DIMENSIONS),
        c.FIRST_SEEN,
    )
