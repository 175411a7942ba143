"""How many steps a fleet feeds."""

import numpy as np
import pytest
from panels import make_panel, series

from headroom.series.sampling import LEAST_STEPS, STEPS_PER_ROOT, Fleets, Windows, make_plan

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
