"""A trained ensemble as bytes: arrays in `.npz`, what they mean as JSON beside them, no pickle."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.errors import ArtifactError
from headroom.series.examples import N_PATCH, N_STEP

FORMAT = 2
ABOUT = "about"
SHARES = "shares"  # of each kind in the forecast of all networks together, if they were weighed
MAX_BYTES = 512 * 2**20  # of all arrays unpacked: a guard against archives made to explode

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Member:
    """One network: how it came to its weights, what it looks like, and the weights."""

    kind: str  # of headroom.series.methods.KINDS
    shape: Mapping[str, Any]
    weights: Weights
    holdout: int | None = None  # steps at the end of each series kept from it; None: all of them


@dataclass(frozen=True)
class Model:
    """The members of an ensemble and what made them."""

    members: tuple[Member, ...]
    about: Mapping[str, Any]


def pack(members: Sequence[Member], about: Mapping[str, Any]) -> bytes:
    """The same bytes for the same arrays and facts."""
    header = {
        "format": FORMAT,
        "inputs": [N_PATCH, N_STEP],
        "members": [
            {"kind": member.kind, "shape": dict(member.shape), "holdout": member.holdout}
            for member in members
        ],
        "gates": "i,f,c,o",  # order of the gates in MXNet's LSTM weights
        "about": dict(about),
    }
    text = json.dumps(header, sort_keys=True).encode()
    arrays = {
        f"{place}/{name}": array
        for place, member in enumerate(members)
        for name, array in sorted(member.weights.items())
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{ABOUT: np.frombuffer(text, dtype=np.uint8)}, **arrays)
    return buffer.getvalue()


def unpack(data: bytes, expected_sha256: str | None = None) -> Model:
    """The model of packed bytes. Raises ArtifactError where they were altered or do not fit."""
    if expected_sha256 is not None and digest(data) != expected_sha256:
        raise ArtifactError(
            "the weights are not those that were registered (sha256 differs); train again"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if sum(info.file_size for info in archive.zip.infolist()) > MAX_BYTES:
                raise ArtifactError("the weights are implausibly large; refused")
            header = json.loads(archive[ABOUT].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != ABOUT}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"no model that headroom wrote: {error}") from error
    if header["format"] != FORMAT or header["inputs"] != [N_PATCH, N_STEP]:
        raise ArtifactError(
            "the model was written by another version of headroom; train again with this one"
        )
    weights: list[Weights] = [{} for _ in header["members"]]
    for name, array in arrays.items():
        place, _, parameter = name.partition("/")
        weights[int(place)][parameter] = array
    members = tuple(
        Member(member["kind"], member["shape"], own, member.get("holdout"))
        for member, own in zip(header["members"], weights, strict=True)
    )
    return Model(members, header["about"])


def fair_members(members: Sequence[Member], back: int) -> list[int]:
    """The places of those that may forecast a window which begins `back` steps before the end: of
    each kind those that saw most, of those that saw nothing of it. Raises ArtifactError where all
    of a kind did."""
    holdouts = [back if member.holdout is None else member.holdout for member in members]
    unseen = [place for place, holdout in enumerate(holdouts) if holdout >= back]
    least: dict[str, int] = {}
    for place in unseen:
        kind = members[place].kind
        least[kind] = min(holdouts[place], least.get(kind, holdouts[place]))
    if any(member.kind not in least for member in members):
        raise ArtifactError(
            f"the model has seen the window {back} steps before the end; run `train` with the same "
            "backtest.windows and backtest.selection_windows first"
        )
    return [place for place in unseen if holdouts[place] == least[members[place].kind]]


def digest(data: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(data).hexdigest()
