"""The mixture of siblings: as high as the series, as wide as they differ."""

import numpy as np

from headroom.series.siblings import mixture

LEVELS = (0.1, 0.5, 0.9)
NOTHING = np.zeros(0)


def one_step(*centers: float, width: float = 1.0) -> np.ndarray:
    """(sibling, 1 step, level)"""
    return np.array([[[center - width, center, center + width]] for center in centers])


def test_without_history_it_lies_among_the_siblings_and_is_wider_than_each() -> None:
    quantiles = mixture(NOTHING, np.zeros((2, 0)), one_step(10.0, 20.0), LEVELS)
    assert quantiles.shape == (1, 3)
    assert 9 <= quantiles[0, 0] < 10.5
    assert 10 < quantiles[0, 1] < 20
    assert 19.5 < quantiles[0, 2] <= 21


def test_the_longer_the_history_the_more_the_level_is_its_own() -> None:
    def median(n_observed: int) -> float:
        own, beside = np.full(n_observed, 100.0), np.full((3, n_observed), 10.0)
        return float(mixture(own, beside, one_step(10.0, 10.0, 10.0), LEVELS)[0, 1])

    medians = [median(n) for n in (0, 1, 3, 50)]
    assert medians == sorted(medians)
    assert medians[0] == 10.0
    np.testing.assert_allclose(medians[2], 10 * np.sqrt(10), rtol=1e-9)
    assert 85 < medians[3] < 100


def test_what_cannot_be_compared_is_taken_as_it_is() -> None:
    beside = np.array([[np.nan], [0.0]])
    quantiles = mixture(np.array([5.0]), beside, one_step(10.0, 10.0), LEVELS)
    np.testing.assert_allclose(quantiles[0, 1], 10.0)


def test_quantiles_are_ordered() -> None:
    rng = np.random.default_rng(1)
    siblings = np.sort(rng.normal(size=(7, 12, 3)), axis=2)
    quantiles = mixture(NOTHING, np.zeros((7, 0)), siblings, LEVELS)
    assert (np.diff(quantiles, axis=1) >= 0).all()
