"""How many steps a fleet feeds, and how many windows a step holds."""

import numpy as np
import pytest
from panels import make_panel, series

from headroom.series.sampling import (
    LEAST_STEPS,
    LONG,
    STEPS_PER_ROOT,
    Fleets,
    Windows,
    make_plan,
    windows_per_step,
)

BATCH, HORIZON = 32, 24


def fleets(*lengths: int) -> Fleets:
    panel = make_panel(*(series(place, length) for place, length in enumerate(lengths)))
    plan = make_plan(lengths, BATCH, (HORIZON,))
    return Fleets([Windows(panel, plan, np.arange(len(lengths)))])


def test_steps_grow_with_the_root_of_the_origins() -> None:
    origins = 1_000 - HORIZON // 2  # the second half, but for half a horizon at the end
    steps = fleets(2_000).worthwhile(1_000)
    assert steps == round(STEPS_PER_ROOT * origins**0.5)
    assert fleets(*[2_000] * 4).worthwhile(1_000) == pytest.approx(2 * steps, abs=1)
    assert fleets(2_000).worthwhile(10) == 10


def test_a_few_steps_are_taken_by_the_smallest_fleet() -> None:
    assert fleets(100).worthwhile(1_000) == fleets(100, 3, 3).worthwhile(1_000) == LEAST_STEPS


def test_a_step_holds_fewer_windows_where_they_are_long() -> None:
    for horizon, expected in ((HORIZON, BATCH), (LONG, BATCH), (4 * LONG, BATCH // 4)):
        panel = make_panel(series(1, 6_000))
        plan = make_plan((6_000,), BATCH, (horizon,))
        drawn = Windows(panel, plan, np.arange(1)).draw(7, 0)
        assert sum(len(part.target) for part in drawn) == expected
        assert windows_per_step(BATCH, horizon) == expected
    assert windows_per_step(2, 1_000) == 1


def test_the_least_length_is_the_shortest_that_has_a_window() -> None:
    least = fleets(100).least_length
    # A day of past, and half of the horizon behind the origin.
    assert least == 24 + HORIZON // 2 + 1
    assert [fleets(length).exist for length in (least - 1, least)] == [False, True]
