"""Numbers as a person writes them."""

from datetime import UTC, datetime

import pytest

from headroom.report import numerals as n


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (812.4, "812"),
        (1234.0, "1,234"),
        (9999.6, "10\u00a0k"),
        (12_345.0, "12.3\u00a0k"),
        (999_950.0, "1\u00a0M"),
        (1_234_567.0, "1.23\u00a0M"),
        (-2.5e9, "−2.5\u00a0G"),
        (0.00421, "0.00421"),
        (0.99999, "1"),
        (48.0, "48"),
    ],
)
def test_quantity_keeps_three_digits_and_scales(value: float | None, text: str) -> None:
    assert n.quantity(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.893, "89 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.001, "< 1 %"),
        (0.9999, "> 99 %"),
        (1.27, "127 %"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_percent_never_rounds_to_certainty(share: float | None, text: str) -> None:
    assert n.percent(share).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (842.4, "$842"),
        (1250.0, "$1,250"),
        (43_131.0, "$43,100"),
        (572_900.0, "$573,000"),
        (3.5, "$3.50"),
        (0.0, "$0"),
        (-42.0, "−$42"),
        (1.24e6, "$1.24\u00a0M"),
        (2.1e9, "$2.1\u00a0B"),
        (None, "–"),
    ],
)
def test_money(dollars: float | None, text: str) -> None:
    assert n.money(dollars) == text


def test_times_and_lengths() -> None:
    at = datetime(2025, 3, 4, 13, tzinfo=UTC)
    assert n.day(at) == "4 March 2025"
    assert n.moment(at) == "4 March 2025, 13:00 UTC"
    assert n.short_day(at) == "4 Mar"
    assert [n.duration(s) for s in (0.42, 42.4, 185, 7800, None)] == [
        "0.4 s", "42 s", "3 min 5 s", "2 h 10 min", "–",
    ]  # fmt: skip
    assert n.from_epoch(1_741_093_200) == at
    assert n.from_epoch(None) is None


def test_frequencies_in_words() -> None:
    assert n.steps(48, "h") == "48 hours"
    assert n.steps(1, "D") == "1 day"
    assert n.steps(288, "5min") == "288 steps of 5 minutes"
    assert n.frequency("h") == "hourly"
    assert n.frequency("5min") == "5-minute"
    assert n.frequency("min") == "1-minute"
    assert [n.season(freq) for freq in ("h", "D", "MS", "W")] == [
        "the day before", "the week before", "the year before", "the year before",
    ]  # fmt: skip


def test_codes_in_words() -> None:
    assert n.words("capacity_shortfall") == "capacity shortfall"
    assert n.words("lstm") == "LSTM"
    assert n.sentence_case("grows 3 % a week") == "Grows 3\u00a0% a week"
    assert n.plural(1, "window") == "1 window"
    assert n.plural(2, "series", "series") == "2 series"
