"""Quantiles from a trained ensemble."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headroom.model.artifact import Model, unpack
from headroom.model.mx import mx
from headroom.model.network import Shape, build_network, set_weights
from headroom.series.examples import Examples

Floats = NDArray[np.float64]

BATCH = 256  # windows at a time: bounds memory, whatever the fleet


class Predictor:
    """An ensemble ready to predict."""

    def __init__(self, model: Model) -> None:
        shape = Shape(**{**model.shape, "cardinalities": tuple(model.shape["cardinalities"])})
        self.cardinalities = shape.cardinalities
        self.networks = []
        for weights in model.members:
            network = build_network(shape, seed=0)
            set_weights(network, weights)
            network.hybridize()
            self.networks.append(network)

    def quantiles(self, examples: Examples) -> Floats:
        """Mean of the members' quantiles (window, step, level) at `network.LEVELS`, in units of the
        floor's standard deviation around its mean."""
        n_windows = len(examples.patches)
        codes = known_codes(examples.codes, self.cardinalities)
        parts = []
        for begin in range(0, n_windows, BATCH):
            chosen = slice(begin, begin + BATCH)
            inputs = [
                mx.nd.array(part[chosen]) for part in (examples.patches, examples.steps, codes)
            ]
            outputs = [network(*inputs) for network in self.networks]
            members = [output.asnumpy().astype(np.float64) for output in outputs]
            parts.append(np.mean(members, axis=0))
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
