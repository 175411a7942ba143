"""What the pictures show is where the numbers say."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from report_facts import make_advice, make_model, make_picture

from headroom.report import charts, svg
from headroom.report.evidence import evidence_chart, evidence_numbers, read_drawing
from headroom.report.facts import Fan, Line

T0 = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRAME = svg.Frame(width=100, height=110, left=0, right=0, top=0, bottom=10)
SVG = "{*}"


def hours(*numbers: int) -> tuple[datetime, ...]:
    return tuple(T0 + k * HOUR for k in numbers)


def paths_of(picture: str, css: str) -> list[str]:
    root = ElementTree.fromstring(picture)  # noqa: S314 - our own picture
    return [
        str(node.get("d")) for node in root.iter("path") if css in str(node.get("class")).split()
    ]


def test_a_known_fan_lies_at_known_coordinates() -> None:
    history = Line(hours(0, 1, 2), (0.0, 50.0, 100.0))
    fan = Fan(hours(3, 4), (0.1, 0.5, 0.9), ((20.0, 50.0, 60.0), (10.0, 40.0, 80.0)))
    picture = charts.fan_chart("cpu", history, fan, frame=FRAME)
    # x: four hours over 100 units; y: 0 … 104 (4 % of room above) over 100 … 0
    assert paths_of(picture, "history") == ["M0.0 100.0L25.0 51.9L50.0 3.8"]
    assert paths_of(picture, "fan-median") == ["M75.0 51.9L100.0 61.5"]
    assert paths_of(picture, "fan-80") == ["M75.0 42.3L100.0 23.1L100.0 90.4L75.0 80.8Z"]
    assert paths_of(picture, "fan-95") == []  # the levels do not reach so far


def test_bands_are_interpolated_between_levels() -> None:
    fan = Fan(hours(0), (0.1, 0.2, 0.3, 0.7, 0.8, 0.9), ((1.0, 2.0, 3.0, 7.0, 8.0, 9.0),))
    lower, upper = charts.band(fan, 0.5) or ([], [])
    assert lower == pytest.approx([2.5])
    assert upper == pytest.approx([7.5])
    assert charts.band(fan, 0.95) is None
    assert charts.median(fan) == pytest.approx([5.0])


def test_a_gap_breaks_the_line() -> None:
    history = Line(hours(0, 1, 2, 3), (1.0, None, 2.0, 3.0))
    (data,) = paths_of(charts.fan_chart("x", history, None), "history")
    assert data.count("M") == 2


def test_a_wide_outer_band_does_not_flatten_the_history() -> None:
    low, high = charts.value_range([90.0, 100.0], [50.0, 10_000.0])
    assert (low, high) == (85.0, pytest.approx(105.8))


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ([10.0, 100.0], (0.0, 104.0)),  # near zero: from zero
        ([90.0, 100.0], (90.0, 100.4)),
        ([5.0, 5.0], (2.5, 7.7)),  # a constant lies in the middle
        ([], (0.0, 1.0)),
    ],
)
def test_value_range(inner: list[float], expected: tuple[float, float]) -> None:
    assert charts.value_range(inner) == pytest.approx(expected)


def test_ticks_are_round() -> None:
    assert svg.ticks(0, 104) == [0, 50, 100]
    assert svg.ticks(0.0012, 0.0031) == pytest.approx([0.0015, 0.002, 0.0025, 0.003])
    assert svg.ticks(3, 3) == [3]


def test_time_ticks_are_round_in_utc() -> None:
    day = [label for _, label in svg.time_ticks(T0 + HOUR, T0 + 25 * HOUR)]
    assert day == ["06:00", "12:00", "18:00", "2 Jan"]
    year = [label for _, label in svg.time_ticks(T0, T0 + timedelta(days=365))]
    assert year == ["Jan 2025", "Apr 2025", "Jul 2025", "Oct 2025", "Jan 2026"]
    for n_days in (1, 3, 10, 45, 200, 900, 5000):
        ticks = svg.time_ticks(T0, T0 + timedelta(days=n_days))
        assert 2 <= len(ticks) <= 8
        assert all(T0 <= at <= T0 + timedelta(days=n_days) for at, _ in ticks)


def test_text_and_labels_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    picture = charts.fan_chart(hostile, Line(hours(0, 1), (1.0, 2.0)), None)
    assert "<script" not in picture
    ElementTree.fromstring(picture)  # noqa: S314 - well-formed


def test_every_picture_says_what_it_shows() -> None:
    entry = make_picture(1)
    fan = charts.fan_chart("cpu", entry.history, entry.forecast, entry.backtests)
    assert "median forecast between" in fan
    assert "from 3 November 2025, 00:00 UTC on" in fan
    for picture in (fan, charts.calibration_chart([(0.1, 0.12)]), charts.ratio_cell(0.7)):
        assert re.search(r'role="img" aria-label="[^"]{10,}"', picture)


def test_calibration_points_lie_at_level_and_share() -> None:
    picture = charts.calibration_chart([(0.5, 0.25)])
    # 238 units wide from 48, 242 high up to 14
    assert 'cx="167.0" cy="195.5"' in picture


def test_the_ratio_is_marked_beside_the_naive() -> None:
    assert 'cx="22.0"' in charts.ratio_cell(0.5)  # a quarter of 80 units from 2
    assert 'class="dot harm"' in charts.ratio_cell(1.2)
    assert 'cx="82.0"' in charts.ratio_cell(7.0)  # clamped
    assert charts.ratio_cell(None) == ""


def test_training_labels_do_not_overlap() -> None:
    curves = make_model().curves
    picture = charts.training_chart(curves)
    root = ElementTree.fromstring(picture)  # noqa: S314 - our own picture
    heights = [
        float(str(node.get("y"))) for node in root.iter("text") if "member" in str(node.text)
    ]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= 13
    assert "No training loss" in charts.training_chart([])


# -- evidence --------------------------------------------------------------------------------------


def test_the_evidence_shows_limits_dates_and_the_day_to_act() -> None:
    picture = evidence_chart(make_advice(1))
    assert picture is not None
    for words in ("act by 17 Nov", "27 Nov – 25 Dec", "of 120 cores", "of proposed 156 cores"):
        assert words in picture
    drawing = read_drawing(make_advice(1).evidence)
    assert drawing is not None
    assert [limit.value for limit in drawing.limits] == pytest.approx([78.0, 101.4])
    assert len(drawing.past) == 59  # one day without a peak
    assert len(drawing.future) == 90
    assert drawing.future[0][0] == datetime(2025, 11, 3, tzinfo=UTC)


def test_an_open_end_says_later() -> None:
    early = datetime(2025, 12, 1, tzinfo=UTC)
    picture = evidence_chart(make_advice(1, event=(early, None, None)))
    assert picture is not None
    assert "1 Dec – later" in picture


@pytest.mark.parametrize(
    "chart",
    [
        None,
        "text",
        {},
        {"past_from": "not a date", "past_peaks": [1, 2, 3]},
        {"past_from": "2025-01-01", "past_peaks": "abc"},
        {"past_from": "2025-01-01", "past_peaks": [None, "x", 1e999]},
        {"future_from": "2025-01-01", "levels": [0.1], "future_peaks": [[1, 2]]},
        {"future_from": "2025-01-01", "levels": [0.1, 0.5, 0.9], "future_peaks": [1, 2, 3]},
    ],
)
def test_malformed_evidence_draws_nothing(chart: object) -> None:
    assert evidence_chart(make_advice(1, evidence={"chart": chart, "capacity": 5})) is None


def test_the_numbers_behind_it_are_written_out() -> None:
    evidence = {
        "chart": {"past_peaks": [1]},
        "unit_price": 0.0412,
        "step_cap_binds": True,
        "weekly_growth": [0.01, 0.02, 0.03],
        "faults": [{"item_id": "a", "value": 3}, {"item_id": "b", "value": 4}],
        "nothing": None,
        "deep": [[[[["x"]]]]],
    }
    assert evidence_numbers(evidence) == [
        ("unit price", "0.0412"),
        ("step cap binds", "yes"),
        ("weekly growth", "0.01, 0.02, 0.03"),
        ("faults", "item id a, value 3; item id b, value 4"),
        ("deep", "…"),
    ]
    assert len(evidence_numbers({f"k{k}": k for k in range(99)})) == 40
