"""Aggregates step by step: growing grids, months, and what is missing."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.features.totals import MAX, MEAN, SUM, Totals
from headroom.freq import parse_freq

T0 = np.datetime64("2025-01-06T00:00:00", "s")  # a Monday
HOUR = np.timedelta64(3600, "s")


def micros(*days: tuple[int, int, int]) -> list[int]:
    return [int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000 for day in days]


def test_the_grid_grows_to_both_sides() -> None:
    totals = Totals(parse_freq("h"))
    for hour, values in ((5, [1.0, 2.0]), (3, [10.0]), (8, [7.0, np.nan])):
        totals.add(T0 + hour * HOUR, np.array(values))
    assert totals.n_members.tolist() == [1, 0, 1, 1, 0, 1, 1]
    np.testing.assert_equal(totals.values(SUM), [10, np.nan, 1, 2, np.nan, 7, np.nan])
    assert totals.times()[0] == (T0 + 3 * HOUR).astype("datetime64[us]").astype(int)


@pytest.mark.parametrize(
    ("freq", "start", "expected"),
    [
        ("MS", "2024-12-01", micros((2024, 12, 1), (2025, 1, 1), (2025, 2, 1))),
        ("W", "2025-01-08", micros((2025, 1, 6), (2025, 1, 13), (2025, 1, 20))),
        ("D", "2025-01-06T05:00", micros((2025, 1, 6), (2025, 1, 7), (2025, 1, 8))),
    ],
)
def test_steps_are_those_of_the_natural_grid(freq: str, start: str, expected: list[int]) -> None:
    totals = Totals(parse_freq(freq))
    totals.add(np.datetime64(start, "s"), np.ones(3))
    assert totals.times().tolist() == expected


def test_quarters_are_three_months_apart() -> None:
    totals = Totals(parse_freq("3MS"))
    totals.add(np.datetime64("2024-10-01", "s"), np.array([1.0, 2.0]))
    totals.add(np.datetime64("2025-01-01", "s"), np.array([5.0]))
    here = totals.n_members > 0
    assert totals.times()[here].tolist() == micros((2024, 10, 1), (2025, 1, 1))
    assert totals.values(SUM)[here].tolist() == [1.0, 7.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20)),
        min_size=1,
        max_size=8,
    )
)
def test_where_nothing_is_missing_values_are_sums_means_and_maxima(
    members: list[tuple[int, list[float]]],
) -> None:
    totals = Totals(parse_freq("h"))
    cells: dict[int, list[float]] = {}
    for begin, values in members:
        totals.add(T0 + begin * HOUR, np.array(values))
        for step, value in enumerate(values):
            cells.setdefault(begin + step, []).append(value)
    here = totals.n_members > 0
    steps = sorted(cells)
    for how, combine in ((SUM, sum), (MEAN, np.mean), (MAX, max)):
        expected = [combine(cells[step]) for step in steps]
        np.testing.assert_allclose(totals.values(how)[here], expected, rtol=1e-9, atol=1e-3)
