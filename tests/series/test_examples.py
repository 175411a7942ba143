"""What the network sees: nothing of the future, nothing of the unit, the same in any company."""

import numpy as np
import pytest
from panels import COMING, GONE, LIFT, YESTERDAY, make_panel, series

from headroom.errors import SchemaError
from headroom.series.event_inputs import N_EVENT
from headroom.series.examples import N_PATCH, N_STEP, Examples, build_examples
from headroom.series.fitted import fit
from headroom.series.panel import Panel, panel_of

ORIGIN, HORIZON = 500, 24


def window(panel: Panel, row: int = 0, origin: int = ORIGIN) -> Examples:
    fitted = fit(panel, HORIZON, origin)
    return build_examples(fitted, np.array([row]), np.array([origin]))


def inputs(examples: Examples) -> list[np.ndarray]:
    return [examples.patches, examples.steps, examples.center, examples.sd]


def test_widths_are_those_the_network_expects() -> None:
    examples = window(make_panel(series(1)))
    assert examples.patches.shape == (1, 14, N_PATCH)
    assert examples.steps.shape == (1, HORIZON, N_STEP)
    assert examples.mask.sum() == HORIZON


def test_what_comes_after_the_origin_changes_no_input() -> None:
    changed = series(1)
    changed[ORIGIN:] = 1e6
    for before, after in zip(
        inputs(window(make_panel(series(1)))), inputs(window(make_panel(changed))), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_the_unit_of_the_target_does_not_matter() -> None:
    for small, large in zip(
        inputs(window(make_panel(series(1)))),
        inputs(window(make_panel(1e6 * series(1)))),
        strict=True,
    ):
        np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-4)


def test_company_does_not_matter() -> None:
    alone = window(make_panel(series(1)))
    longer = np.concatenate([series(9, 300), series(2)])
    together = window(make_panel(series(1), longer), origin=ORIGIN + 300)
    for one, other in zip(inputs(alone), inputs(together), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_an_event_is_seen_once_it_is_known() -> None:
    def told(known_step: int) -> np.ndarray:
        event = {
            "kind": "live_event",
            "first_step": ORIGIN + 3,
            "last_step": ORIGIN + 5,
            "expected_lift": 0.4,
            "known_step": known_step,
        }
        return window(make_panel(series(1), events=[event])).steps[0]

    fitted = fit(make_panel(series(1)), HORIZON, ORIGIN)
    unit = 2 * fitted.floor.scale.width[0] * fitted.spreads[0, 3:6]
    lift = told(ORIGIN - 1)[:, LIFT]
    assert np.flatnonzero(lift).tolist() == [3, 4, 5]
    np.testing.assert_allclose(lift[3:6], np.minimum(np.log(1.4) / unit, 8), rtol=1e-5)
    assert not told(ORIGIN)[:, N_STEP - N_EVENT :].any()


def test_an_event_of_yesterday_marks_the_same_hours_today() -> None:
    event = {
        "kind": "launch",
        "first_step": ORIGIN - 21,
        "last_step": ORIGIN - 20,
        "expected_lift": 0.4,
        "known_step": 0,
    }
    steps = window(make_panel(series(1), events=[event])).steps[0]
    assert np.flatnonzero(steps[:, YESTERDAY]).tolist() == [3, 4]
    assert (steps[3:5, YESTERDAY + 1] > 0).all()
    assert not steps[:, YESTERDAY + 2 :].any()


def test_the_nearer_an_event_the_more_the_network_is_told_of_it() -> None:
    def told(kind: str) -> np.ndarray:
        event = {
            "kind": kind,
            "first_step": ORIGIN + 8,
            "last_step": ORIGIN + 9,
            "expected_lift": 0.4,
            "known_step": 0,
        }
        return window(make_panel(series(1), events=[event])).steps[0]

    launch, holiday = told("launch"), told("holiday")
    coming, gone = launch[:, COMING + 1], launch[:, GONE + 1]
    np.testing.assert_allclose(coming[7::-1][[0, 2]], [1.0, 1 - np.log(3) / np.log(25)], rtol=1e-6)
    assert (np.diff(coming[:8]) > 0).all()
    assert not coming[8:].any()
    assert not gone[:10].any()
    np.testing.assert_allclose(gone[[10, 12]], [1.0, 1 - np.log(3) / np.log(25)], rtol=1e-6)
    np.testing.assert_array_equal(holiday[:, COMING + 3], coming)
    assert not holiday[:, COMING + 1].any()
    assert (launch[7, LIFT + 1] > launch[0, LIFT + 1]) and (launch[10, LIFT + 2] > 0)


def test_far_events_and_those_of_others_change_nothing() -> None:
    near = {"kind": "launch", "first_step": 505, "last_step": 508, "known_step": 0}
    far = {"kind": "holiday", "first_step": 100, "last_step": 123, "known_step": 0}
    near, far = ({**event, "expected_lift": None} for event in (near, far))
    alone = window(make_panel(series(1), events=[near])).steps
    both = window(make_panel(series(1), events=[far, near])).steps
    np.testing.assert_array_equal(alone, both)


def test_the_calendar_is_local() -> None:
    utc = window(make_panel(series(1))).steps
    tokyo = window(make_panel(series(1), zone="Asia/Tokyo")).steps
    assert not np.allclose(utc, tokyo)


@pytest.mark.parametrize(("freq", "length"), [("5min", 900), ("D", 90), ("W", 60), ("MS", 40)])
def test_every_frequency_has_the_same_widths(freq: str, length: int) -> None:
    panel = make_panel(series(1, length), freq=freq)
    fitted = fit(panel, 7)
    examples = build_examples(fitted, np.array([0]), np.array([length]))
    assert examples.patches.shape == (1, 14, N_PATCH)
    assert examples.steps.shape == (1, 7, N_STEP)
    assert np.isfinite(examples.steps).all()
    assert examples.mask.sum() == 0


def test_mixed_frequencies_are_refused() -> None:
    rows = {
        name: []
        for name in ("item_id", "start", "target", "time_zone", "static_codes", "series_events")
    }
    with pytest.raises(SchemaError, match="one panel holds one frequency"):
        panel_of({**rows, "freq": ["h", "D"]})
