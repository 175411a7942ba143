"""The rows of each item brought together in one Python worker, in packets.

Spark shuffles and sorts a row at a price, whatever it holds: so a row here is a packet, the bytes
of many rows that go the same way. Keys are spread over places, of which each partition gets many; a
worker holds the rows of one place at a time and sorts them by key itself.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

KEY = "key"
TEXT = "text"

Record = np.dtype[np.void]
Records = NDArray[np.void]

_PLACE, _PACKET = "place", "packet"
_PLACES_PER_PARTITION = 128  # by a hash some partitions get a tenth more than others
_ROWS_PER_PACKET = 128  # at most: a batch of packets is small, also those of one giant item
_MOST_ROWS = 2**19  # that are cut into packets at once


def bring_together(numbers: DataFrame, texts: DataFrame, n_partitions: int) -> DataFrame:
    """Packets in order of their place, for `unpack`. `numbers` are many rows of a KEY and columns
    of bigint or double, without null; `texts` one row of a KEY and a TEXT for each item."""
    n_places = n_partitions * _PLACES_PER_PARTITION
    record = record_of(numbers)
    packets = numbers.mapInArrow(
        lambda batches: _pack(batches, record, n_places), f"{_PLACE} int, {_PACKET} binary"
    )
    place = F.pmod(KEY, F.lit(n_places)).cast("int").alias(_PLACE)
    both = packets.unionByName(texts.select(place, KEY, TEXT), allowMissingColumns=True)
    # A stated number of partitions, as Spark would merge small ones and leave cores idle in Python.
    return both.repartition(n_partitions, _PLACE).sortWithinPartitions(_PLACE)


def record_of(numbers: DataFrame) -> Record:
    """A row as it lies in a packet."""
    return np.dtype([(name, "f8" if kind == "double" else "i8") for name, kind in numbers.dtypes])


def unpack(
    batches: Iterator[pa.RecordBatch], record: Record
) -> Iterator[tuple[list[str], Records]]:
    """For each key its texts, one unless two items have one key, and all of its rows, in no order.
    Rows of no item are left out."""
    for table in _by_place(batches):
        packets = table.column(_PACKET).drop_null().to_pylist()
        rows = np.frombuffer(b"".join(packets), dtype=record)
        rows = rows[np.argsort(rows[KEY])]
        items = table.select([KEY, TEXT]).drop_null().sort_by(KEY)
        keys, texts = items.column(KEY).to_numpy(), items.column(TEXT).to_pylist()
        runs = list(_runs(keys))
        own = keys[[first for first, _ in runs]]
        begins = np.searchsorted(rows[KEY], own)
        ends = np.searchsorted(rows[KEY], own, side="right")
        for (first, last), begin, end in zip(runs, begins, ends, strict=True):
            yield texts[first:last], rows[begin:end]


def _pack(
    batches: Iterator[pa.RecordBatch], record: Record, n_places: int
) -> Iterator[pa.RecordBatch]:
    for rows in _records(batches, record, min(n_places * _ROWS_PER_PACKET, _MOST_ROWS)):
        # The smallest type that holds them: numpy sorts two bytes by their digits.
        places = (rows[KEY] % n_places).astype(np.min_scalar_type(n_places - 1))
        order = np.argsort(places, kind="stable")
        ordered, places = rows[order], places[order]
        begins = np.concatenate(
            [np.arange(first, last, _ROWS_PER_PACKET) for first, last in _runs(places)]
        )
        offsets = (np.append(begins, len(rows)) * record.itemsize).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ordered)]
        packets = pa.Array.from_buffers(pa.binary(), len(begins), buffers)
        yield pa.RecordBatch.from_arrays(
            [pa.array(places[begins].astype(np.int32)), packets], [_PLACE, _PACKET]
        )


def _records(batches: Iterator[pa.RecordBatch], record: Record, n_rows: int) -> Iterator[Records]:
    """The rows of so many batches that there are about `n_rows`."""
    some: list[pa.RecordBatch] = []
    for batch in batches:
        some += [batch] if batch.num_rows else []
        if sum(one.num_rows for one in some) >= n_rows:
            yield _to_records(some, record)
            some = []
    if some:
        yield _to_records(some, record)


def _to_records(batches: Sequence[pa.RecordBatch], record: Record) -> Records:
    rows = np.empty(sum(batch.num_rows for batch in batches), dtype=record)
    for name in record.names or ():
        rows[name] = np.concatenate([batch.column(name).to_numpy() for batch in batches])
    return rows


def _by_place(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """All rows of one place after those of another, from rows in order of their place, which may
    span batches."""
    parts: list[pa.RecordBatch] = []
    last = None
    for batch in batches:
        places = batch.column(_PLACE).to_numpy()
        for begin, end in _runs(places):
            if parts and places[begin] != last:
                yield pa.Table.from_batches(parts)
                parts = []
            parts.append(batch.slice(begin, end - begin))
            last = places[begin]
    if parts:
        yield pa.Table.from_batches(parts)


def _runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """First and one-past-last position of each run of one value."""
    if len(values):
        edges = np.flatnonzero(values[1:] != values[:-1]) + 1
        yield from pairwise([0, *edges.tolist(), len(values)])
