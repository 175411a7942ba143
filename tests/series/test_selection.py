"""The choice per series."""

import numpy as np

from headroom.series.selection import FACTORS, WHOLE, choose, selection_losses

METHODS = ("naive", "floor", "network")
FLAT = np.zeros((3, len(FACTORS)))
ONE = FACTORS.index(1.0)


def losses(*by_method: float) -> np.ndarray:
    """Log losses that are smallest at factor 1."""
    bowl = np.abs(np.log(FACTORS))
    return np.log(np.array(by_method))[:, None] + bowl[None, :]


def test_the_best_method_serves_at_its_best_spread() -> None:
    chosen = choose(METHODS, losses(3, 2, 1), losses(3, 2, 1), 4)
    assert (chosen.method, chosen.factor) == ("network", 1.0)


def test_a_tie_goes_to_the_simpler_method() -> None:
    assert choose(METHODS, None, losses(2, 1, 0.995), 0).method == "floor"
    assert choose(METHODS, None, losses(2, 1, 0.95), 0).method == "network"


def test_a_series_without_windows_follows_the_fleet() -> None:
    nothing = np.full((3, len(FACTORS)), np.nan)
    assert choose(METHODS, nothing, losses(1, 2, 3), 0).method == "naive"


def test_a_few_windows_move_the_choice_only_as_far_as_they_weigh() -> None:
    fleet, own = losses(2, 1, 0.8), losses(2, 1, 1.1)
    assert choose(METHODS, own, fleet, 1).method == "network"
    assert choose(METHODS, own, fleet, int(50 * WHOLE)).method == "floor"


def test_losses_prefer_the_spread_that_the_errors_have() -> None:
    rng = np.random.default_rng(1)
    target = rng.normal(0, 2.0, (50, 20))
    levels = (0.1, 0.5, 0.9)
    quantiles = np.broadcast_to([-1.2816, 0.0, 1.2816], (50, 20, 3))
    best = FACTORS[int(selection_losses(target, quantiles, levels).argmin())]
    assert best == 2.0
    assert np.isnan(selection_losses(np.full((1, 3), np.nan), quantiles[:1, :3], levels)).all()
