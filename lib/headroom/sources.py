"""What lies outside the warehouse, and which of its files were read before.

Files are told by their content, whatever they are called; table `ingested_files` remembers them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.config import Source
from headroom.errors import DataError
from headroom.readers import read_files, source_errors, source_frame
from headroom.schemas import INGESTED_FILES, TELEMETRY
from headroom.tables import Tables, is_delta

FILE_FORMATS = ("csv", "json", "parquet")

# Reader options that choose files.
_CHOICE = ("pathGlobFilter", "modifiedBefore", "modifiedAfter")
_PATTERN = re.compile(r"[{}\[\]*?\\]")
_NO_LINES = ""  # a compressed file of nothing
_OTHER = "other"
_SUFFIXES = {
    "csv": "csv", "tsv": "csv", "txt": "csv", "json": "json", "jsonl": "json", "ndjson": "json",
    "parquet": "parquet", "pq": "parquet",
}  # fmt: skip
_LOOKED_AT = 100  # files, to tell the format
_BITS = 31  # sums of 31 bits stay inside a long for 4 billion lines


@dataclass(frozen=True)
class Opened:
    """Rows that were not ingested before, None where there are none; of a table or of the simulated
    telemetry all rows. `met`: the files met for the first time, copies too."""

    frame: DataFrame | None
    met: DataFrame | None = None
    n_new: int = 0  # files that are read
    n_repeated: int = 0  # copies of others
    n_known: int = 0  # have not changed since they were read


def open_source(tables: Tables, source: Source) -> Opened:
    """What is new in the source. Raises DataError where it cannot be read."""
    if source.format == "simulated":
        return Opened(tables.read(TELEMETRY))
    path = str(source.path)
    if source.format not in FILE_FORMATS:
        return Opened(source_frame(tables.spark, path, source.format, source.options))
    tables.create(INGESTED_FILES)
    with source_errors(path, source.format):
        return _open_files(tables, source, path)


def remember_files(tables: Tables, opened: Opened, ingest_id: str) -> None:
    """Lets the next ingest leave these files out; called when all else is written."""
    if opened.met is not None and opened.n_new + opened.n_repeated:
        met = opened.met.withColumn(c.INGEST_ID, F.lit(ingest_id))
        tables.merge(met, INGESTED_FILES)


def _open_files(tables: Tables, source: Source, path: str) -> Opened:
    spark, reading = tables.spark, source.digest()
    ingested = tables.read(INGESTED_FILES).where(F.col(c.READING) == reading)
    files = list_files(spark, path, source.options)
    n_files = files.count()
    if not n_files:
        raise DataError(f"source.path {path} holds no files with content; nothing was written")
    known = [c.SOURCE_FILE, c.SIZE_BYTES, c.MODIFIED_AT]
    # Names of new files, no rows: Spark's readers take paths from the driver.
    unmet = files.join(ingested.select(*known), known, "left_anti").collect()
    lines = digest_files(spark, [file[0] for file in unmet]) if unmet else {}
    # What folders say belongs to the rows: equal files of two regions are no copies.
    contents = [lines.get(file[0], _NO_LINES) + columns_in(path, file[0]) for file in unmet]
    rows = [(*file, content, reading) for file, content in zip(unmet, contents, strict=True)]
    types = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in files.schema)
    met = spark.createDataFrame(rows, f"{types}, {c.CONTENT} string, {c.READING} string")
    fresh = met.join(ingested.select(c.CONTENT).distinct(), c.CONTENT, "left_anti")
    # A file that changes back to what it held before is no copy either.
    other = ingested.select(c.SOURCE_FILE, F.col(c.CONTENT).alias(_OTHER))
    changed = met.join(other, c.SOURCE_FILE).where(F.col(c.CONTENT) != F.col(_OTHER))
    fresh = fresh.select(met.columns).unionByName(changed.select(met.columns))
    once = fresh.groupBy(c.CONTENT).agg(F.min(c.SOURCE_FILE).alias(c.SOURCE_FILE)).collect()
    paths = sorted(row[c.SOURCE_FILE] for row in once)
    counts = (len(paths), len(unmet) - len(paths), n_files - len(unmet))
    return Opened(_read_files(spark, source, path, paths) if paths else None, met, *counts)


def _read_files(spark: SparkSession, source: Source, path: str, files: list[str]) -> DataFrame:
    folder = base_path(path, files)
    options = {"basePath": folder, **source.options} if folder else source.options
    return read_files(spark, [_escape(file) for file in files], source.format, options)


def read_sample(
    spark: SparkSession, path: str, format: str | None = None
) -> tuple[dict[str, Any], DataFrame]:
    """A source of which only the place is known: its path, format and options as settings, and its
    rows. Raises DataError where the names of the files tell no format."""
    with source_errors(path, format or "a source"):
        format = format or _guess_format(spark, path)
        place: dict[str, Any] = {"format": format, "path": path}
        if format == "csv":
            separator = guess_separator(spark.read.text(path).first()[0])
            place |= {} if separator == "," else {"options": {"sep": separator}}
        return place, source_frame(spark, path, format, place.get("options"))


def guess_separator(header: str) -> str:
    """The character that stands most often between the names of a header."""
    return max(",;\t|", key=header.count)


def _guess_format(spark: SparkSession, path: str) -> str:
    is_name = re.fullmatch(r"\w+\.\w+(\.\w+)?", path)
    if is_name and not any(part in _SUFFIXES for part in path.lower().split(".")[1:]):
        return "table"
    if not _PATTERN.search(path) and is_delta(spark, path):
        return "delta"
    names = [row[0] for row in list_files(spark, path, {}).limit(_LOOKED_AT).collect()]
    if not names:
        raise DataError(f"{path} holds no files with content")
    for name in names:
        for suffix in reversed(name.lower().rpartition("/")[2].split(".")[1:]):
            if suffix in _SUFFIXES:
                return _SUFFIXES[suffix]
    raise DataError(f"the format of {path} is not told by the names of its files; add --format")


def list_files(spark: SparkSession, path: str, options: Mapping[str, str]) -> DataFrame:
    """source_file, size_bytes and modified_at of every file of a file, folder or pattern, at any
    depth, but for empty ones. No file is opened."""
    chosen = {name: value for name, value in options.items() if name in _CHOICE}
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return (
        reader.options(**chosen)
        .load(path)
        .select(
            F.col("path").alias(c.SOURCE_FILE),
            F.col("length").alias(c.SIZE_BYTES),
            F.col("modificationTime").alias(c.MODIFIED_AT),
        )
    )


def digest_files(spark: SparkSession, files: Sequence[str]) -> dict[str, str]:
    """By file a digest of its lines, whatever their order.

    Of any file, Parquet too: what stands between two line breaks is a line, so that large files
    are read in splits and none is ever whole in memory.
    """
    line = F.xxhash64("value")
    mask = F.lit(2**_BITS - 1)
    low, high = line.bitwiseAND(mask), F.shiftrightunsigned(line, _BITS).bitwiseAND(mask)
    lines = spark.read.format("text").load([_escape(file) for file in files])
    digests = lines.groupBy("_metadata.file_path").agg(F.count("*"), F.sum(low), F.sum(high))
    # There a path is a URI, elsewhere it is plain.
    return {unquote(row[0]): f"{row[1]:x}-{row[2]:x}-{row[3]:x}" for row in digests.collect()}


def base_path(path: str, files: Sequence[str]) -> str | None:
    """The folder below which names such as `region=eu` are columns; None where there are none.

    Raises DataError where only some files lie in such folders: Spark would leave the others out.
    """
    folder = _folder(path)
    inside = [_inside(folder, file) for file in files]
    outside = [name for name in inside if "=" not in name.rpartition("/")[0]]
    if outside and len(outside) < len(inside):
        raise DataError(
            f"source.path {path} holds files inside and outside of folders whose names are "
            f"columns, such as {min(set(inside) - set(outside))} and {min(outside)}; choose one "
            "kind by a pattern"
        )
    return None if outside else folder


def columns_in(path: str, file: str) -> str:
    """The folders of a file whose names are columns, such as `/region=eu/day=1`; mostly none."""
    folders = _inside(_folder(path), file).rpartition("/")[0].split("/")
    return "".join(f"/{name}" for name in folders if "=" in name)


def _folder(path: str) -> str:
    """What lies above a pattern."""
    found = _PATTERN.search(path)
    return path[: found.start()].rpartition("/")[0] if found else path.rstrip("/")


def _inside(folder: str, file: str) -> str:
    return file[file.find(folder) + len(folder) :]


def _escape(path: str) -> str:
    """A path that stands for itself where patterns are read too."""
    return _PATTERN.sub(r"\\\g<0>", path)
