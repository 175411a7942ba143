"""Quantiles from a trained ensemble."""

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from headroom.model.artifact import SHARES, Model, fair_members, unpack
from headroom.model.mx import mx
from headroom.model.network import LEVELS, QuantileNetwork, Shape, build_network, set_weights
from headroom.series.examples import Examples
from headroom.series.methods import Networks

Floats = NDArray[np.float64]

BATCH = 256  # windows at a time: bounds memory, whatever the fleet


class Predictor:
    """An ensemble ready to predict."""

    def __init__(self, model: Model) -> None:
        self.members = model.members
        self.shares = model.about.get(SHARES, {})
        self.networks: list[QuantileNetwork] = []
        for member in model.members:
            network = build_network(Shape.of(member.shape), seed=0)
            set_weights(network, member.weights)
            network.hybridize()
            self.networks.append(network)

    def fair(self, back: int = 0) -> Networks:
        """Those that may forecast windows which begin `back` steps before the end."""
        return Networks(partial(self.quantiles, back=back), LEVELS, self.shares)

    def quantiles(self, examples: Examples, back: int = 0) -> dict[str, Floats]:
        """By kind the mean of its members' quantiles (window, step, level) at `network.LEVELS`, in
        units of the floor's standard deviation around its mean.

        The windows begin `back` steps before the end of their series. Of each kind those members
        predict that saw most, of those that saw nothing of that. Raises ArtifactError where all of
        a kind did.
        """
        found: dict[str, list[Floats]] = {}
        for place in fair_members(self.members, back):
            quantiles = _quantiles(self.networks[place], examples)
            found.setdefault(self.members[place].kind, []).append(quantiles)
        return {kind: np.mean(quantiles, axis=0) for kind, quantiles in found.items()}


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
def load_predictor(data: bytes, sha256: str) -> Predictor:
    """The predictor of packed weights, built once per Python process."""
    return Predictor(unpack(data, sha256))
