"""Arrow batches of Spark ↔ numpy, without a Python object per number."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TIME = pa.timestamp("us", tz="UTC")
DOUBLES = pa.list_(pa.float64())


def columns_of(batch: pa.RecordBatch | pa.Table) -> dict[str, Sequence[Any]]:
    """The columns of a batch: lists of doubles as numpy arrays with NaN for null, times as
    datetime64[s], everything else as Python values."""
    return {
        field.name: _column(batch.column(place), field.type)
        for place, field in enumerate(batch.schema)
    }


def _column(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> Sequence[Any]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
        values = column.flatten().to_numpy(zero_copy_only=False)
        lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        return np.split(values.astype(np.float64), np.cumsum(lengths)[:-1]) if len(column) else []
    if pa.types.is_timestamp(kind):
        return (
            column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[s]")
        )
    return column.to_pylist()


def lists(values: NDArray[np.float64]) -> pa.ListArray:
    """A list of doubles per row of (row, value); NaN becomes null."""
    n_rows, width = values.shape
    offsets = np.arange(n_rows + 1, dtype=np.int32) * width
    flat = pa.array(values.ravel(), from_pandas=True)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def times(values: NDArray[np.datetime64]) -> pa.Array:
    """UTC timestamps as Spark has them."""
    return pa.array(values.astype("datetime64[us]")).cast(TIME)


def batch_of(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """A batch with exactly the columns of the schema, in its order; NaN in doubles becomes null."""
    arrays = []
    for field in schema:
        value = columns[field.name]
        if not isinstance(value, pa.Array):
            value = pa.array(value, type=field.type, from_pandas=True)
        arrays.append(value.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
