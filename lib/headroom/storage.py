"""Files that are no tables, under a local path or a URI: bytes in, bytes out, never half a file."""

import os
import tempfile
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from headroom.errors import ArtifactError

_LOCAL_SCHEMES = ("file://", "file:")
_OBJECT_STORES = ("s3", "gcs", "abfs")  # an object appears when it is complete


def write_bytes(path: str, data: bytes) -> None:
    """Writes the file so that a reader sees all of it or, as before, nothing; folders are made."""
    system, name = _locate(path)
    if isinstance(system, fs.LocalFileSystem):
        _write_local(Path(name), data)
        return
    system.create_dir(str(PurePosixPath(name).parent), recursive=True)
    if system.type_name in _OBJECT_STORES:
        _put(system, name, data)
        return
    _put(system, f"{name}.tmp", data)
    remove(path)  # a rename does not replace on HDFS
    system.move(f"{name}.tmp", name)


def read_bytes(path: str) -> bytes:
    """The content of the file. Raises ArtifactError that names it where it cannot be read."""
    try:
        system, name = _locate(path)
        with system.open_input_stream(name) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error}") from error


def parquet_schema(path: str) -> pa.Schema:
    """What a Parquet file says of its columns. Raises ArtifactError where it cannot be read."""
    try:
        system, name = _locate(path)
        with system.open_input_file(name) as file:
            return pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"cannot read {path}: {error}") from error


def read_first_line(path: str) -> bytes:
    """What stands before the first line break of a file, compressed or not, at most 1 MiB. Raises
    ArtifactError where it cannot be read."""
    try:
        system, name = _locate(path)
        with system.open_input_stream(name) as stream:
            return bytes(stream.read(2**20)).partition(b"\n")[0]
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"cannot read {path}: {error}") from error


def sizes(folder: str) -> dict[str, int]:
    """Bytes of every file below the folder, by name relative to it; empty where it is absent."""
    system, root = _locate(folder)
    found = system.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
    return {
        str(PurePosixPath(info.path).relative_to(root)): info.size
        for info in found
        if info.type == fs.FileType.File
    }


def remove(path: str) -> None:
    """Deletes the file where it exists."""
    system, name = _locate(path)
    if system.get_file_info(name).type == fs.FileType.File:
        system.delete_file(name)


def _locate(path: str) -> tuple[fs.FileSystem, str]:
    for scheme in _LOCAL_SCHEMES:
        if path.startswith(scheme):
            return fs.LocalFileSystem(), path.removeprefix(scheme)
    if path.startswith("dbfs:/"):  # Databricks mounts it
        return fs.LocalFileSystem(), "/dbfs/" + path.removeprefix("dbfs:/").lstrip("/")
    if "://" in path:
        uri = path.replace("s3a://", "s3://", 1).replace("s3n://", "s3://", 1)
        return fs.FileSystem.from_uri(uri)
    return fs.LocalFileSystem(), str(Path(path).absolute())


def _put(system: fs.FileSystem, name: str, data: bytes) -> None:
    with system.open_output_stream(name) as stream:
        stream.write(data)


def _write_local(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp keeps other users out
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
