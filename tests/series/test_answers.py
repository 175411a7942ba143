"""What live events did to a series is taken out, measured, and put back where the next one is."""

import numpy as np
import pytest
from panels import LIFT, make_panel

from headroom.series import answers
from headroom.series.examples import build_examples
from headroom.series.fitted import fit
from headroom.series.panel import Panel

DAY, LENGTH, HORIZON = 24, 40 * 24, 24
PAST = [10 * 24 + 19, 17 * 24 + 20, 26 * 24 + 18, 33 * 24 + 19]  # first steps of evenings
NEXT = LENGTH + 20


def event(first: int, **changes: object) -> dict[str, object]:
    event = {"kind": "live_event", "first_step": first, "last_step": first + 2}
    return {**event, "expected_lift": 1.0, "known_step": first - 200} | changes


def evenings(share: float, *events: dict[str, object]) -> Panel:
    """A daily rhythm of which the events lift `share` of what was told, on the logarithm."""
    rng = np.random.default_rng(1)
    hours = np.arange(LENGTH)
    values = (50 + 20 * np.sin(hours * 2 * np.pi / DAY)) * rng.lognormal(0, 0.03, LENGTH)
    for first in PAST:
        values[first : first + 3] *= 2.0**share
    return make_panel(values, events=[*map(event, PAST), *events])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_the_lift_that_arrives_is_found(share: float) -> None:
    assert fit(evenings(share), HORIZON).answers.share[0] == pytest.approx(share, abs=0.1)


def test_an_answer_that_may_be_noise_is_none() -> None:
    fitted = fit(evenings(0.0, event(NEXT)), HORIZON)
    found = fitted.answers
    assert (found.share[0], found.variance[0]) == (0, 0)
    assert found.is_known[0]  # so the network is not told either
    steps = build_examples(fitted, np.array([0]), np.array([LENGTH])).steps[0]
    assert not steps[:, LIFT : LIFT + 3].any()


def test_nothing_is_measured_before_all_lags_lie_in_the_history() -> None:
    early = event(30)
    panel = evenings(0.5, early)
    panel.values[0, early["first_step"] : early["last_step"] + 1] *= 50
    assert fit(panel, HORIZON).answers.share[0] == pytest.approx(0.5, abs=0.1)


def test_the_next_event_is_in_the_floor_and_the_last_one_leaves_no_echo() -> None:
    origin = np.array([LENGTH])
    known, unknown = event(NEXT, known_step=LENGTH - 1), event(NEXT, known_step=LENGTH)
    told, untold = (fit(evenings(1.0, last), HORIZON) for last in (known, unknown))
    with_event, without = (
        build_examples(fitted, np.array([0]), origin) for fitted in (told, untold)
    )
    added = (with_event.center - without.center)[0] * told.floor.scale.width[0]
    inside = np.arange(HORIZON) >= NEXT - LENGTH
    inside &= np.arange(HORIZON) <= NEXT - LENGTH + 2
    np.testing.assert_allclose(added[inside], np.log(2), rtol=0.15)
    np.testing.assert_allclose(added[~inside], 0, atol=1e-9)
    told_inside = (with_event.steps - without.steps)[0, inside]
    assert not told_inside.any()  # no error to be undone
    before, after = with_event.steps[0, :, LIFT + 1], with_event.steps[0, :, LIFT + 2]
    assert before[inside.argmax() - 1] > 0 and after[np.flatnonzero(inside)[-1] + 1] > 0
    assert (with_event.sd[0][inside] > without.sd[0][inside]).all()
    x = untold.floor.scale.inverse(without.center)[0]
    expected = 50 + 20 * np.sin(np.arange(HORIZON) * 2 * np.pi / DAY)
    np.testing.assert_allclose(x, expected, rtol=0.1)


def test_an_event_of_no_told_lift_is_as_large_as_those_told_before_and_less_certain() -> None:
    past = event(20 * 24 + 19, expected_lift=None)
    panel = evenings(1.0, past, event(NEXT, expected_lift=None))
    panel.values[0, past["first_step"] : past["last_step"] + 1] *= 3
    sized = fit(evenings(1.0, event(NEXT)), HORIZON)
    usual = fit(panel, HORIZON)
    row, origin = np.array([0]), np.array([LENGTH])
    told, untold = (build_examples(fitted, row, origin) for fitted in (sized, usual))
    inside = slice(NEXT - LENGTH, NEXT - LENGTH + 3)
    assert usual.answers.share[0] == pytest.approx(1.0, abs=0.1)  # the past one taught nothing
    np.testing.assert_allclose(untold.center[0], told.center[0], atol=0.15)
    assert (untold.sd[0][inside] > 1.5 * told.sd[0][inside]).all()
    assert not untold.steps[0, :, LIFT].any()  # nor is the network told


