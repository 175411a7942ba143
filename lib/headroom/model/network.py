"""The network: what the floor misses, as quantiles of every step of the horizon at once.

    patches (B, P, N_PATCH) ── LSTM over periods ──► state (B, C) ─┐
    codes (B, K) ── embeddings, summed ──► static (B, E) ──────────┼─► per step (B, H, ·)
    steps (B, H, N_STEP) ──────────────────────────────────────────┘        │
                                              Dense ─► LSTM over the horizon, both ways
                                                      └─► Dense ─► quantiles (B, H, L)

B windows, P periods, H steps, C cells, L levels. Quantiles are in units of the floor's standard
deviation around its mean. The last layer starts at zero, where the answer is the floor itself: the
normal quantiles. Increments pass through softplus, so quantiles cannot cross.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.model.mx import mx
from headroom.series.examples import N_PATCH, N_STEP
from headroom.series.quantiles import normal_scores

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MEDIAN = LEVELS.index(0.5)
EMBEDDING = 8


@dataclass(frozen=True)
class Shape:
    """What must be known to build the network; stored beside its weights."""

    hidden_size: int
    dropout: float
    cardinalities: tuple[int, ...]  # known codes per static column; 0 is the unknown one
    encoder: bool = True  # the LSTM over periods
    decoder: bool = True  # the LSTM over the horizon; False: a dense layer of the same width

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Shape":
        """The shape that `to_dict` was made of."""
        return cls(**{**fields, "cardinalities": tuple(fields["cardinalities"])})


class QuantileNetwork(mx.gluon.HybridBlock):
    """(patches, steps, codes) → quantiles (B, H, L)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(prefix="network_")
        hidden, half = shape.hidden_size, max(shape.hidden_size // 2, 1)
        nn, rnn = mx.gluon.nn, mx.gluon.rnn
        self.shape = shape
        width = N_STEP + EMBEDDING + (hidden if shape.encoder else 0)
        with self.name_scope():
            self.embeddings = nn.HybridSequential(prefix="embeddings_")
            for place, size in enumerate(shape.cardinalities or (0,)):
                self.embeddings.add(
                    nn.Embedding(
                        size + 1, EMBEDDING, weight_initializer="zeros", prefix=f"c{place}_"
                    )
                )
            if shape.encoder:
                self.encoder = rnn.LSTM(hidden, layout="NTC", input_size=N_PATCH, prefix="encoder_")
            if shape.decoder:
                self.horizon = rnn.LSTM(
                    half, layout="NTC", bidirectional=True, input_size=hidden, prefix="horizon_"
                )
            else:
                self.plain = nn.Dense(
                    2 * half, flatten=False, activation="relu", in_units=hidden, prefix="plain_"
                )
            self.drop = nn.Dropout(shape.dropout)
            self.mix_weight = self.params.get("mix_weight", shape=(hidden, width))
            self.mix_bias = self.params.get("mix_bias", shape=(hidden,), init="zeros")
            self.head_weight = self.params.get("head_weight", shape=(hidden, hidden + 2 * half))
            self.head_bias = self.params.get("head_bias", shape=(hidden,), init="zeros")
            self.out = nn.Dense(
                len(LEVELS),
                flatten=False,
                in_units=hidden,
                weight_initializer="zeros",
                prefix="out_",
            )
            scores = normal_scores(LEVELS)
            self.start = self.params.get_constant("start", _inverse_softplus(np.diff(scores)))
            self.stairs = self.params.get_constant("stairs", _stairs())

    def hybrid_forward(self, F: Any, patches: Any, steps: Any, codes: Any, **own: Any) -> Any:
        window = []  # each (B, 1, ·), the same for every step
        if self.shape.encoder:
            states = self.encoder(patches)  # (B, P, C)
            window.append(F.slice_axis(states, axis=1, begin=-1, end=None))  # (B, 1, C)
        static = 0
        for place, embedding in enumerate(self.embeddings):
            code = F.slice_axis(codes, axis=1, begin=place, end=place + 1)  # (B, 1)
            static = static + embedding(code)  # (B, 1, E)
        window.append(static)
        # A dense layer of [steps, window] is that of each part, summed; Concat is several times
        # slower, and would repeat the window for every step.
        by_step, by_window = (
            F.slice_axis(own["mix_weight"], axis=1, begin=begin, end=end)
            for begin, end in ((0, N_STEP), (N_STEP, None))
        )
        hidden = self.shape.hidden_size
        mixed = F.relu(
            F.broadcast_add(
                _dense(F, steps, by_step, own["mix_bias"], hidden),  # (B, H, C)
                _dense(F, F.concat(*window, dim=2), by_window, None, hidden),  # (B, 1, C)
            )
        )
        mixed = self.drop(mixed)  # (B, H, C)
        around = self.horizon(mixed) if self.shape.decoder else self.plain(mixed)  # (B, H, C)
        here, beside = (
            F.slice_axis(own["head_weight"], axis=1, begin=begin, end=end)
            for begin, end in ((0, hidden), (hidden, None))
        )
        head = F.relu(
            _dense(F, mixed, here, own["head_bias"], hidden)
            + _dense(F, around, beside, None, hidden)
        )
        raw = self.out(self.drop(head))  # (B, H, L)
        median = F.slice_axis(raw, axis=2, begin=0, end=1)  # (B, H, 1)
        rises = F.slice_axis(raw, axis=2, begin=1, end=None)  # (B, H, L-1)
        rises = F.Activation(F.broadcast_add(rises, own["start"]), act_type="softrelu")
        return F.broadcast_add(F.dot(rises, own["stairs"]), median)  # (B, H, L)


def _dense(F: Any, inputs: Any, weight: Any, bias: Any, width: int) -> Any:
    """(B, ·, inputs) → (B, ·, width)"""
    given = (inputs, weight) if bias is None else (inputs, weight, bias)
    return F.FullyConnected(*given, num_hidden=width, flatten=False, no_bias=bias is None)


def build_network(shape: Shape, seed: int, context: Any = None) -> QuantileNetwork:
    """The network with weights drawn by `seed`."""
    mx.random.seed(seed)
    np.random.seed(seed % 2**32)  # MXNet's Xavier draws from numpy's global generator
    network = QuantileNetwork(shape)
    network.initialize(mx.init.Xavier(), ctx=context or mx.cpu())
    return network


def weights_of(network: QuantileNetwork) -> dict[str, NDArray[np.float32]]:
    """The trained arrays by name (constants excluded)."""
    return {
        name: parameter.data().asnumpy()
        for name, parameter in sorted(network.collect_params().items())
        if parameter.grad_req != "null"
    }


def start_from(network: QuantileNetwork, weights: dict[str, NDArray[np.float32]]) -> None:
    """Sets the arrays of a network of the same size. Categories belong to one fleet: each starts
    as the unknown one."""
    for name, parameter in network.collect_params().items():
        if name in weights and parameter.grad_req != "null":
            array = weights[name]
            if array.shape != parameter.shape:  # an embedding
                array = np.broadcast_to(array[:1], parameter.shape)
            parameter.set_data(mx.nd.array(array))


def set_weights(network: QuantileNetwork, weights: dict[str, NDArray[np.float32]]) -> None:
    """Sets every trained array. Raises KeyError for one that is missing."""
    for name, parameter in network.collect_params().items():
        if parameter.grad_req != "null":
            parameter.set_data(mx.nd.array(weights[name]))


def _inverse_softplus(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.log(np.expm1(values)).reshape(1, 1, -1).astype(np.float32)


def _stairs() -> NDArray[np.float32]:
    """(L-1, L): sums of rises from the median outwards."""
    stairs = np.zeros((len(LEVELS) - 1, len(LEVELS)), dtype=np.float32)
    for level in range(MEDIAN + 1, len(LEVELS)):
        stairs[MEDIAN:level, level] = 1.0
    for level in range(MEDIAN):
        stairs[level:MEDIAN, level] = -1.0
    return stairs
