"""Synthetic series: finite, varied, and the same for the same seed."""

import numpy as np
import pytest

from headroom.series.synthetic import _beside, announced, autoregressed, synthetic_series


def drawn(seed: int, length: int = 500, seasons: tuple[int, ...] = (24, 168)) -> np.ndarray:
    return synthetic_series(np.random.default_rng(seed), length, seasons)[0]


@pytest.mark.parametrize("seasons", [(24, 168), (7,), (288, 2016), ()])
def test_every_series_is_finite_where_observed(seasons: tuple[int, ...]) -> None:
    for seed in range(60):
        values = drawn(seed, 400, seasons)
        assert values.shape == (400,)
        assert not np.isinf(values).any()
        assert np.isnan(values).mean() < 0.5


def test_a_seed_decides_the_series() -> None:
    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))


def test_most_have_a_rhythm_and_some_have_none() -> None:
    def strength(x: np.ndarray) -> float:
        centered = np.nan_to_num(x - np.nanmean(x))
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


def test_announced_events_are_told_before_they_happen_and_lift_what_they_say() -> None:
    agreed = []
    for seed in range(40):
        factors, events = announced(np.random.default_rng(seed), 600, (24, 168))
        assert factors.shape == (600,)
        for event in events:
            assert event.known_step < event.first_step <= event.last_step
            if event.kind == "live_event" and event.expected_lift and event.first_step < 600:
                agreed.append((event.expected_lift, factors[event.first_step] - 1))
    expected, happened = np.array(agreed).T
    assert np.corrcoef(expected, happened)[0, 1] > 0.25


def test_half_of_the_series_feel_events_before_they_begin_and_after_they_end() -> None:
    felt = [_beside(np.random.default_rng(seed), 5.0)(20, 23, 40) for seed in range(60)]
    assert all((one[20:24] == 1.0).all() for one in felt)
    alone = [not one[:20].any() and not one[24:].any() for one in felt]
    assert 15 < sum(alone) < 45
    for one in (one for one, is_alone in zip(felt, alone, strict=True) if not is_alone):
        assert (np.diff(np.abs(one[:20])) > 0).all()
        assert (np.diff(np.abs(one[24:])) < 0).all()
