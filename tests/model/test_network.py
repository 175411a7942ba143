"""The network starts as the floor, never crosses quantiles, and survives a round trip."""

import json

import numpy as np
import pytest

from headroom.errors import ArtifactError
from headroom.model import artifact
from headroom.model.loss import pinball_loss
from headroom.model.mx import mx
from headroom.model.network import LEVELS, Shape, build_network, set_weights, weights_of
from headroom.model.predict import Predictor, known_codes
from headroom.series.examples import N_PATCH, N_STEP, PERIODS, Examples
from headroom.series.methods import SCRATCH
from headroom.series.quantiles import normal_scores

SHAPE = Shape(hidden_size=8, dropout=0.0, cardinalities=(3,))


def examples(n: int = 5, horizon: int = 6, seed: int = 1) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(
        patches=rng.normal(size=(n, PERIODS, N_PATCH)).astype(np.float32),
        steps=rng.normal(size=(n, horizon, N_STEP)).astype(np.float32),
        codes=rng.integers(0, 4, (n, 1)),
        center=np.zeros((n, horizon)),
        sd=np.ones((n, horizon)),
        target=rng.normal(size=(n, horizon)).astype(np.float32),
        mask=np.ones((n, horizon), dtype=np.float32),
    )


def shaken(seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = weights_of(build_network(SHAPE, seed=0))
    return {name: w + rng.normal(0, 0.5, w.shape).astype(np.float32) for name, w in weights.items()}


def packed(*members: dict[str, np.ndarray]) -> bytes:
    return artifact.pack(
        [artifact.Member(SCRATCH, SHAPE.to_dict(), weights) for weights in members], {"why": "test"}
    )


def predicted(data: bytes, given: Examples) -> np.ndarray:
    return Predictor(artifact.unpack(data)).quantiles(given)[SCRATCH]


def test_an_untrained_network_says_what_the_floor_says() -> None:
    quantiles = predicted(packed(weights_of(build_network(SHAPE, seed=4))), examples())
    np.testing.assert_allclose(
        quantiles, np.broadcast_to(normal_scores(LEVELS), quantiles.shape), atol=1e-5
    )


def test_quantiles_never_cross_whatever_the_weights() -> None:
    quantiles = predicted(packed(shaken()), examples(40))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    one, two = shaken(1), shaken(2)
    mean = np.mean([predicted(packed(weights), examples()) for weights in (one, two)], axis=0)
    both = predicted(packed(one, two), examples())
    np.testing.assert_allclose(both, mean, rtol=1e-6)


def test_those_networks_forecast_a_window_that_saw_most_of_what_lies_before_it() -> None:
    early, late = shaken(1), shaken(2)
    members = [
        artifact.Member(SCRATCH, SHAPE.to_dict(), weights, holdout)
        for weights, holdout in ((early, 96), (late, 48))
    ]
    predictor = Predictor(artifact.unpack(artifact.pack(members, {})))

    def at(back: int) -> np.ndarray:
        return predictor.quantiles(examples(), back)[SCRATCH]

    for back, weights in ((0, late), (48, late), (49, early), (96, early)):
        np.testing.assert_array_equal(at(back), predicted(packed(weights), examples()))
    with pytest.raises(ArtifactError, match="has seen the window 97 steps before the end"):
        at(97)


def test_the_prediction_of_a_window_does_not_depend_on_its_company() -> None:
    whole, first = examples(7), examples(7)
    alone = Examples(**{name: getattr(first, name)[:1] for name in Examples.__dataclass_fields__})
    np.testing.assert_allclose(
        predicted(packed(shaken()), alone)[0], predicted(packed(shaken()), whole)[0], atol=1e-5
    )


def test_categories_never_seen_count_as_unknown() -> None:
    assert known_codes(np.array([[2], [9]]), (3,)).tolist() == [[2], [0]]
    assert known_codes(np.zeros((2, 0), dtype=np.int64), (3, 4)).tolist() == [[0, 0], [0, 0]]
    assert known_codes(np.array([[5]]), ()).tolist() == [[0]]


def test_pinball_loss_by_hand() -> None:
    quantiles = mx.nd.zeros((1, 2, len(LEVELS)))
    loss = pinball_loss(quantiles, mx.nd.array([[1.0, 5.0]]), mx.nd.array([[1.0, 0.0]])).asnumpy()
    np.testing.assert_allclose(loss, [[2 * np.mean(LEVELS), 0.0]], rtol=1e-6)


def test_the_same_weights_give_the_same_bytes() -> None:
    assert packed(shaken()) == packed(shaken())
    assert artifact.digest(packed(shaken(1))) != artifact.digest(packed(shaken(2)))


def test_a_seed_decides_the_first_weights() -> None:
    first, again = (weights_of(build_network(SHAPE, seed=5)) for _ in range(2))
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, again[name])


def test_weights_come_back_as_they_were() -> None:
    weights = shaken()
    network = build_network(SHAPE, seed=9)
    set_weights(network, weights)
    for name, weight in weights_of(network).items():
        np.testing.assert_array_equal(weight, weights[name])


def test_altered_weights_are_refused() -> None:
    data = packed(shaken())
    with pytest.raises(ArtifactError, match="sha256 differs"):
        artifact.unpack(data, artifact.digest(b"other"))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", b"\x80\x04pickle"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="no model that headroom wrote"):
        artifact.unpack(data)


def test_a_model_of_another_format_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    header = np.frombuffer(json.dumps({"format": 99, "inputs": []}).encode(), dtype=np.uint8)
    path = tmp_path / "old.npz"
    np.savez(path, about=header)
    with pytest.raises(ArtifactError, match="another version of headroom"):
        artifact.unpack(path.read_bytes())


def test_object_arrays_are_never_unpickled(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "evil.npz"
    np.savez(path, about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArtifactError, match="no model that headroom wrote"):
        artifact.unpack(path.read_bytes())
