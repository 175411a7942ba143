"""Streams of random numbers: repeatable, divisible into blocks, and distributed as they say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headroom.simulate.draws import draw, draw_log, key_of, normals, smooth_noise, uniforms

HOURS = np.arange(400_000, 500_000) * 3600


@given(start=st.integers(-(10**9), 10**9), cut=st.integers(1, 99), seed=st.integers(0, 99))
def test_any_block_of_a_stream_can_be_drawn_alone(start: int, cut: int, seed: int) -> None:
    key, index = key_of(seed, "noise"), np.arange(start, start + 100)
    whole = normals(key, index)
    np.testing.assert_array_equal(
        whole, np.concatenate([normals(key, index[:cut]), normals(key, index[cut:])])
    )
    seconds = index * 3600
    np.testing.assert_array_equal(
        smooth_noise(key, seconds, 6 * 3600)[cut:], smooth_noise(key, seconds[cut:], 6 * 3600)
    )


def test_uniforms_are_uniform_and_streams_differ() -> None:
    index = np.arange(100_000)
    first, second = uniforms(key_of(1, "a"), index), uniforms(key_of(1, "b"), index)
    assert first.min() > 0 and first.max() < 1
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert abs(counts - 5000).max() < 5 * np.sqrt(5000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02


def test_normals_have_the_moments_of_the_normal_law() -> None:
    numbers = normals(key_of("n"), np.arange(200_000))
    assert abs(numbers.mean()) < 0.01
    assert abs(numbers.std() - 1) < 0.01
    assert abs((numbers > 1.6449).mean() - 0.05) < 0.003


def test_smooth_noise_has_unit_variance_and_a_memory_of_about_one_knot() -> None:
    noise = smooth_noise(key_of("s"), HOURS, 6 * 3600)
    assert abs(noise.std() - 1) < 0.02
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] > 0.8
    assert abs(np.corrcoef(noise[24:], noise[:-24])[0, 1]) < 0.03


def test_single_draws_stay_in_their_range_and_belong_to_their_names() -> None:
    draws = [draw(2, 5, seed, "x") for seed in range(1000)]
    assert min(draws) >= 2 and max(draws) < 5
    assert abs(np.mean(draws) - 3.5) < 0.1
    assert draw(2, 5, 3, "x") == draws[3]
    logs = [np.log(draw_log(1, 100, seed)) for seed in range(1000)]
    assert abs(np.mean(logs) - np.log(10)) < 0.15
