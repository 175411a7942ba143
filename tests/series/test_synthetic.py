"""Synthetic series: finite, varied, and the same for the same seed."""

import numpy as np
import pytest

from headroom.series.synthetic import autoregressed, synthetic_series


def drawn(seed: int, length: int = 500, seasons: tuple[int, ...] = (24, 168)) -> np.ndarray:
    return synthetic_series(np.random.default_rng(seed), length, seasons)


@pytest.mark.parametrize("seasons", [(24, 168), (7,), (288, 2016), ()])
def test_every_series_is_finite(seasons: tuple[int, ...]) -> None:
    for seed in range(60):
        values = drawn(seed, 400, seasons)
        assert values.shape == (400,)
        assert np.isfinite(values).all()


def test_a_seed_decides_the_series() -> None:
    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))


def test_most_have_a_rhythm_and_some_have_none() -> None:
    def strength(x: np.ndarray) -> float:
        centered = x - x.mean()
        return float((centered[24:] * centered[:-24]).mean() / (centered.var() + 1e-12))

    strengths = np.array([strength(np.log1p(np.abs(drawn(seed)))) for seed in range(120)])
    assert (strengths > 0.5).mean() > 0.3
    assert (strengths < 0.3).mean() > 0.05


def test_memory_is_that_of_the_recursion() -> None:
    shocks = np.random.default_rng(1).normal(size=200)
    expected, last = [], 0.0
    for shock in shocks:
        last = 0.9 * last + shock
        expected.append(last)
    np.testing.assert_allclose(autoregressed(shocks, 0.9), expected)
