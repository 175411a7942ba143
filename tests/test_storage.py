"""Files outside the tables: whole or not there, by path and by URI."""

import os
from pathlib import Path

import pytest
from pyarrow import fs

from headroom import storage
from headroom.errors import ArtifactError


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What s3://bucket and hdfs://bucket stand for: a folder behind a file system that is no local
    one to pyarrow."""
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    class Uris:
        @staticmethod
        def from_uri(uri: str) -> tuple[fs.FileSystem, str]:
            scheme, name = uri.split("://bucket/")
            assert scheme in ("s3", "hdfs")
            return system, name

    monkeypatch.setattr(storage.fs, "FileSystem", Uris)
    return tmp_path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = f"{tmp_path}/a/b/weights.npz"
    storage.write_bytes(path, b"old")
    storage.write_bytes(f"file://{path}", b"new")
    assert storage.read_bytes(path) == storage.read_bytes(f"file:{path}") == b"new"
    assert storage.sizes(str(tmp_path)) == {"a/b/weights.npz": 3}  # no temporary file stays
    storage.remove(path)
    storage.remove(path)  # again: nothing
    assert storage.sizes(str(tmp_path)) == {}


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/manifest.json"
    storage.write_bytes(path, b"old")

    def full(handle: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(os, "fsync", full)
        storage.write_bytes(path, b"new")
    assert storage.read_bytes(path) == b"old"
    assert storage.sizes(str(tmp_path)) == {"manifest.json": 3}


@pytest.mark.parametrize("scheme", ["s3", "s3a", "hdfs"])
def test_a_uri_is_a_file_too(bucket: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if scheme.startswith("s3"):
        monkeypatch.setattr(storage, "_OBJECT_STORES", ("subtree",))
    path = f"{scheme}://bucket/models/one.npz"
    storage.write_bytes(path, b"old")
    storage.write_bytes(path, b"new")
    assert (bucket / "models/one.npz").read_bytes() == b"new"
    assert storage.read_bytes(path) == b"new"
    assert storage.sizes(f"{scheme}://bucket/models") == {"one.npz": 3}
    storage.remove(path)
    assert storage.sizes(f"{scheme}://bucket/models") == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*absent\.npz"):
        storage.read_bytes(f"{tmp_path}/absent.npz")
    assert storage.sizes(f"{tmp_path}/absent") == {}
