"""The calendar's word on demand, and what a group made of it before."""

import numpy as np
import pytest

from headroom.recommend.events import (
    Event,
    event_lift,
    event_response,
    lasting_ramps,
    passing_factor,
)
from tests.recommend.groups import HOURLY, demand

NAN = float("nan")


def live(first: int, lift: float = 0.5, known: int = 0, hours: int = 6) -> Event:
    return Event("live_event", first, first + hours - 1, lift, known)


def test_factors_of_overlapping_events_multiply_and_gaps_take_the_median() -> None:
    events = [live(1, 0.5, hours=2), live(2, 0.2, hours=2), live(5, NAN, hours=1)]
    factor = passing_factor(events, 7)
    np.testing.assert_allclose(factor, [1, 1.5, 1.8, 1.2, 1, 1.35, 1])


def test_an_event_not_known_yet_or_over_before_the_start_lifts_nothing() -> None:
    cores = demand()
    events = [live(len(cores) + 30, known=len(cores)), live(-20)]
    lift, responses = event_lift(events, cores, 48, HOURLY)
    assert len(lift) == len(cores) + 48
    assert not lift.any()
    assert responses == {}


def test_without_a_past_event_the_calendar_is_believed() -> None:
    cores = demand()
    lift, responses = event_lift([live(len(cores) + 10)], cores, 48, HOURLY)
    assert responses == {"live_event": 1.0}
    assert lift[len(cores) + 10] == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_group_answers_an_event_as_it_answered_those_before(share: float) -> None:
    cores = demand()
    firsts = (300, 700, 1100)
    said = passing_factor([live(first) for first in firsts], len(cores))
    response = event_response(cores * said**share, said, HOURLY)
    assert response == pytest.approx(share, abs=0.1)


def test_a_launch_rises_to_its_end_and_stays() -> None:
    ramp = np.exp(lasting_ramps([Event("launch", 2, 3, 0.21, 0)], 6))[0]
    np.testing.assert_allclose(ramp, [1, 1, 1.1, 1.21, 1.21, 1.21])


@pytest.mark.parametrize(("said", "error"), [(0.3, 0.03), (NAN, 0.1)])
def test_a_launch_of_the_past_is_told_from_growth(said: float, error: float) -> None:
    cores = demand()
    true = np.exp(lasting_ramps([Event("launch", 480, 719, 0.3, 0)], len(cores)))[0]
    launch = Event("launch", 480, 719, said, 0)
    lift, responses = event_lift([launch], cores * true, 48, HOURLY)
    assert set(responses) == {"launch"}
    assert lift[0] == 0.0
    assert lift[-1] == pytest.approx(0.3, abs=error)
