"""Frequencies and their seasons."""

import numpy as np
import pytest

from headroom.errors import ConfigError
from headroom.freq import parse_freq


@pytest.mark.parametrize(
    ("text", "seasons"),
    [
        ("5min", (288, 2016)),
        ("h", (24, 168)),
        ("6h", (4, 28)),
        ("D", (7, 364)),
        ("7D", (52,)),
        ("W", (52,)),
        ("MS", (12,)),
        ("3MS", (4,)),
        ("12MS", ()),
        ("7min", (1440,)),
    ],
)
def test_seasons_follow_from_the_step(text: str, seasons: tuple[int, ...]) -> None:
    assert parse_freq(text).seasons == seasons


def test_months_keep_to_the_calendar() -> None:
    stamps = parse_freq("MS").timestamps(np.datetime64("2023-12-01"), 4)
    assert stamps.astype("datetime64[D]").astype(str).tolist() == [
        "2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01"
    ]  # fmt: skip


def test_steps_of_fixed_length() -> None:
    stamps = parse_freq("5min").timestamps(np.datetime64("2024-01-01"), 3)
    assert np.diff(stamps).astype(int).tolist() == [300, 300]


def test_what_is_no_frequency() -> None:
    with pytest.raises(ConfigError, match="'0h' is no frequency"):
        parse_freq("0h")
