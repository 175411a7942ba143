"""Measures against numbers computed by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headroom.series import metrics as m


def test_quantile_loss_by_hand() -> None:
    target = np.array([[10.0, 20.0]])
    quantiles = np.array([[[8.0, 10.0], [20.0, 26.0]]])
    # level .5: 2·.5·2 = 2, then 0; level .9: 0, then 2·.1·6 = 1.2; means 1 and .6
    np.testing.assert_allclose(m.quantile_loss(target, quantiles, (0.5, 0.9)), [1.6])
    assert m.abs_target(target)[0] == 30.0


def test_steps_without_a_value_do_not_count() -> None:
    target = np.array([[10.0, np.nan]])
    quantiles = np.array([[[8.0], [99.0]]])
    assert m.quantile_loss(target, quantiles, (0.5,))[0] == 2.0
    assert m.coverage(target, np.array([[0.0, 0.0]]), np.array([[11.0, 0.0]]))[0] == 1.0


def test_scaled_errors_by_hand() -> None:
    history = np.array([[1.0, 2.0, 3.0, 5.0]])
    scale = m.seasonal_error(history, 2)  # |3-1|, |5-2| → 2.5
    assert scale[0] == 2.5
    assert m.mase(np.array([[10.0]]), np.array([[5.0]]), scale)[0] == 2.0
    assert m.smape(np.array([[10.0, 0.0]]), np.array([[30.0, 0.0]]))[0] == 100.0
    # width 4, one value 1 below the lower end: (4 + 40·1) / 2.5
    assert m.msis(np.array([[1.0]]), np.array([[2.0]]), np.array([[6.0]]), scale, 0.05)[0] == 17.6
    assert m.owa(np.float64(18.383), np.float64(2.395), 18.383, 2.395) == 1.0


def test_undefined_is_nan_and_not_zero() -> None:
    flat = m.seasonal_error(np.array([[4.0, 4.0, 4.0]]), 1)
    assert np.isnan(m.mase(np.array([[1.0]]), np.array([[1.0]]), flat)[0])
    assert np.isnan(m.seasonal_error(np.array([[1.0, 2.0]]), 24)[0])
    assert np.isnan(m.nan_mean(np.array([[np.nan]]))[0])


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e3))
def test_crps_of_a_fine_quantile_grid_is_that_of_the_normal(mean: float, sd: float) -> None:
    from headroom.series.quantiles import normal_scores

    levels = np.arange(1, 1000) / 1000
    quantiles = (mean + sd * normal_scores(levels))[None, None, :]
    score = m.crps(np.array([[mean]]), quantiles, levels)[0]
    # CRPS of N(μ, σ) at its mean: σ (√2 - 1) / √π (Gneiting & Raftery 2007, eq. 21)
    np.testing.assert_allclose(score / sd, (np.sqrt(2) - 1) / np.sqrt(np.pi), rtol=0.02)
