"""Quantiles from a trained ensemble."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headroom.errors import ArtifactError
from headroom.model.artifact import Member, Model, unpack
from headroom.model.mx import mx
from headroom.model.network import QuantileNetwork, Shape, build_network, set_weights
from headroom.series.examples import Examples

Floats = NDArray[np.float64]

BATCH = 256  # windows at a time: bounds memory, whatever the fleet


class Predictor:
    """The members of an ensemble that may forecast one window, ready to predict.

    The window begins `back` steps before the end of the series. Of each kind those predict that saw
    most, of those that saw nothing of it. Raises ArtifactError where all of a kind did.
    """

    def __init__(self, model: Model, back: int = 0) -> None:
        self.networks: dict[str, list[QuantileNetwork]] = {}
        for member in _unbiased(model.members, back):
            network = build_network(Shape.of(member.shape), seed=0)
            set_weights(network, member.weights)
            network.hybridize()
            self.networks.setdefault(member.kind, []).append(network)

    def quantiles(self, examples: Examples) -> dict[str, Floats]:
        """By kind the mean of its members' quantiles (window, step, level) at `network.LEVELS`, in
        units of the floor's standard deviation around its mean."""
        return {
            kind: np.mean([_quantiles(network, examples) for network in networks], axis=0)
            for kind, networks in self.networks.items()
        }


def _unbiased(members: Sequence[Member], back: int) -> list[Member]:
    unseen = [member for member in members if member.holdout is None or member.holdout >= back]
    if {member.kind for member in unseen} < {member.kind for member in members}:
        raise ArtifactError(
            f"the model has seen the window {back} steps before the end; run `train` with the same "
            "backtest.windows and backtest.selection_windows first"
        )
    nearest: dict[str, int] = {}
    for member in unseen:
        holdout = member.holdout or 0
        nearest[member.kind] = min(holdout, nearest.get(member.kind, holdout))
    return [member for member in unseen if (member.holdout or 0) == nearest[member.kind]]


def _quantiles(network: QuantileNetwork, examples: Examples) -> Floats:
    codes = known_codes(examples.codes, network.shape.cardinalities)
    parts = []
    for begin in range(0, len(examples.patches), BATCH):
        chosen = slice(begin, begin + BATCH)
        inputs = [mx.nd.array(part[chosen]) for part in (examples.patches, examples.steps, codes)]
        parts.append(network(*inputs).asnumpy().astype(np.float64))
    # Sums of rises in float32 may fall by a rounding error.
    return np.maximum.accumulate(np.concatenate(parts), axis=2)


def known_codes(codes: NDArray[np.int64], cardinalities: tuple[int, ...]) -> NDArray[np.int64]:
    """Codes (window, column) with those that training never saw replaced by 0, the unknown one.
    At least one column, because MXNet has no empty arrays."""
    if not cardinalities:
        return np.zeros((len(codes), 1), dtype=np.int64)
    wide = np.zeros((len(codes), len(cardinalities)), dtype=np.int64)
    n_columns = min(codes.shape[1], len(cardinalities))
    wide[:, :n_columns] = codes[:, :n_columns]
    return np.where(wide > np.asarray(cardinalities)[None, :], 0, wide)


@lru_cache(maxsize=4)
def load_predictor(data: bytes, sha256: str, back: int = 0) -> Predictor:
    """The predictor of packed weights, built once per Python process."""
    return Predictor(unpack(data, sha256), back)
