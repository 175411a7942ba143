"""Where a training stands, kept so that it goes on bit by bit as if it had never stopped.

A checkpoint is `step-N.npz` (arrays, never pickle) and `step-N.json` (everything else, with the
sha256 of both), written in this order: without its JSON an archive is none.
"""

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.errors import ArtifactError, TrainingError
from headroom.storage import read_bytes, remove, sizes, write_bytes

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.json")
_SLOT = re.compile(r"optimizer/(\d+)/(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps."""

    step: int
    arrays: Arrays
    state: dict[str, Any]


def save(
    folder: str, step: int, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]
) -> str:
    """Writes the checkpoint and drops all but the latest two; returns the path of its JSON.

    `state` is what JSON can hold. Called by one rank only.
    """
    if any(array.dtype.hasobject for array in arrays.values()):
        raise TypeError("numpy would pickle an array of objects")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = buffer.getvalue()
    text = json.dumps(dict(state), sort_keys=True)
    about = {"step": step, "sha256": _sha256(data), "state": text, "state_sha256": _sha256(text)}
    path = f"{folder}/{_stem(step)}"
    write_bytes(f"{path}.npz", data)
    write_bytes(f"{path}.json", json.dumps(about).encode())
    for old in _steps(folder)[KEPT:]:
        remove(f"{folder}/{_stem(old)}.json")
        remove(f"{folder}/{_stem(old)}.npz")
    return f"{path}.json"


def load_latest(folder: str) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is none. Others are named in a
    warning and passed over."""
    for step in _steps(folder):
        try:
            return _load(f"{folder}/{_stem(step)}")
        except ArtifactError as error:
            log.warning("%s; the checkpoint before it is taken", error)
    return None


def trainer_state(trainer: Any) -> tuple[Arrays, dict[str, Any]]:
    """What a Gluon trainer with Adam remembers: moments by parameter as `optimizer/I/J`, and the
    counts of updates. Raises TrainingError for an optimiser whose state is no tuple of arrays."""
    updater, optimizer = _only_updater(trainer)
    arrays: Arrays = {}
    for i, moments in updater.states.items():
        if not isinstance(moments, tuple):
            raise TrainingError(f"cannot keep the state of {type(optimizer).__name__}; use Adam")
        arrays |= {f"optimizer/{i}/{j}": moment.asnumpy() for j, moment in enumerate(moments)}
    counts = {str(i): count for i, count in optimizer._index_update_count.items()}
    return arrays, {"optimizer": {"num_update": optimizer.num_update, "counts": counts}}


def restore_trainer(
    trainer: Any, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]
) -> None:
    """Makes the trainer remember what `trainer_state` returned; other arrays are passed over.

    Raises ArtifactError where the state belongs to a network of another shape.
    """
    from headroom.model.mx import mx

    updater, optimizer = _only_updater(trainer)
    moments: dict[int, dict[int, Any]] = {}
    for name, array in arrays.items():
        if match := _SLOT.fullmatch(name):
            i, j = int(match[1]), int(match[2])
            if i >= len(trainer._params) or trainer._params[i].shape != array.shape:
                raise ArtifactError(f"the checkpoint is of another network: {name} does not fit")
            device = trainer._params[i].list_ctx()[0]
            moments.setdefault(i, {})[j] = mx.nd.array(array, ctx=device, dtype=array.dtype)
    updater.states = {i: tuple(slots[j] for j in sorted(slots)) for i, slots in moments.items()}
    updater.states_synced = dict.fromkeys(updater.states, True)
    optimizer.num_update = int(state["optimizer"]["num_update"])
    counts = {int(i): int(count) for i, count in state["optimizer"]["counts"].items()}
    optimizer._index_update_count.clear()
    optimizer._index_update_count.update(counts)


def _only_updater(trainer: Any) -> tuple[Any, Any]:
    """The updater of the trainer's one device, and the optimiser set to count for that device."""
    if len(trainer._updaters) != 1:
        raise TrainingError("a rank trains on one device")
    optimizer = trainer._optimizer
    optimizer._set_current_context(trainer._params[0].list_ctx()[0].device_id)
    return trainer._updaters[0], optimizer


def _load(path: str) -> Checkpoint:
    try:
        about = json.loads(read_bytes(f"{path}.json"))
        data = read_bytes(f"{path}.npz")
        if (_sha256(data), _sha256(about["state"])) != (about["sha256"], about["state_sha256"]):
            raise ArtifactError(f"{path} was altered or cut off (sha256 differs)")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Checkpoint(int(about["step"]), arrays, json.loads(about["state"]))
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} is no checkpoint: {error}") from error


def _steps(folder: str) -> list[int]:
    """Steps that have a checkpoint, newest first."""
    names = (_NAME.fullmatch(name) for name in sizes(folder))
    return sorted((int(match[1]) for match in names if match), reverse=True)


def _stem(step: int) -> str:
    return f"step-{step:08d}"


def _sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