def test_where_no_lift_was_ever_told_the_next_event_is_as_those_before() -> None:
    given = [event(first, expected_lift=None) for first in (*PAST, NEXT)]
    panel = make_panel(evenings(1.0).values[0], events=given)
    fitted = fit(panel, HORIZON)
    examples = build_examples(fitted, np.array([0]), np.array([LENGTH]))
    added = fitted.floor.scale.inverse(examples.center)[0, 20:23]
    usual = 50 + 20 * np.sin((NEXT + np.arange(3)) * 2 * np.pi / DAY)
    np.testing.assert_allclose(added / usual, 2.0, rtol=0.15)
    assert (examples.sd[0, 20:23] > 2 * examples.sd[0, 17:20]).all()
    assert not examples.steps[0, :, LIFT].any()


def test_an_event_before_any_other_has_no_nominal_lift() -> None:
    events = make_panel(np.ones(LENGTH), events=[event(NEXT, expected_lift=None)]).events
    assert not answers.with_nominal_lifts(events, LENGTH, DAY).lift.any()
    both = [event(50, expected_lift=None), event(60, expected_lift=0.3)]
    events = make_panel(np.ones(LENGTH), events=both).events
    assert answers.with_nominal_lifts(events, LENGTH, DAY).lift.tolist() == [[0.0, 0.3]]


def test_the_usual_lift_is_that_of_what_was_told_before() -> None:
    given = [event(50, expected_lift=lift) for lift in (0.5, 2.0, None)]
    given.append(event(90, expected_lift=9.0, known_step=60))
    events = make_panel(np.ones(LENGTH), events=given).events
    filled = answers.with_usual_lifts(events, 60, DAY).lift[0]
    assert filled.tolist() == pytest.approx([0.5, 2.0, np.sqrt(1.5 * 3.0) - 1, 9.0])
    assert answers.with_usual_lifts(events, -200, DAY).lift[0, 2] == 0


def test_without_past_events_the_network_is_told_instead() -> None:
    rng = np.random.default_rng(1)
    values = 50 * rng.lognormal(0, 0.1, LENGTH)
    fitted = fit(make_panel(values, events=[event(NEXT)]), HORIZON)
    examples = build_examples(fitted, np.array([0]), np.array([LENGTH]))
    assert not fitted.answers.is_known[0]
    assert np.flatnonzero(examples.steps[0, :, LIFT]).tolist() == [20, 21, 22]
    np.testing.assert_array_equal(examples.sd[0], fitted.spreads[0, :HORIZON])


def test_two_events_at_once_add_up_and_those_at_an_end_are_cut() -> None:
    given = [event(-1, known_step=-9), event(50), event(51), event(LENGTH - 1)]
    lifts = answers.past_lifts(make_panel(np.ones(LENGTH), events=given).events, LENGTH, DAY)[0]
    assert (lifts / np.log(2)).round(9)[[0, 1, 2, 50, 51, 52, 53, 54]].tolist() == [
        1, 1, 0, 1, 2, 2, 1, 0,
    ]  # fmt: skip
    assert lifts[-2:].tolist() == pytest.approx([0, np.log(2)])


def test_what_comes_after_the_origin_changes_neither_answer_nor_forecast() -> None:
    origin = LENGTH - 48
    first, later = event(origin + 5, known_step=0), event(origin + 20, known_step=origin)
    calm, wild = evenings(1.0, first), evenings(1.0, first, later)
    wild.values[0, origin:] *= 7
    one, two = (
        build_examples(fit(panel, HORIZON, origin), np.array([0]), np.array([origin]))
        for panel in (calm, wild)
    )
    for name in ("patches", "steps", "center", "sd"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


def test_an_event_of_days_is_a_level_and_stays_with_the_network() -> None:
    panel = evenings(1.0, event(NEXT, last_step=NEXT + 30))
    assert answers.is_answered(panel.events, DAY)[0].tolist() == [True] * 4 + [False]


def test_an_event_made_known_late_changes_nothing_before_that() -> None:
    late = make_panel(np.ones(LENGTH), events=[event(100, known_step=101)])
    assert np.flatnonzero(answers.past_lifts(late.events, LENGTH, DAY)).tolist() == [101, 102]
